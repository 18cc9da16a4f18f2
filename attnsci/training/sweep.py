"""Many trainings of one family: each job in a folder of its own, finished ones never repeated."""

import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsci.checks import check_not_empty, check_positive
from attnsci.errors import AttnsciError, CheckpointError, InvalidInput
from attnsci.files import atomic_path, claim
from attnsci.interrupts import raised
from attnsci.provenance import stable_hash
from attnsci.training.configs import TrainerConfig

if TYPE_CHECKING:
    import pandas as pd

    from attnsci.training.trainer import Objective

Learner = Callable[[Any], "Objective"]

DONE = "done.json"
LOG = "log.txt"
TABLE = "sweep.csv"
N_LAST_UPDATES = 100
"""Updates that the training accuracy is averaged over, as in the published code."""


class SweepFailed(AttnsciError, RuntimeError):
    """Some jobs of a sweep failed; the others are finished and in its table."""


def run_sweep(
    objective: Learner,
    configs: Sequence[Any],
    trainer: TrainerConfig,
    out: str | os.PathLike[str],
    workers: int = 1,
) -> "pd.DataFrame":
    """Train every configuration, several at a time; the same call continues a sweep.

    Every job runs in a worker process with one torch thread, so that its weights do not depend
    on how many run beside it. What a job prints stands in its ``log.txt``.

    Parameters
    ----------
    objective : class or function of a module
        From a configuration to what learns by it; its score is ``accuracy``.
    configs : sequence of frozen dataclasses
        The jobs; each trains in ``out/<hash of its configuration>``.
    trainer : TrainerConfig
        Duration, device and saving, the same for all.
    out : path-like
        The sweep's folder; ``sweep.csv`` is written there.
    workers : int
        Processes.

    Returns
    -------
    pandas.DataFrame
        A row a job, in the order of `configs`: ``run`` (its folder), every field of its
        configuration, ``validation_accuracy`` (last), ``n_validation``, ``training_accuracy``
        (mean of the last 100 updates) and ``steps`` (batches).

    Raises
    ------
    InvalidInput
        If there are no jobs, or two are the same.
    SweepFailed
        At the end, if jobs failed; the table of the others is written, and the same call tries
        the failed ones again.
    KeyboardInterrupt
        After Ctrl-C, SIGTERM or SIGHUP, once the running jobs have saved their state.
    InUse
        If another process runs a sweep there.
    """
    check_not_empty("configs", configs)
    check_positive("workers", workers, integer=True)
    with claim(out), raised():
        return _run_sweep(objective, configs, trainer, Path(out), workers)


def _run_sweep(
    objective: Learner,
    configs: Sequence[Any],
    trainer: TrainerConfig,
    folder: Path,
    workers: int,
) -> "pd.DataFrame":
    import pandas as pd
    from tqdm import tqdm

    jobs = {folder / stable_hash(config): config for config in configs}
    if len(jobs) < len(configs):
        raise InvalidInput("Two jobs of the sweep are the same; give each seed and weight once.")
    rows: dict[Path, dict[str, Any]] = {}
    todo = {}
    for place, config in jobs.items():
        row = finished_row(place, trainer)
        if row is None:
            todo[place] = config
        else:
            rows[place] = row
    failed: dict[Path, BaseException] = {}
    with tqdm(total=len(jobs), initial=len(rows), desc=folder.name, unit="job") as bar:
        for place, outcome in _outcomes(objective, todo, trainer, workers):
            if isinstance(outcome, BaseException):
                failed[place] = outcome
            else:
                rows[place] = outcome
                bar.set_postfix(validation=f"{outcome['validation_accuracy']:.3f}")
            bar.update()
            _write(pd.DataFrame([rows[job] for job in jobs if job in rows]), folder)
    table = pd.DataFrame([rows[job] for job in jobs if job in rows])
    _write(table, folder)
    if failed:
        reasons = "\n".join(f"  {job}: {_reason(error)}" for job, error in failed.items())
        raise SweepFailed(
            f"{len(failed)} of {len(jobs)} jobs failed; the others are in {folder / TABLE}. The "
            f"same command tries these again:\n{reasons}"
        ) from next(iter(failed.values()))
    return table


