"""A small network trained for a moment on bundled digits, written as a training run writes it."""

import dataclasses

import pytest

from attnsci.families.ram.config import MNIST_28, RAMConfig
from attnsci.families.ram.objective import RAMObjective
from attnsci.families.ram.recipes import RAMTraining
from attnsci.training.configs import TrainerConfig
from attnsci.training.trainer import Trainer

SMALL = RAMTraining(
    dataclasses.replace(MNIST_28, n_hidden=48, n_what=24, n_where=24, readout="every"),
    epochs=1, batch_size=64, n_samples=2, source="bundled", validation_scenes=200, warmup=10,
)  # fmt: skip


def trained(training: RAMTraining, folder, steps: int) -> str:
    settings = TrainerConfig(epochs=1, max_steps=steps, device="cpu")
    Trainer(RAMObjective(training), folder, settings).fit()
    return str(folder / "last.safetensors")


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Weights of a network for digits in the middle."""
    return trained(SMALL, tmp_path_factory.mktemp("plain"), 50)


@pytest.fixture(scope="session")
def sibling(tmp_path_factory):
    """The same from another seed."""
    other = dataclasses.replace(SMALL, seed=1)
    return trained(other, tmp_path_factory.mktemp("sibling"), 20)


@pytest.fixture(scope="session")
def cluttered(tmp_path_factory):
    """Weights of a network for cluttered scenes, three scales a glimpse, three glimpses."""
    model = RAMConfig(
        glimpse_px=12, n_scales=3, n_glimpses=3, n_hidden=32, n_what=16, n_where=16, pixel_std=0.2
    )
    training = dataclasses.replace(SMALL, model=model, size=60, n_pieces=4)
    return trained(training, tmp_path_factory.mktemp("cluttered"), 10)
