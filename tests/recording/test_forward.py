"""How a model is called: by `forward=` where an image is not enough, and what a misfit says."""

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording import Site, record

IMAGES = torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))
CUES = np.array([0.0, 1.0, 0.0, 2.0, 3.0])


class Cued(nn.Module):
    """Needs a cue beside its image, by keyword."""

    def __init__(self):
        super().__init__()
        self.look = nn.Linear(3, 2)

    def forward(self, image, *, cue, side="left"):
        gain = 1 + torch.as_tensor(cue, dtype=image.dtype)[:, None]
        return self.look(image.mean((2, 3)) * gain * (1 if side == "left" else -1))


def with_cue(model, image, coords):
    return model(image, cue=coords["cue"])


def test_coordinates_of_the_batch_reach_the_model():
    model = Cued()
    stimuli = {"image": IMAGES, "cue": CUES}
    got = record(model, stimuli, ["look", ""], forward=with_cue, batch_size=2)
    with torch.no_grad():
        wanted = torch.cat([model(IMAGES[i:][:2], cue=CUES[i:][:2]) for i in (0, 2, 4)])
    np.testing.assert_array_equal(got["look"][:, 0], wanted)
    np.testing.assert_array_equal(got["output"][:, 0], wanted)
    assert got["look"].cue.values.tolist() == CUES.tolist()


def test_what_is_no_coordinate_is_found_by_the_number_of_the_stimulus():
    contexts = torch.rand(5, 3)
    rows = []

    def forward(model, image, coords):
        rows.append(coords["stimulus"].tolist())
        return model(image.mean((2, 3)) + contexts[coords["stimulus"]])

    got = record(nn.Identity(), IMAGES, "", forward=forward, batch_size=2)["output"]
    assert rows == [[0, 1], [2, 3], [4]]
    np.testing.assert_allclose(got[:, 0], IMAGES.mean((2, 3)) + contexts, rtol=1e-6)
    rows.clear()
    named = {"image": IMAGES, "stimulus": [4, 3, 2, 1, 0]}
    record(nn.Identity(), named, "", forward=forward)
    assert rows == [[4, 3, 2, 1, 0]]


def test_images_reach_it_in_the_dtype_of_the_model():
    dtypes = []
    model = nn.Conv2d(3, 2, 1).double()
    record(
        model, (IMAGES * 255).to(torch.uint8), "",
        forward=lambda model, image, coords: dtypes.append(image.dtype) or model(image),
    )  # fmt: skip
    assert dtypes == [torch.float64]


def test_several_passes_and_other_entrances_than_forward():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 2, 3)

        def encode_image(self, image):
            return self.stem(image)

        def forward(self, words):
            raise AssertionError

    model = Encoder()
    got = record(
        model, IMAGES, "stem",
        forward=lambda model, image, coords: [model.encode_image(s * image) for s in (1, 2)],
    )["stem"]  # fmt: skip
    with torch.no_grad():
        for time, scale in enumerate((1, 2)):
            np.testing.assert_array_equal(got[:, time], model.stem(scale * IMAGES))


def test_components_are_fitted_through_it_too():
    model, stimuli = Cued(), {"image": IMAGES, "cue": CUES}
    site = Site("look", what="input", reduce="pca:2")
    got = record(model, stimuli, site, forward=with_cue, batch_size=2)["look"]
    rows = IMAGES.mean((2, 3)).double().numpy() * (1 + CUES[:, None])
    centred = rows - rows.mean(0)
    wanted = centred @ np.linalg.svd(centred)[2][:2].T
    np.testing.assert_allclose(abs(got[:, 0]), abs(wanted), rtol=1e-3, atol=1e-5)


def test_a_store_resumes_only_under_the_same_forward(tmp_path):
    model, stimuli = Cued(), {"image": IMAGES, "cue": CUES}
    settings = {"store": tmp_path / "run.zarr", "batch_size": 2}
    first = record(model, stimuli, "look", forward=with_cue, **settings)
    again = record(model, stimuli, "look", forward=with_cue, **settings)
    np.testing.assert_array_equal(first["look"], again["look"])
    with pytest.raises(RecordingError, match="forward: stored"):
        record(
            model, stimuli, "look", **settings,
            forward=lambda model, image, coords: model(image, cue=-coords["cue"]),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        ("encode", r"function of \(model, image, coords\); got str"),
        (lambda image: image, r"got one of \(image\)"),
        (lambda model, image, coords, cue: None, r"got one of \(model, image, coords, cue\)"),
    ],
)
def test_what_is_no_forward(forward, message):
    with pytest.raises(InvalidInput, match=message):
        record(nn.Identity(), IMAGES, "", forward=forward)


