"""What people pass in: each kind recorded with its pixels and labels, or refused in one line."""

import collections
import dataclasses
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image
from torch import nn
from torch.utils import data

from attnsci import load_torchvision
from attnsci.errors import AttnsciError, InvalidInput
from attnsci.recording import Site, record

BYTES = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 8), dtype=np.uint8)
IMAGES = torch.from_numpy(BYTES).float() / 255
LABELS = [3, 1, 4, 1, 5]
INPUT = Site("", what="input")


def shown(stimuli, batch_size=2, **settings):
    return record(nn.Identity(), stimuli, INPUT, batch_size=batch_size, **settings)["output"]


def picture(i, mode="RGB"):
    return Image.fromarray(BYTES[i].transpose(1, 2, 0)).convert(mode)


class Pairs(data.Dataset):
    """A map-style set of (image, label), as torchvision's are."""

    def __init__(self, images=IMAGES, labels=LABELS):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Endless(data.IterableDataset):
    """A stream of (image, label) that knows no length."""

    def __iter__(self):
        return zip(IMAGES, LABELS, strict=True)


class ByIndex:
    """The house's contract: a length, and slices that are batches."""

    @dataclasses.dataclass
    class Batch:
        image: torch.Tensor
        labels: list

        def coords(self):
            return {"label": self.labels}

    def __init__(self):
        self.slices = []

    def __len__(self):
        return 5

    def __getitem__(self, part):
        self.slices.append(part)
        return self.Batch(IMAGES[part], LABELS[part])

    def provenance(self):
        return {"seed": 7}


class Rows:
    """A table as Hugging Face's: a row by number, columns by slice."""

    def __len__(self):
        return 5

    def __getitem__(self, key):
        if isinstance(key, int):
            return {"image": picture(key), "label": LABELS[key]}
        indices = range(*key.indices(5))
        return {"image": [picture(i) for i in indices], "label": [LABELS[i] for i in indices]}

    def __iter__(self):
        return (self[i] for i in range(5))


UNLABELLED = {
    "tensor": lambda: IMAGES,
    "float64": lambda: IMAGES.double(),
    "array": lambda: IMAGES.numpy(),
    "read-only, big-endian": lambda: np.frombuffer(
        IMAGES.numpy().astype(">f4").tobytes(), ">f4"
    ).reshape(5, 3, 6, 8),
    "flipped view": lambda: IMAGES.numpy()[::-1].copy()[::-1],
    "uint8 tensor": lambda: torch.from_numpy(BYTES),
    "uint8 array": lambda: BYTES,
    "parameter": lambda: nn.Parameter(IMAGES),
    "list of tensors": lambda: list(IMAGES),
    "tuple of arrays": lambda: tuple(IMAGES.numpy()),
    "list of uint8": lambda: list(BYTES),
    "list of batches": lambda: [IMAGES[:3], IMAGES[3:]],
    "generator of images": lambda: (image for image in IMAGES),
    "generator of pictures": lambda: (picture(i) for i in range(5)),
    "deque": lambda: collections.deque([IMAGES[:3], IMAGES[3:]]),
    "values of a dict": lambda: {"a": IMAGES[:3], "b": IMAGES[3:]}.values(),
    "object array": lambda: np.array([*map(picture, range(5)), None], object)[:5],
    "PIL images": lambda: [picture(i) for i in range(5)],
    "PIL with palette and alpha": lambda: [picture(i, "RGBA") for i in range(5)],
    "TensorDataset": lambda: data.TensorDataset(IMAGES),
    "loader of images": lambda: data.DataLoader(list(IMAGES), batch_size=3),
    "data array": lambda: xr.DataArray(
        IMAGES.numpy(), dims=("picture", "channel", "y", "x")
    ).transpose("x", "channel", "picture", "y"),
}  # fmt: skip
LABELLED = {
    "set": Pairs,
    "set of pictures": lambda: Pairs([picture(i) for i in range(5)]),
    "TensorDataset": lambda: data.TensorDataset(IMAGES, torch.tensor(LABELS)),
    "labels of length 1": lambda: data.TensorDataset(IMAGES, torch.tensor(LABELS)[:, None]),
    "subset": lambda: data.Subset(Pairs([*IMAGES, *IMAGES], [*LABELS, *LABELS]), range(5)),
    "without a base class": lambda: type(
        "Bare", (), {"__len__": Pairs.__len__, "__getitem__": Pairs.__getitem__}
    ),
    "iterable set": Endless,
    "loader": lambda: data.DataLoader(Pairs(), batch_size=3),
    "loader of a stream": lambda: data.DataLoader(Endless(), batch_size=3),
    "loader without batches": lambda: data.DataLoader(Pairs(), batch_size=None),
    "loader of pictures": lambda: data.DataLoader(
        Pairs([picture(i) for i in range(5)]), batch_size=3,
        collate_fn=lambda pairs: list(zip(*pairs, strict=True)),
    ),
    "loader of mappings": lambda: data.DataLoader(
        [{"image": image, "label": label} for image, label in zip(IMAGES, LABELS, strict=True)],
        batch_size=2,
    ),
    "generator of pairs": lambda: zip(IMAGES, LABELS, strict=True),
    "generator of batches": lambda: iter([(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])]),
    "list of pairs": lambda: list(zip(IMAGES, LABELS, strict=True)),
    "list of image and mapping": lambda: [
        (image, {"label": label}) for image, label in zip(IMAGES, LABELS, strict=True)
    ],
    "list of rows": lambda: [
        {"image": picture(i), "label": np.int64(LABELS[i])} for i in range(5)
    ],
    "tuple of all": lambda: (IMAGES, torch.tensor(LABELS)),
    "tuple with mapping": lambda: (BYTES, {"label": LABELS}),
    "mapping of a list": lambda: {"image": list(IMAGES), "label": LABELS},
    "mapping of pictures": lambda: {"image": [picture(i) for i in range(5)], "label": LABELS},
    "frame": lambda: pd.DataFrame({"image": [picture(i) for i in range(5)], "label": LABELS}),
    "by index": ByIndex,
    "rows of a table": Rows,
}  # fmt: skip


