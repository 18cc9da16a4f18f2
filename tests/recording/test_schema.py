import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording import Site, record
from attnsci.recording.schema import MEBIBYTE, Layer, choose_chunk

IMAGES = torch.rand(7, 1, 4, 3, generator=torch.Generator().manual_seed(0))
LABELS = np.arange(7) * 10
CUES = ["left", "right", None, "left", "left", "right", "left"]


@dataclasses.dataclass
class Batch:
    image: torch.Tensor
    label: torch.Tensor
    cue: list
    mask: torch.Tensor  # (N, H, W): not one value a stimulus, so no coordinate


@dataclasses.dataclass
class Scenes:
    image: torch.Tensor
    offset: torch.Tensor

    def coords(self):
        return {"label": torch.tensor(LABELS)[: len(self.image)]}


class Streamed:
    """A set too large for memory: made batch by batch, its length known."""

    def __init__(self, cuts):
        self.cuts = cuts

    def __len__(self):
        return 7

    def __iter__(self):
        for start, stop in self.cuts:
            yield IMAGES[start:stop], {"label": LABELS[start:stop], "cue": CUES[start:stop]}


def dataset():
    image = xr.DataArray(IMAGES.numpy().astype(float), dims=("stimulus", "channel", "y", "x"))
    coords = {"label": ("stimulus", LABELS), "cue": ("stimulus", np.array(CUES, object))}
    return xr.Dataset({"image": image}, {**coords, "y": np.arange(4), "version": 3})


@pytest.mark.parametrize(
    "stimuli",
    [
        Batch(IMAGES, torch.tensor(LABELS), CUES, torch.zeros(7, 4, 3)),
        {"image": IMAGES, "label": LABELS, "cue": CUES},
        {"image": IMAGES.numpy(), "label": LABELS.tolist(), "cue": np.array(CUES, object)},
        dataset(),
        dataset().transpose("y", "x", "channel", "stimulus"),
        Streamed([(0, 3), (3, 7)]),
        Streamed([(0, 1), (1, 6), (6, 7)]),
        iter(Streamed([(0, 7)])),
        [Batch(IMAGES[i:][:1], torch.tensor(LABELS[i:][:1]), CUES[i:][:1], torch.zeros(1, 4, 3))
         for i in range(7)],
    ],
    ids=["dataclass", "mapping", "numpy", "dataset", "transposed", "stream", "ragged stream",
         "unknown length", "list"],
)  # fmt: skip
def test_every_kind_of_stimuli_gives_the_same_recording(stimuli):
    got = record(nn.Conv2d(1, 1, 1), stimuli, Site("", what="input"), batch_size=2)["output"]
    np.testing.assert_array_equal(got[:, 0], IMAGES)
    assert got.label.values.tolist() == LABELS.tolist()
    assert got.cue.values.tolist() == ["left", "right", "", "left", "left", "right", "left"]
    assert set(got.coords) == {"stimulus", "time", "channel", "y", "x", "label", "cue"}
    assert got.stimulus.values.tolist() == list(range(7))


def test_coords_method_is_preferred_to_fields():
    got = record(nn.Identity(), Scenes(IMAGES, torch.zeros(7)), "")["output"]
    assert "label" in got.coords
    assert "offset" not in got.coords


def test_bare_tensor_and_own_stimulus_index():
    assert record(nn.Identity(), IMAGES, "")["output"].stimulus.values.tolist() == list(range(7))
    named = record(nn.Identity(), {"image": IMAGES, "stimulus": list("abcdefg")}, "")["output"]
    np.testing.assert_array_equal(named.sel(stimulus="c")[0], IMAGES[2])


