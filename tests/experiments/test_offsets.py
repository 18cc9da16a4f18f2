"""Accuracy all over the visual field."""

import numpy as np
import pytest
import torch
import xarray as xr

from attnsci.data.digits import load_mnist
from attnsci.data.offset_scenes import noisy_scene, plain_scene
from attnsci.errors import InvalidInput
from attnsci.experiments.offsets import (
    AGREEMENT,
    ANISOTROPY,
    HALF_WIDTH,
    PROFILE,
    OffsetDigits,
    agreement,
    anisotropy,
    answers_by_offset,
    visual_field,
)
from attnsci.recording.responses import classifier


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test", "bundled").subset(np.arange(0, 1000, 50))


def test_a_map_is_right_where_the_network_is(digits):
    """Of a network that names digits by where their ink is, only where that is true."""

    def lower_half(images):
        """Say the label 1 if there is more ink below than above, else 0."""
        below = images[..., 14:, :].sum((1, 2, 3)) > images[..., :14, :].sum((1, 2, 3))
        return torch.stack([~below, below], 1).float()

    ones = digits.subset(np.flatnonzero(digits.labels == 1))
    stimuli = OffsetDigits(ones, plain_scene((28, 28)), reach_px=12, stride_px=6)
    correct = answers_by_offset(classifier(lower_half), stimuli)
    assert correct.dims == ("stimulus", "y", "x")
    assert correct["y"].values.tolist() == [-12, -6, 0, 6, 12]
    assert correct.sel(y=12).all() and not correct.sel(y=-12).any()
    assert (correct.sel(y=6, x=-12) == correct.sel(y=6, x=12)).all()


def test_networks_that_answer_several_times_have_a_map_for_each(digits):
    def twice(images):
        logits = torch.zeros(len(images), 2, 10)
        logits[:, 0, 3], logits[:, 1, 7] = 1, 1
        return logits

    stimuli = OffsetDigits(digits, plain_scene((28, 28)), reach_px=9, stride_px=9)
    correct = answers_by_offset(classifier(twice), stimuli)
    assert correct.dims == ("stimulus", "y", "x", "time")
    assert (correct.isel(time=0, x=0, y=0).values == (digits.labels == 3)).all()
    assert (correct.isel(time=1, x=0, y=0).values == (digits.labels == 7)).all()
    fields = visual_field(correct, n_resamples=20)
    assert fields.at(quantity=HALF_WIDTH)["time"].tolist() == [0, 1]
    assert fields.data["map"]["accuracy"].sizes == {"y": 3, "x": 3, "time": 2}


def test_a_stimulus_is_the_same_however_batches_are_cut(digits):
    stimuli = OffsetDigits(digits, plain_scene((28, 42), 0.3, 1), reach_px=9, stride_px=9)
    whole, index = stimuli[:], [140, 3, 141, 60, 3]
    batch = stimuli[index]
    assert torch.equal(batch.image, whole.image[index])
    assert all(torch.equal(v, whole.metadata[k][index]) for k, v in batch.metadata.items())
    centre = whole.metadata["dx"] == 0
    assert (whole.metadata["x"][centre] == 21).all()
    assert (whole.metadata["y"] - whole.metadata["dy"] == 14).all()

    def bright(images):
        return torch.stack([images[:, 0, k, 3 * k] for k in range(10)], 1)

    maps = [answers_by_offset(classifier(bright), stimuli, batch_size=n) for n in (7, 180)]
    assert (maps[0] == maps[1]).all()


def test_a_map_needs_decisions(digits):
    def silent(batch, rows):
        return {"hidden": (("unit",), batch.image.flatten(1))}

    stimuli = OffsetDigits(digits, noisy_scene(0, size=28), reach_px=9, stride_px=9)
    with pytest.raises(InvalidInput, match=r"'logits' or 'prediction'.*hidden"):
        answers_by_offset(silent, stimuli)


def cone(radius, n=40, seeds=0):
    """Answers that are right within `radius` of the middle, and by chance one in ten outside."""
    offsets = np.arange(-27, 28, 3)
    away = np.hypot(offsets, offsets[:, None])
    lucky = (np.arange(n) % 10 == 0)[:, None, None]
    right = np.where(away < radius, True, lucky)
    answers = xr.DataArray(
        right, {"y": offsets, "x": offsets, "label": ("stimulus", np.arange(n) % 10)},
        ("stimulus", "y", "x"),
    )  # fmt: skip
    return xr.concat([answers] * seeds, "seed") if seeds else answers


@pytest.mark.parametrize("seeds", [0, 2])
def test_a_map_has_its_half_width_and_profile(seeds):
    correct = cone(13, seeds=seeds)
    outcome = visual_field(correct)
    assert outcome.data["map"].attrs["chance"] == 0.1
    (width,) = outcome.at(quantity=HALF_WIDTH).itertuples()
    assert 11.5 < width.estimate < 14
    assert width.n == 40 and width.n_of == "digits"
    profile = outcome.at(quantity=PROFILE)["estimate"].tolist()
    assert profile[0] == 1
    assert profile[-1] == pytest.approx(0.1)
    assert outcome.data["map"]["accuracy"].shape == (19, 19)
    (even,) = anisotropy(correct).at(quantity=ANISOTROPY).itertuples()
    assert abs(even.estimate) < 1e-9
    assert even.low <= even.estimate <= even.high


def test_maps_are_compared_where_ink_is():
    same = visual_field(cone(13)).data["map"]["accuracy"]
    assert agreement(same, same).estimates["estimate"].item() == pytest.approx(1)
    # Beyond the ink nothing counts.
    away = xr.apply_ufunc(np.hypot, same["x"], same["y"])
    other = xr.where(away < 22, same - 0.05, 0.9)
    (match,) = agreement(same, other).at(quantity=AGREEMENT).itertuples()
    assert match.estimate == pytest.approx(1)
    assert match.n == int((away < 22).sum())
    assert match.note == "ours − published +0.050 on average, RMSE 0.050"