@pytest.mark.parametrize("kind", UNLABELLED)
def test_images_alone(kind):
    got = shown(UNLABELLED[kind]())
    np.testing.assert_array_equal(got[:, 0], IMAGES)
    assert set(got.coords) == {"stimulus", "time", "channel", "y", "x"}


@pytest.mark.parametrize("batch_size", [2, 5])
@pytest.mark.parametrize("kind", LABELLED)
def test_images_with_labels(kind, batch_size):
    stimuli = LABELLED[kind]()
    if isinstance(stimuli, type):
        stimuli, (stimuli.images, stimuli.labels) = stimuli(), (IMAGES, LABELS)
    got = shown(stimuli, batch_size)
    np.testing.assert_array_equal(got[:, 0], IMAGES)
    assert got.label.values.tolist() == LABELS
    assert set(got.coords) == {"stimulus", "time", "channel", "y", "x", "label"}


def test_lazy_arrays_are_read_batch_by_batch(tmp_path):
    h5py, zarr, da = (pytest.importorskip(name) for name in ("h5py", "zarr", "dask.array"))
    stored = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, BYTES.shape)
    stored[:] = IMAGES
    np.testing.assert_array_equal(shown(np.load(tmp_path / "a.npy", mmap_mode="r"))[:, 0], IMAGES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        np.testing.assert_array_equal(shown(file.create_dataset("a", data=BYTES))[:, 0], IMAGES)
    array = zarr.create_array(tmp_path / "a.zarr", data=BYTES)
    np.testing.assert_array_equal(shown({"image": array, "label": LABELS})[:, 0], IMAGES)
    np.testing.assert_array_equal(shown(da.from_array(BYTES, chunks=2))[:, 0], IMAGES)


def test_a_set_by_index_is_asked_for_slices_only_and_says_where_it_is_from():
    stimuli = ByIndex()
    got = shown(stimuli, batch_size=2)
    assert stimuli.slices[1:] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    facts = json.loads(got.attrs["provenance"])["stimuli"]
    assert facts == {"kind": "ByIndex", "dtype": "float32", "provenance": {"seed": 7}}


def test_only_uint8_is_scaled_and_provenance_says_so():
    got = record(nn.Identity(), torch.from_numpy(BYTES), INPUT)
    assert got.provenance["stimuli"] == {
        "kind": "Tensor", "dtype": "uint8", "scaled": "uint8 / 255"
    }  # fmt: skip
    assert (float(got["output"].max()), got["output"].dtype) == (BYTES.max() / 255, "float32")
    words = torch.arange(12).reshape(3, 4)
    tokens = record(nn.Embedding(12, 2), words, [Site("", what="input")])["output"]
    assert tokens.dtype == "int64"
    np.testing.assert_array_equal(tokens[:, 0], words)
    assert "scaled" not in record(nn.Identity(), IMAGES, INPUT).provenance["stimuli"]


# --- refusals ----------------------------------------------------------------------------------


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(IMAGES, 0.1, 0, torch.quint8)


def masked():
    return np.ma.masked_greater(IMAGES.numpy(), 0.5)


@pytest.mark.parametrize(
    ("stimuli", "message"),
    [
        ([], "stimuli is empty: list"),
        ((), "stimuli is empty: tuple"),
        (iter(()), "nothing came from tuple_iterator"),
        (Pairs([], []), "stimuli is empty: Pairs"),
        ({"image": []}, "stimuli is empty"),
        (pd.Series([], dtype=object), "stimuli is empty"),
        (data.DataLoader([]), "stimuli is empty: DataLoader"),
        (b"bytes", "got bytes"),
        ({"a.png", "b.png"}, r"no order.*sorted\(stimuli\)"),
        ([1.0, 2.0], "got float"),
        ([[[1, 2], [3, 4]]], "got int"),
        ([IMAGES[0], "a.png", 3], "got int"),
        (np.array("x"), r"at least \(N, features\)"),
        (torch.tensor(3.0), r"at least \(N, features\)"),
        ([torch.tensor(3.0)], r"got shape \(\)"),
        ([IMAGES[0], IMAGES[0, :, :4]],
         r"one size; got \(3, 6, 8\) and \(3, 4, 8\) \(stimuli 0 and 1\)"),
        ([IMAGES[:1], IMAGES[:1, :, :4]], r"one size; got \(3, 6, 8\) and \(3, 4, 8\)\."),
        ([BYTES[0], IMAGES[0]], r"one dtype; got torch.float32 and torch.uint8"),
        ([(IMAGES[0], 1), (IMAGES[0], {"pose": 1})], r"got \['pose'\] after \['label'\]"),
        ([(IMAGES[0], 1, "left")], r"Of \(Tensor, int, str\) only image and label have names"),
        ([(IMAGES[0], [1, 2])], "one value a stimulus"),
        (Pairs([picture(0), picture(1, "L")], [0, 1]), r"Convert all: image.convert\('RGB'\)"),
        (Pairs(IMAGES, [0]), "Item 1 of Pairs cannot be read: list index out of range"),
        (iter([((IMAGES, IMAGES), LABELS)]), "show one, and add the others in forward="),
        (memoryview(BYTES), "got memoryview"),
        ((IMAGES, [1, 2]), r"'label' must have one value a stimulus, shape \(5,\); got \(2,\)"),
        (Pairs(IMAGES, torch.eye(5)), r"'label' must have one value a stimulus; .*\(5,\)"),
        (Pairs(IMAGES, [{"boxes": [1, 2]}] * 5), "'boxes' must have one value"),
        (iter([(IMAGES, [[1]] * 4 + [[1, 2]])]), r"'label' must have one value"),
        ([{"pixel_values": IMAGES[0]}], r"entry 'image'.*it has \['pixel_values'\]"),
        (pd.DataFrame({"path": ["a.png"]}), r"it has \['path'\]"),
        ({"image": [IMAGES, IMAGES]}, "one image a stimulus, not several"),
        (torch.nested.as_nested_tensor([torch.ones(1, 2), torch.ones(3, 2)],
                                       layout=torch.jagged), "nested tensor"),
        (IMAGES.to_sparse(), r"stimuli are sparse .*stimuli.to_dense\(\)"),
        ([IMAGES.to_sparse()], r"to_dense\(\)"),
        ({"image": IMAGES.to_sparse()}, r"to_dense\(\)"),
        (quantised(), r"quantised.*dequantize\(\)"),
        (IMAGES.to("meta"), "hold no values"),
        (IMAGES * 1j, r"complex \(torch.complex64\).*view_as_real"),
        (IMAGES.numpy() * 1j, "complex"),
        (masked(), r"masked in places.*filled\(0\)"),
        (np.array(["2020-01-01"] * 4, "M8[D]").reshape(2, 2), r"numbers; got .* datetime64"),
        (IMAGES.where(IMAGES > 0.5, torch.nan), "2 images hold NaN"),
        (xr.DataArray(np.ones((3, 6, 8)), dims=("channel", "y", "x")), "expand_dims"),
        (IMAGES.permute(0, 2, 3, 1).repeat(1, 2, 2, 1), r"channels last.*permute\(0, 3, 1, 2\)"),
        (list(BYTES.transpose(0, 2, 3, 1)), r"channels last.*moveaxis\(stimuli, -1, 1\)"),
    ],
)  # fmt: skip
def test_what_is_refused(stimuli, message):
    with pytest.raises(AttnsciError, match=message) as error:
        shown(stimuli)
    assert len(str(error.value)) < 320


def test_fake_tensors_and_tensor_subclasses():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        fake = torch.rand(2, 3, 4, 4)
    with pytest.raises(InvalidInput, match="hold no values"):
        shown(fake)
    tv_tensors = pytest.importorskip("torchvision.tv_tensors") if load_torchvision() else None
    np.testing.assert_array_equal(shown(tv_tensors.Image(torch.from_numpy(BYTES)))[:, 0], IMAGES)


def test_items_that_are_sequences_are_told_from_images():
    steps = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0))
    site = Site("", what="input", dims=("step", "unit"))
    for stimuli in (
        steps, {"image": steps}, data.TensorDataset(steps, torch.tensor(LABELS)),
        data.DataLoader(data.TensorDataset(steps), 3), iter([(steps, LABELS)]),
    ):  # fmt: skip
        got = record(nn.Identity(), stimuli, site, batch_size=2)["output"]
        np.testing.assert_array_equal(got[:, 0], steps)


