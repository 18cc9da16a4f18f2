"""The published network and digits (verification only), and networks that scan by a rule."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.data.bars import BarScenes
from attnsci.data.coco import split_of
from attnsci.data.digit_scenes import DigitScenes
from attnsci.data.digits import load_mnist
from attnsci.families.object_attention.config import COCO, ObjectAttentionConfig
from attnsci.families.object_attention.measure import show_bars, show_scenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.reference import load_object_attention
from attnsci.families.object_attention.trajectory import Trajectory

APART = ((0, 0), (0, 28))
"""Slots of two digits that share no column."""


class HalfFieldScanner(nn.Module):
    """Opens one half of the field a phase, in the order that a rule finds in the image.

    It has what the experiments use of `ObjectAttention` (configuration, parameters, `run`), and
    classifies nothing: the class it reads is the half it opened.
    """

    def __init__(self, left_first) -> None:
        super().__init__()
        self.config = ObjectAttentionConfig(width=56)
        self.left_first = left_first
        self.weight = nn.Parameter(torch.zeros(1))

    def run(self, images, n_phases=2, **interventions):
        half = images.shape[-1] // 2
        first = (~self.left_first(images[..., :half], images[..., half:])).long()
        gates, masked, ior, logits = [], [], [], []
        inhibited = torch.zeros_like(images, dtype=torch.bool)
        for phase in range(n_phases):
            side = (first + phase) % 2
            column = torch.arange(images.shape[-1])
            opened = (column >= half).long() == side[:, None, None, None]
            gate = 1 - opened.float().expand_as(images)
            inhibited = inhibited | (gate < 0.5)
            gates.append(gate)
            ior.append(inhibited)
            masked.append(images * (1 - self.config.strength * gate))
            logits.append(nn.functional.one_hot(side, 10).float()[:, None])
        return Trajectory(
            logits=torch.stack(logits, 1),
            gates=(torch.stack(gates, 1),),
            masked_input=torch.stack(masked, 1),
            ior=(torch.stack(ior, 1),),
        )


@pytest.fixture
def side_scanner():
    """Return a function that makes a network beginning on ``"left"`` or ``"right"``."""

    def make(side):
        return HalfFieldScanner(
            lambda left, _: torch.full((len(left),), side == "left", dtype=torch.bool)
        )

    return make


@pytest.fixture
def brightness_scanner():
    """Return a network that begins with the half that holds the brightest pixel."""
    return HalfFieldScanner(lambda left, right: left.flatten(1).amax(1) > right.flatten(1).amax(1))


@pytest.fixture(scope="session")
def bundled_test():
    return load_mnist("test")


@pytest.fixture
def apart(bundled_test):
    """Return 200 scenes of two digits side by side, without noise and without overlap."""
    return DigitScenes(bundled_test, slots=APART, noise=0)[:200]


@pytest.fixture
def unequal(apart):
    """Return the scenes with one digit of each, at random, at full and one at half contrast."""
    contrast = np.random.default_rng(0).permuted(np.tile([0.5, 1.0], (len(apart), 1)), axis=1)
    objects = apart.objects * torch.from_numpy(contrast).float()[:, :, None, None, None]
    return dataclasses.replace(apart, objects=objects, image=objects.sum(1)), contrast


@pytest.fixture(scope="session")
def published(data_root):
    return load_object_attention(data_root / "object-attention" / "paper_mnist_model.pt")


@pytest.fixture(scope="session")
def full_test(data_root):
    return load_mnist("test", "full", data_root / "mnist")


@pytest.fixture(scope="session")
def published_shown(published, full_test):
    """Return what the published network does with every tenth of the 10,000 scenes of seed 0."""
    # The first thousand would not do: MNIST's early test digits are thinner, overlaps smaller.
    scenes, every_tenth = DigitScenes(full_test, seed=0), np.arange(0, 10_000, 10)
    return show_scenes(published, (scenes[part] for part in np.split(every_tenth, 10)))


@pytest.fixture(scope="session")
def distractor(data_root):
    """Return the digit beside the published bars."""
    return load_mnist("train", "full", data_root / "mnist").images[6]


@pytest.fixture(scope="session")
def published_bars(published, distractor):
    """Return the published network's responses to all 7920 bars: half a minute."""
    return show_bars(published, BarScenes(distractor).batches(66))


SMALLEST = 76
"""Smallest side of photographs that four levels fit in."""
OBJECTS = ((1, 18), (62, 1), (18, 44), (1, 3), (18, 62), (1, 1))


@pytest.fixture
def lively():
    """Return a function that makes a network for photographs whose levels pass something on."""

    def make(seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = ObjectAttention(dataclasses.replace(COCO, height=SMALLEST, width=SMALLEST))
            for level in model.levels:
                nn.init.kaiming_normal_(level.conv.weight, nonlinearity="relu")
        return model.eval()

    return make


@pytest.fixture
def photographs(coco):
    """Return files of 24 photographs of two rectangles each; all of the test split."""
    numbers = np.arange(1, 400)
    test_split = numbers[split_of(numbers) == "test"]
    for place, number in enumerate(test_split[:24]):
        first, second = OBJECTS[place % len(OBJECTS)]
        shift = place % 5
        coco.add(
            [
                (first, coco.rectangle(shift, 2, 22, 34)),
                (second, coco.rectangle(34, 4 + shift, 20, 24)),
            ],
            number=int(number),
        )
    return coco.write()
