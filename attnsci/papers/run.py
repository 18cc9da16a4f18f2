"""The one runner of papers: announce, measure, write, draw, resume."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from attnsci.experiments.outcome import Outcome
from attnsci.papers.finished import Finished
from attnsci.papers.output import Result, save_results, save_table
from attnsci.papers.page import save_page
from attnsci.papers.paper import Paper, Request, Run, Say, Step
from attnsci.papers.published import beside, read_published
from attnsci.papers.steps import announced
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.provenance import source_hash, stable_hash
from attnsci.recording.datasets import save_dataset


def run_paper(paper: Paper, request: Request) -> list[Path]:
    """Run every step of a paper; write estimates, recordings, figures, results and a page.

    A run that was killed goes on after the steps that it had finished, where nothing that its
    numbers depend on has changed: paper, scale, seed, networks, stimuli, code.

    Parameters
    ----------
    paper : Paper
    request : Request

    Returns
    -------
    list of Path
        Everything written, ``results.md`` among the last.
    """
    run = Run(request, paper.scales[request.scale])
    subject, published = paper.prepare(run), read_published(paper.published)
    scale = {"name": request.scale, **dataclasses.asdict(run.scale)}
    facts = {"paper": paper.name, "seed": run.seed, "scale": scale, **subject.facts}
    finished = Finished(run.out, stable_hash([facts, str(request.device), source_hash()]))
    steps = {step.name: step for step in paper.steps}
    for name in announced(list(steps), f"{paper.name}, {request.scale} scale"):
        run_step(run, steps[name], subject, facts, finished)
        if name in run.outcomes:
            run.rows += results(run.outcomes[name].estimates, steps[name].says, published)
    figures = [path for path in run.written if path.parent == run.out and path.suffix == ".png"]
    report = save_results(run.rows, run.out / "results.md", paper.title, subject.caption, figures)
    page = save_page(run, paper, subject.caption)
    finished.clear()
    return [*run.written, *report, page]


def run_step(
    run: Run, step: Step, subject: Any, facts: Mapping[str, Any], finished: Finished
) -> None:
    """Measure a step, or take what it had left; write and draw it."""
    start = len(run.written)
    earlier = finished.read(step.name)
    if earlier is None:
        with torch.random.fork_rng(devices=[]):  # a network of one's own may draw
            outcome = step.measure(run, subject)
        if outcome is not None:
            run.written += _write(outcome, step.name, run.out, facts)
        finished.keep(step.name, outcome, run.written[start:])
    else:
        outcome, written = earlier
        run.written += written
    if outcome is not None:
        run.outcomes[step.name] = outcome
        if step.draw is not None:
            run.written += _draw(step, run)
    run.files[step.name] = run.written[start:]


def _draw(step: Step, run: Run) -> list[Path]:
    assert step.draw is not None
    written = []
    with style():
        drawing = step.draw(run.outcomes)
        figures = drawing if isinstance(drawing, dict) else {step.name: drawing}
        for name, figure in figures.items():
            written += save_figure(figure, run.out / name)
    return written


def _write(outcome: Outcome, name: str, out: Path, facts: Mapping[str, Any]) -> list[Path]:
    written = []
    if len(outcome.estimates):
        written.append(save_table(outcome.estimates, out / f"{name}.csv"))
    for label, dataset in outcome.data.items():
        written.append(save_dataset(dataset, out / "recordings" / f"{label}.zarr", facts))
    return written


def results(
    estimates: pd.DataFrame, says: Mapping[str, Say], published: pd.DataFrame
) -> list[Result]:
    """Return the rows that a step has in the table of results, with what is published on them."""
    rows = []
    for estimate in estimates.to_dict("records"):
        say = says.get(estimate["quantity"])
        if say is None or not _holds(estimate, say.where):
            continue
        texts = beside(estimate, published)
        notes = [estimate.get("note"), texts.get("note")]
        rows.append(
            Result(
                say.sentence.format(**estimate),
                texts.get("published", ""),
                texts.get("reference", ""),
                estimate["estimate"],
                estimate["low"],
                estimate["high"],
                0 if np.isnan(estimate["n"]) else int(estimate["n"]),
                estimate["n_of"],
                "; ".join(note for note in notes if isinstance(note, str) and note),
            )
        )
    return rows


def _holds(estimate: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Tell whether factors have the values that are wanted; a list means any of them."""
    return all(
        estimate[name] in (value if isinstance(value, list) else [value])
        for name, value in where.items()
    )