def test_the_digest_of_the_stimuli_does_not_depend_on_how_they_come():
    hashes = {
        tuple(
            record(nn.Identity(), s, "", batch_size=b).provenance[k] for k in ("images", "coords")
        )
        for s, b in [
            ({"image": IMAGES, "label": LABELS, "cue": CUES}, 3),
            (Streamed([(0, 5), (5, 7)]), 2),
        ]
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("stimuli", "message"),
    [
        (None, "got NoneType"),
        ({"label": [1]}, "needs an entry 'image'"),
        (torch.zeros(0, 1, 2, 2), "not empty"),
        (torch.zeros(3), r"at least \(N, features\)"),
        ({"image": IMAGES, "label": [1, 2]}, r"'label' must have one value.*got \(2,\)"),
        ({"image": IMAGES, "a/b": LABELS}, "'a/b' cannot name"),
        ({"image": IMAGES, "mixed": [1, "a", 2, 3, 4, 5, 6]}, "mixes int, str"),
        ({"image": IMAGES, "z": LABELS * 1j}, "complex128"),
        ([(IMAGES, {"a": LABELS}), (IMAGES, {"b": LABELS})], "same coordinates"),
        ([1, 2], "got int"),
        (torch.full((2, 1, 3, 3), torch.nan), "2 images hold NaN"),
    ],
)
def test_stimuli_that_cannot_be_used(stimuli, message):
    with pytest.raises(InvalidInput, match=message):
        record(nn.Identity(), stimuli, "")


def test_announced_and_real_number_must_agree():
    with pytest.raises(InvalidInput, match="n_stimuli=3, and there are 7"):
        record(nn.Identity(), IMAGES, "", n_stimuli=3)
    with pytest.raises(RecordingError, match="9 stimuli were announced and 7 came"):
        record(nn.Identity(), iter([IMAGES]), "", n_stimuli=9)
    with pytest.raises(InvalidInput, match="5 stimuli were announced and batch 0"):
        record(nn.Identity(), iter([IMAGES]), "", n_stimuli=5)


@pytest.mark.parametrize(
    ("out", "dtype", "kept"),
    [
        (torch.float64, "float32", "float32"),
        (torch.bfloat16, "float32", "float32"),
        (torch.float16, "float32", "float32"),
        (torch.float32, "float16", "float16"),
        (torch.float32, "float64", "float64"),
        (torch.int64, "float32", "int64"),
        (torch.uint8, "float16", "uint8"),
        (torch.bool, "float32", "bool"),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [3, 7])
def test_dtypes(out, dtype, kept, batch_size):
    class Cast(nn.Module):
        def forward(self, x):
            return (x * 4).to(out)

    got = record(Cast(), IMAGES, "", dtype=dtype, batch_size=batch_size)["output"]
    assert got.dtype == kept
    expected = (IMAGES * 4).to(out).to(getattr(torch, kept)).numpy()
    np.testing.assert_array_equal(got[:, 0], expected)


def test_complex_and_unknown_dtypes_are_refused():
    class Spectrum(nn.Module):
        def forward(self, x):
            return torch.fft.rfft2(x)

    with pytest.raises(RecordingError, match=r"complex64.*view_as_real"):
        record(Spectrum(), IMAGES, "")
    with pytest.raises(InvalidInput, match="dtype must be one of 'float16', 'float32'"):
        record(Spectrum(), IMAGES, "", dtype="bfloat16")


def layers(bytes_per_stimulus):
    return [Layer("a", ("unit",), (1, bytes_per_stimulus // 4), np.dtype("float32"))]


@pytest.mark.parametrize(
    ("each", "batch", "n", "expected"),
    [
        (400, 64, 10**6, 328 * 64),  # 8 MiB are 327.7 batches
        (436 * 1024, 64, 512, 64),  # one batch is 27 MiB
        (4, 64, 500, 512),  # few and small: one chunk
    ],
)
def test_chunk_is_a_multiple_of_the_batch_within_bounds(each, batch, n, expected):
    chunk = choose_chunk(layers(each), batch, None, n, 512 * MEBIBYTE)
    assert chunk == expected


def test_memory_bound_of_the_buffers():
    assert choose_chunk(layers(MEBIBYTE), 2, None, 100, 12 * MEBIBYTE) == 4
    with pytest.raises(InvalidInput, match="need 48 MiB, and max_memory is 12 MiB"):
        choose_chunk(layers(MEBIBYTE), 16, None, 100, 12 * MEBIBYTE)
    with pytest.raises(InvalidInput, match="chunk=5 and batches of 2"):
        choose_chunk(layers(8), 2, 5, 100, 12 * MEBIBYTE)
