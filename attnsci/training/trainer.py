"""One training loop for every family: device, precision, processes, checkpoints, resume."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import nn
from tqdm import tqdm

from attnsci.devices import make_fabric, pick_device
from attnsci.errors import CheckpointError, InvalidInput
from attnsci.files import atomic_path, claim
from attnsci.interrupts import interrupt, noted
from attnsci.models.weights import save_weights
from attnsci.provenance import provenance, stable_hash, to_json
from attnsci.training.configs import TrainerConfig

Metrics = dict[str, float | int | str]


class Objective(Protocol):
    """What a family brings to the trainer: its model, its batches, its update, its score."""

    model: nn.Module
    score: str
    """Name of the validation metric that picks the best weights; larger is better."""
    forward_methods: tuple[str, ...]
    """Methods of the model, other than ``forward``, that `update` differentiates through."""

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser of the model's parameters."""

    def n_batches(self, epoch: int) -> int:
        """Return how many batches `epoch` has, the same in every process."""

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Any:
        """Return this process's share of global batch `index`; a function of its arguments."""

    def update(
        self, model: nn.Module, batch: Any, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterable[Metrics]:
        """Take the update or updates of one batch; return a row of metrics for each."""

    def validate(self, model: nn.Module) -> Metrics:
        """Return metrics on data that training never sees."""

    def provenance(self) -> dict[str, Any]:
        """Return configuration, data and seed, for the weights and for resuming."""


class Trainer:
    """Trains one objective into one folder, and resumes there.

    The folder holds ``last.ckpt`` (everything that resuming needs), ``best.safetensors`` and
    ``last.safetensors`` (weights with their record), snapshots if the configuration asks for
    them, ``metrics.parquet`` (a row for each update and each validation) and ``run.json``. All
    are replaced whole. A run that was killed continues from its last checkpoint and, on a CPU,
    ends with the same bits.

    Parameters
    ----------
    objective : Objective
        What to train.
    out : path-like
        The run's folder.
    config : TrainerConfig, optional
        Duration, device and saving.

    Raises
    ------
    InvalidInput
        If the machine has no such device, or the device no such precision.
    """

    def __init__(
        self,
        objective: Objective,
        out: str | os.PathLike[str],
        config: TrainerConfig | None = None,
    ) -> None:
        self.objective = objective
        self.out = Path(out)
        self.config = config or TrainerConfig()
        device = pick_device(self.config.device)
        if device.type == "cpu" and self.config.precision == "16-mixed":
            raise InvalidInput("precision '16-mixed' needs a GPU; on a CPU take 'bf16-mixed'.")
        self.fabric = make_fabric(device.type, self.config.devices, self.config.precision)
        self._rows: list[Metrics] = []
        self._best = float("-inf")

    def fit(self) -> pd.DataFrame:
        """Train, or continue training, to the end.

        Returns
        -------
        pandas.DataFrame
            One row for each update (``split`` "train") and validation (``split``
            "validation"), with ``epoch`` and ``step`` counted from 0.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, SIGTERM or SIGHUP (the last two as `attnsci.interrupts.Terminated`),
            once the batch is done and the state has been saved. A second one stops at once; the
            last checkpoint stands.
        CheckpointError
            If the folder holds another run, or a damaged one.
        InUse
            If another process trains there.
        """
        self.fabric.launch()
        # One process writes, and so one claims.
        with claim(self.out) if self.fabric.is_global_zero else contextlib.nullcontext():
            return self._fit()

    def _fit(self) -> pd.DataFrame:
        fabric, objective = self.fabric, self.objective
        model, optimizer = fabric.setup(objective.model, objective.optimizer())
        for name in objective.forward_methods:
            model.mark_forward_method(name)
        state = {"model": model, "optimizer": optimizer, "epoch": 0, "batch": 0, "step": 0}
        self._resume(state)
        progress = tqdm(
            total=self._total_steps(),
            initial=state["step"],
            disable=None if fabric.is_global_zero else True,
            desc=self.out.name,
            unit="batch",
        )
        # A batch half done cannot be resumed.
        with progress, noted() as signal_number:
            for _ in self._steps(state, model, optimizer, progress):
                number = signal_number()
                stop = self._any_process(number > 0)
                if stop or state["step"] % self.config.save_every == 0:
                    self._save(state)
                if stop:
                    raise interrupt(number or signal.SIGINT)
        return self.metrics()

    def _any_process(self, flag: bool) -> bool:
        """Return whether `flag` is set in any process: all must stop after the same batch."""
        if self.fabric.world_size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.fabric.device)
        return bool(self.fabric.all_reduce(flags, reduce_op="sum"))

    def _over_processes(self, row: Metrics) -> Metrics:
        """Return `row` with its floats averaged: each process saw an equal share of the batch."""
        if self.fabric.world_size == 1:
            return row
        names = [name for name, value in row.items() if isinstance(value, float)]
        values = torch.tensor([float(row[name]) for name in names], device=self.fabric.device)
        means = self.fabric.all_reduce(values, reduce_op="mean")
        return {**row, **dict(zip(names, torch.as_tensor(means).tolist(), strict=True))}

    def metrics(self) -> pd.DataFrame:
        """Return what has been measured so far."""
        return pd.DataFrame(self._rows)

    def _total_steps(self) -> int:
        steps = sum(self.objective.n_batches(epoch) for epoch in range(self.config.epochs))
        return min(steps, self.config.max_steps or steps)

    def _steps(
        self, state: dict[str, Any], model: Any, optimizer: Any, progress: Any
    ) -> Iterator[None]:
        """Yield after every batch; `state` always says what comes next."""
        objective, fabric = self.objective, self.fabric
        last_step = self._total_steps()
        while state["step"] < last_step:
            epoch, index = state["epoch"], state["batch"]
            model.train()
            batch = objective.batch(epoch, index, fabric.global_rank, fabric.world_size)
            where: Metrics = {"split": "train", "epoch": epoch, "step": state["step"]}
            rows = [
                {**where, **self._over_processes(row)}
                for row in objective.update(model, batch, optimizer, fabric)
            ]
            self._rows += rows
            progress.update()
            progress.set_postfix({k: f"{v:.3g}" for k, v in rows[-1].items() if k == "loss"})
            state["step"] += 1
            state["batch"] += 1
            ended = state["batch"] == objective.n_batches(epoch)
            if ended:
                state["epoch"], state["batch"] = epoch + 1, 0
            if ended or state["step"] == last_step:
                progress.set_postfix_str("validating")
                self._validate({**where, "split": "validation"}, model)
                self._save(state)
                self._tell(progress)
            yield

    def _tell(self, progress: Any) -> None:
        """Say how the last validation went: beside the bar, or in a line where none can be."""
        row = self._rows[-1]
        said = f"validation {self.objective.score} {float(row[self.objective.score]):.4f}"
        progress.set_postfix_str(said)
        if progress.disable and self.fabric.is_global_zero:
            epoch = f"epoch {int(row['epoch']) + 1} of {self.config.epochs}"
            print(f"{self.out.name}: {epoch}, {said}", file=sys.stderr, flush=True)

    def _validate(self, where: Metrics, model: Any) -> None:
        model.eval()
        with torch.no_grad():
            scores = self.objective.validate(model)
        self._rows.append({**where, **scores})
        if not self.fabric.is_global_zero:
            return
        record = {**self.objective.provenance(), "metrics": {**where, **scores}}
        record = provenance(**record, trainer=self.config)
        save_weights(self.out / "last.safetensors", self.objective.model, record)
        epoch, every = int(where["epoch"]) + 1, self.config.snapshot_every
        if every is not None and epoch % every == 0:
            snapshot = self.out / f"epoch-{epoch:04d}.safetensors"
            save_weights(snapshot, self.objective.model, record)
        if float(scores[self.objective.score]) > self._best:
            self._best = float(scores[self.objective.score])
            save_weights(self.out / "best.safetensors", self.objective.model, record)

    def _signature(self) -> str:
        run = {key: value for key, value in self.objective.provenance().items() if key != "date"}
        return stable_hash([run, self.config.precision])

    def _save(self, state: dict[str, Any]) -> None:
        signed = {**state, "signature": self._signature(), "best": self._best}
        checkpoint = self.out / "last.ckpt"
        if not self.fabric.is_global_zero:
            # Fabric gathers the state and waits for all processes; only the first writes.
            self.fabric.save(checkpoint, signed)
            return
        with atomic_path(self.out / "metrics.parquet") as temporary:
            self.metrics().to_parquet(temporary, index=False)
        with atomic_path(self.out / "run.json") as temporary:
            temporary.write_text(to_json(provenance(**self.objective.provenance())))
        with atomic_path(checkpoint) as temporary:
            self.fabric.save(temporary, signed)

    def _resume(self, state: dict[str, Any]) -> None:
        path = self.out / "last.ckpt"
        if not path.exists():
            return
        signed: dict[str, Any] = {"signature": ""}
        saved = {**state, "best": 0.0}
        with self._readable(path):
            self.fabric.load(path, signed, weights_only=True)
        # Before anything is loaded into the model, which another folder may be given.
        if signed["signature"] != self._signature():
            raise CheckpointError(
                f"{self.out} holds a run with other settings or data (see run.json there). "
                "Choose another --out, or delete that folder to start afresh."
            )
        with self._readable(self.out / "metrics.parquet") as rows:
            kept = pd.read_parquet(rows)
        with self._readable(path):
            self.fabric.load(path, saved, weights_only=True)
        state.update({key: saved[key] for key in ("epoch", "batch", "step")})
        self._best = saved["best"]
        # Metrics are written before the checkpoint: a kill between the two leaves rows too many.
        kept = kept[kept["step"] < state["step"]]
        self._rows = [
            {key: value for key, value in row.items() if pd.notna(value)}
            for row in kept.to_dict("records")
        ]

    @contextlib.contextmanager
    def _readable(self, path: Path) -> Iterator[Path]:
        """Turn whatever reading `path` raises, and damage can raise anything, into one error."""
        try:
            yield path
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{path} is missing or damaged, so that the run cannot be resumed ({reason}). "
                f"Delete {self.out}, or choose another --out."
            ) from error


def check_shares(batch_size: int, world_size: int) -> None:
    """Raise `InvalidInput` unless a global batch divides evenly among the processes."""
    if batch_size % world_size:
        raise InvalidInput(
            f"A batch of {batch_size} cannot be shared evenly by {world_size} processes."
        )
