"""Training of every network of the paper."""

import dataclasses
from pathlib import Path

from attnsci.families.what_where.objective import NoisyDigitsObjective
from attnsci.families.what_where.recipes import PRESETS, NoisyDigitsTraining
from attnsci.families.what_where.where_objective import WhereObjective
from attnsci.families.what_where.where_recipes import WHERE
from attnsci.training.configs import Device, Source, fast_trainer
from attnsci.training.trainer import Trainer


def train_all(folder: Path, source: Source, device: Device) -> None:
    """Train every network of the paper; each resumes where it stands.

    Where comes last, as it is trained for a fovea.

    Parameters
    ----------
    folder : Path
        Receives a folder for each network, named as the shipped weights are.
    source : {"full", "bundled"}
        Digits.
    device : {"auto", "cpu", "cuda", "mps"}
    """
    jobs: dict[str, NoisyDigitsTraining] = {
        f"{name}-seed{seed}": dataclasses.replace(PRESETS[name], seed=seed, source=source)
        for name, seeds in (("what-28", 3), ("stn-28", 3), ("what-crop", 1), ("polo-atn-95", 1),
                            ("polo-atn-85", 1), ("conv-polo-atn-85", 1), ("atn", 1),
                            ("stn-128", 1))
        for seed in range(seeds)
    }  # fmt: skip
    jobs["what-28-noise1-seed0"] = dataclasses.replace(PRESETS["what-28"], noise=1.0, source=source)
    for name, job in jobs.items():
        settings = fast_trainer(job, device=device)
        Trainer(NoisyDigitsObjective(job), folder / name, settings).fit()
    for name, what, noise in (
        ("where-seed0", "what-crop-seed0", 0.75),
        ("where-noise1-seed0", "what-28-noise1-seed0", 1.0),
    ):
        fovea = str(folder / what / "last.safetensors")
        recipe = dataclasses.replace(WHERE, what=fovea, noise=noise, source=source)
        settings = fast_trainer(recipe, device=device)
        Trainer(WhereObjective(recipe), folder / name, settings).fit()