# --- loaders and their lengths -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        ({"batch_size": 2}, 5),
        ({"batch_size": 2, "drop_last": True}, 4),
        ({"batch_sampler": data.BatchSampler(data.SequentialSampler(LABELS), 2, False)}, 5),
        ({"batch_sampler": data.BatchSampler(data.SequentialSampler(LABELS), 2, True)}, 4),
        ({"batch_size": 2, "sampler": range(3)}, 3),
    ],
)
def test_a_loader_counts_stimuli_for_a_store(settings, n, tmp_path):
    got = shown(data.DataLoader(Pairs(), **settings), store=tmp_path / "run.zarr")
    assert got.label.values.tolist() == LABELS[:n]


def test_a_loader_that_cannot_count_needs_a_number(tmp_path):
    for loader in (
        data.DataLoader(Endless(), 2),
        data.DataLoader(Pairs(), batch_sampler=[[0, 1], [2]]),
        data.DataLoader(Pairs(), batch_size=None),
    ):
        with pytest.raises(InvalidInput, match="give n_stimuli="):
            shown(loader, store=tmp_path / "run.zarr")
    got = shown(data.DataLoader(Endless(), 2), store=tmp_path / "run.zarr", n_stimuli=5)
    assert got.label.values.tolist() == LABELS


def test_a_shuffled_loader_is_for_memory_only(tmp_path):
    samplers = {
        "shuffle": True, "sampler": data.WeightedRandomSampler([1.0] * 5, 5),
        "batch_sampler": data.BatchSampler(data.RandomSampler(LABELS), 2, False),
    }  # fmt: skip
    for name, value in samplers.items():
        loader = data.DataLoader(Pairs(), **{name: value})
        with pytest.raises(InvalidInput, match=r"another order each time.*shuffle=False"):
            shown(loader, store=tmp_path / "run.zarr")
    got = shown(data.DataLoader(Pairs(labels=range(5)), 2, shuffle=True))
    np.testing.assert_array_equal(got[:, 0], IMAGES[got.label.values])
    assert not (tmp_path / "run.zarr").exists()


def test_components_need_stimuli_that_come_twice():
    model = nn.Flatten()
    twice = data.DataLoader(Pairs(), 2)
    assert record(model, twice, "", reduce="pca:2")["output"].shape == (5, 1, 2)
    with pytest.raises(InvalidInput, match="a generator can be read once"):
        record(model, iter(twice), "", reduce="pca:2")
