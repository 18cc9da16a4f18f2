"""Training of every network of the paper."""

import dataclasses
from pathlib import Path

from attnsci.families.what_where.objective import NoisyDigitsObjective
from attnsci.families.what_where.recipes import PRESETS, NoisyDigitsTraining
from attnsci.families.what_where.where_objective import WhereObjective
from attnsci.families.what_where.where_recipes import WHERE
from attnsci.reproduction import Request
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer


def train_all(folder: Path, request: Request) -> None:
    """Train every network of the paper; each resumes where it stands.

    Parameters
    ----------
    folder : Path
        Receives a folder for each network, named as the shipped weights are.
    request : Request
        Device and digits.
    """
    source = request.source or "full"
    jobs: dict[str, NoisyDigitsTraining] = {
        f"{name}-seed{seed}": dataclasses.replace(PRESETS[name], seed=seed, source=source)
        for name, seeds in (("what-28", 3), ("stn-28", 3), ("what-crop", 1), ("polo-atn-95", 1),
                            ("polo-atn-85", 1), ("conv-polo-atn-85", 1), ("atn", 1),
                            ("stn-128", 1))
        for seed in range(seeds)
    }  # fmt: skip
    jobs["what-28-noise1-seed0"] = dataclasses.replace(PRESETS["what-28"], noise=1.0, source=source)
    for name, job in jobs.items():
        settings = fast_trainer(job, device=request.device)
        Trainer(NoisyDigitsObjective(job), folder / name, settings).fit()
    for name, what, noise in (
        ("where-seed0", "what-crop-seed0", 0.75),
        ("where-noise1-seed0", "what-28-noise1-seed0", 1.0),
    ):
        fovea = str(folder / what / "last.safetensors")
        recipe = dataclasses.replace(WHERE, what=fovea, noise=noise, source=source)
        settings = fast_trainer(recipe, device=request.device)
        Trainer(WhereObjective(recipe), folder / name, settings).fit()