class Whitens(nn.Module):
    """Repeats a grey image itself, so a set of one channel does fit it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, image):
        return self.conv(image.expand(-1, 3, -1, -1))


class ByRows(nn.Module):
    """Takes images (N, H, W)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, image):
        return self.conv(image[:, None])


class LastChannels(nn.Module):
    """Takes images (N, H, W, C)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, image):
        return self.conv(image.movedim(-1, 1))


class PixelValues(nn.Module):
    def forward(self, input_ids=None, pixel_values=None):
        return pixel_values.mean((2, 3))


class Clip(PixelValues):
    def get_image_features(self, pixel_values):
        return self(pixel_values=pixel_values)


def conv(channels=3):
    return nn.Sequential(nn.Conv2d(channels, 2, 3), nn.BatchNorm2d(2), nn.Flatten())


@pytest.mark.parametrize(
    ("model", "stimuli", "message"),
    [
        (conv(), IMAGES[0], r"\(3, 6, 6\) came.*takes \(N, C, H, W\).*stimuli\[None\]"),
        (nn.Conv2d(3, 2, 3), IMAGES[0], r"stimuli\[None\]\.$"),
        (conv(1), IMAGES[:, 0], r"Add the channel axis: stimuli\[:, None\]"),
        (conv(1), IMAGES[0, 0], r"stimuli\[None, None\]"),
        (conv(1), list(IMAGES[:, 0]), r"torch.stack\(stimuli\)\[:, None\]"),
        (conv(), IMAGES[:, :1], r"1 channels, .* takes 3\. Repeat it: .*expand\(-1, 3, -1, -1\)"),
        (conv(1), IMAGES, r"3 channels, .* takes 1\. Give images of 1\."),
        (conv(), IMAGES.movedim(1, -1), r"channels last.*permute\(0, 3, 1, 2\)"),
        (conv(), (IMAGES * 255).long(), r"torch.int64, .*stimuli.float\(\) / 255"),
        (conv(), IMAGES > 0.5, r"torch.bool, which is shown as it is"),
        (Cued(), IMAGES, r"no call of Cued: missing a required.*'cue'.*forward=lambda"),
        (PixelValues(), IMAGES, r"first argument .* 'input_ids'.*model\(pixel_values=image\)"),
        (Clip(), IMAGES, r"model\.get_image_features\(pixel_values=image\)"),
        (nn.ModuleList([nn.Identity()]), IMAGES, "ModuleList has no forward"),
        (nn.Conv1d(3, 2, 3), IMAGES[0, 0], r"takes \(N, C, W\)"),
        (nn.Conv3d(3, 2, 3), IMAGES, r"takes \(N, C, D, H, W\)"),
    ],
)
def test_a_misfit_is_told_with_the_line_to_write(model, stimuli, message):
    with pytest.raises(InvalidInput, match=message):
        record(model, stimuli, "0" if isinstance(model, nn.ModuleList) else "", batch_size=5)


@pytest.mark.parametrize(
    ("model", "stimuli"),
    [
        (Whitens(), IMAGES[:, :1]),
        (ByRows(), IMAGES[:, 0]),
        (conv(9), torch.rand(2, 9, 7, 3)),
        (nn.Conv2d(6, 2, 1), torch.rand(2, 6, 5, 1)),
        (nn.Identity(), torch.rand(2, 9, 4, 4)),
    ],
)
def test_what_runs_is_not_second_guessed(model, stimuli):
    got = record(model, stimuli, "")["output"]
    with torch.no_grad():
        np.testing.assert_array_equal(got[:, 0], model.eval()(stimuli))


def test_channels_last_is_possible_where_it_is_meant():
    model, stimuli = LastChannels(), IMAGES.movedim(1, -1)
    with pytest.raises(InvalidInput, match=r"channels last.*If it does take them so: forward="):
        record(model, stimuli, "")
    got = record(model, stimuli, "conv", forward=lambda model, image, coords: model(image))
    with torch.no_grad():
        np.testing.assert_array_equal(got["conv"][:, 0], model(stimuli))


def test_the_model_s_own_errors_stay_what_they_are():
    class Breaks(nn.Module):
        def forward(self, image):
            raise ValueError("out of cheese")

    with pytest.raises(ValueError, match="out of cheese") as error:
        record(Breaks(), IMAGES, "")
    assert str(error.value) == "out of cheese"
    assert not isinstance(error.value, InvalidInput)
    assert error.value.__notes__ == ["The model was shown float32 stimuli of shape (5, 3, 6, 6)."]
