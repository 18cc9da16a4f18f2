"""What a learned gaze is worth on photographs: the task's loss beside that of easier gazes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from attnsci.devices import pick_device
from attnsci.experiments.outcome import row as estimate
from attnsci.experiments.outcome import tabled
from attnsci.families.neva.photographs import pieces
from attnsci.families.neva.policy import LearnedGaze
from attnsci.families.neva.scores import after_each_fixation, at_centre, at_random, looking
from attnsci.families.neva.task_networks import task_of
from attnsci.families.neva.tasks import networks
from attnsci.families.zoo import load_model
from attnsci.papers.output import save_table
from attnsci.provenance import provenance
from attnsci.recording.datasets import save_dataset
from attnsci.statistics import bootstrap

LOSS, ACCURACY, GAIN = "loss over fixations", "label kept over fixations", "loss saved"


def evaluate_gaze(
    images: Sequence[str | Path],
    model: str = "neva-policy-classification",
    *,
    task: str | None = None,
    split: str = "test",
    fixations: int = 8,
    retention: float | None = None,
    seed: int = 0,
    device: str = "auto",
    out: Path | None = None,
) -> pd.DataFrame:
    """Measure a task's loss under a learned gaze, at the centre, and anywhere.

    Parameters
    ----------
    images : sequence of path-like
        Photographs, or folders of them.
    model : str
        Weights of a `NeVAPolicy`: a shipped name or a file.
    task : {"classification", "reconstruction"}, optional
        What the policy was trained for, by default.
    split : {"test", "validation", "train", "all"}
        Which photographs, by the names that decided in training.
    fixations : int
    retention : float, optional
        Of the memory; as trained by default.
    seed : int
        Of random looks and of resampling.
    device : str
    out : Path, optional
        Folder for ``gaze.csv`` and ``responses.zarr``.

    Returns
    -------
    pandas.DataFrame
        Of each gaze, means over fixations and photographs; of the centre and of chance, how much
        less is lost by the learned gaze on the very same photographs.
    """
    where = pick_device(device)
    pretrained = load_model(model)
    gaze = LearnedGaze.of(pretrained)
    fovea = gaze.fovea
    if retention is not None:
        fovea = dataclasses.replace(fovea, retention=retention)
    gaze = LearnedGaze(gaze.policy.to(where), fovea, task=gaze.task)
    serves = task_of(task or gaze.task)
    for network in networks(serves).values():
        network.to(where)
    pictures = pieces(images, split, gaze.policy.config.size, seed)
    gazes = {
        "learned": looking(gaze, fixations, seed),
        "centre": at_centre(fixations),
        "random": at_random(fixations, seed),
    }
    looks = xr.concat(
        [
            after_each_fixation(look, serves, pictures, fovea, device=where)
            for look in gazes.values()
        ],
        pd.Index(list(gazes), name="gaze"),
    )
    means = looks.isel(fixation=slice(1, None)).mean("fixation")
    rows = []
    for name in gazes:
        for quantity, value in ((LOSS, "loss"), (ACCURACY, "accuracy")):
            if value in means:
                values = bootstrap(means[value].sel(gaze=name).to_numpy(), seed=seed)
                rows.append(estimate(quantity, values, "photographs", gaze=name))
    for name in ("centre", "random"):
        saved = means["loss"].sel(gaze=name) - means["loss"].sel(gaze="learned")
        values = bootstrap(saved.to_numpy(), seed=seed)
        rows.append(estimate(GAIN, values, "photographs", gaze=f"learned, against {name}"))
    table = tabled(rows).estimates
    if out is not None:
        save_table(table, out / "gaze.csv")
        facts = provenance(
            weights=model, task=serves.name, fovea=dataclasses.asdict(fovea), split=split,
            photographs=pictures.provenance(), seed=seed,
        )  # fmt: skip
        save_dataset(looks, out / "responses.zarr", facts)
    return table