def finished_row(place: Path, trainer: TrainerConfig) -> dict[str, Any] | None:
    """Return the row of the job in `place` if it reached the end that `trainer` sets."""
    marker = place / DONE
    if not marker.exists():
        return None
    done = json.loads(marker.read_text("utf-8"))
    return done["row"] if done["until"] == _until(trainer) else None


def train_job(
    objective: Learner, config: Any, trainer: TrainerConfig, place: str | os.PathLike[str]
) -> dict[str, Any]:
    """Train one job to its end, mark it as finished and return its row of the table."""
    from attnsci.training.trainer import Trainer

    place = Path(place)
    metrics = Trainer(objective(config), place, trainer).fit()
    training = metrics[metrics["split"] == "train"]
    steps = int(training["step"].max()) + 1
    if trainer.max_steps is not None and steps > trainer.max_steps:
        raise CheckpointError(
            f"{place} was trained for {steps} batches already, which is more than the "
            f"{trainer.max_steps} asked for. Choose another --out."
        )
    if int(training["epoch"].max()) >= trainer.epochs:
        raise CheckpointError(
            f"{place} was trained for more than the {trainer.epochs} epochs asked for. Choose "
            "another --out."
        )
    validation = metrics[metrics["split"] == "validation"].iloc[-1]
    row = {
        "run": place.name,
        **dataclasses.asdict(config),
        "validation_accuracy": float(validation["accuracy"]),
        "n_validation": int(validation["n"]),
        "training_accuracy": float(training["accuracy"].iloc[-N_LAST_UPDATES:].mean()),
        "steps": steps,
    }
    with atomic_path(place / DONE) as temporary:
        temporary.write_text(json.dumps({"until": _until(trainer), "row": row}), "utf-8")
    return row


def _until(trainer: TrainerConfig) -> list[int | None]:
    return [trainer.epochs, trainer.max_steps]


def _write(table: "pd.DataFrame", folder: Path) -> None:
    with atomic_path(folder / TABLE) as temporary:
        table.to_csv(temporary, index=False)


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return lines[0] if isinstance(error, AttnsciError) else f"{type(error).__name__}: {lines[0]}"


def _outcomes(
    objective: Learner, jobs: dict[Path, Any], trainer: TrainerConfig, workers: int
) -> Iterator[tuple[Path, Any]]:
    """Yield (folder, row or exception) of each job as it ends."""
    if not jobs:
        return
    waiting = iter(jobs.items())
    running: dict[Future[dict[str, Any]], Path] = {}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker)

    def submit(n: int) -> None:
        for place, config in itertools.islice(waiting, n):
            try:
                future = pool.submit(_work, objective, config, trainer, str(place))
            except BrokenExecutor as error:  # a worker was killed: what is left cannot run
                future = Future()
                future.set_exception(error)
            running[future] = place

    try:
        # One job a worker at a time: a job that waits in the pool's queue cannot be called back.
        submit(workers)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                error = future.exception()
                yield running.pop(future), future.result() if error is None else error
                submit(1)
    except (KeyboardInterrupt, GeneratorExit):
        for process in multiprocessing.active_children():
            if process.pid is not None:
                os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop_once(*_: object) -> None:
    # A terminal's Ctrl-C reaches workers too: the parent's copy must not interrupt the saving.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _work(objective: Learner, config: Any, trainer: TrainerConfig, place: str) -> dict[str, Any]:
    """Run one job in a worker: its words go to its log, Ctrl-C makes it save and stop."""
    folder = Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, _stop_once)
    signal.signal(signal.SIGTERM, _stop_once)  # a scheduler sends it to all processes
    try:
        with (
            (folder / LOG).open("a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            return train_job(objective, config, trainer, folder)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
