"""Several models at the very same scenes."""

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.noisy_stimuli import NoisyScenes
from attnsci.errors import InvalidInput
from attnsci.experiments.same_scenes import advantage, recognition
from attnsci.recording.responses import classifier


def constant(digit, images=None):
    """Return an ask that always names one digit, and keeps the images that it was shown."""

    def logits(image):
        if images is not None:
            images.append(image)
        return torch.eye(10)[torch.full((len(image),), digit)]

    return classifier(logits)


@pytest.fixture(scope="module")
def scenes():
    return NoisyScenes(load_mnist("test", "bundled").subset(np.arange(0, 1000, 10)))


def test_accuracy_is_counted_on_the_very_same_scenes(scenes):
    images = [], []
    asks = {str(d): constant(d, images[k]) for k, d in enumerate((1, 2))}
    outcome = recognition(asks, scenes, n_of="scenes", batch_size=40)
    assert len(images[0]) == len(images[1]) == 4  # of three batches, and the one that names words
    assert all(a is b for a, b in zip(*images, strict=True))
    for line in outcome.estimates.itertuples():
        share = (scenes.digits.labels == int(line.model)).mean()
        assert line.estimate == pytest.approx(share)
        assert line.low < line.estimate < line.high
        assert (line.n, line.n_of) == (100, "scenes")


def test_an_advantage_is_paired(scenes):
    correct = recognition({k: constant(int(k)) for k in "12"}, scenes).data["recognition"][
        "correct"
    ]
    shares = [(scenes.digits.labels == d).mean() for d in (1, 2)]
    (line,) = advantage(correct.sel(model=["2"]), correct.sel(model=["1"])).estimates.itertuples()
    assert line.estimate == pytest.approx(shares[1] - shares[0])
    assert line.low < line.estimate < line.high and line.n == 100
    same = advantage(correct.sel(model=["1"]), correct.sel(model=["1"])).estimates.iloc[0]
    assert (same["estimate"], same["low"], same["high"]) == (0, 0, 0)
    both = advantage(correct.sel(model=["1", "2"]), correct.sel(model=["1"])).estimates.iloc[0]
    assert both["note"].startswith("means over 2 seed(s) each")


def test_a_model_that_names_nothing_is_refused(scenes):
    def silent(batch, rows):
        return {"location": (("coordinate",), torch.zeros(len(batch.image), 2))}

    with pytest.raises(InvalidInput, match="needs 'logits' of every scene; silent gives location"):
        recognition({"silent": silent}, scenes)
