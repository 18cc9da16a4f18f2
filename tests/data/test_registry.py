"""The registry: complete, unambiguous, and nobody else's file in the project."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from attnsci.data.registry import DataFile, get_dataset, registry
from attnsci.errors import UnknownName

PACKAGE = Path(__import__("attnsci").__file__).parent
REPOSITORY = PACKAGE.parent
ALLOWED_IN_PACKAGE = {
    ".py",
    ".pyi",
    ".toml",
    ".safetensors",
    ".json",
    ".typed",
    ".md",
    ".html",
    ".css",
    ".js",
}
# fmt: off
DATA_SUFFIXES = {
    ".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz", ".npy", ".pkl", ".pickle", ".pt", ".pth", ".mat",
    ".h5", ".hdf5", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".parquet", ".edf", ".asc",
}
# fmt: on


def test_every_entry_says_what_it_is():
    for name, dataset in registry().items():
        assert dataset.name == name
        assert dataset.licence and dataset.citation and dataset.title and dataset.version, name
        assert dataset.files, name
        assert bool(dataset.bundled_by) != bool(dataset.base_url), name


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_file_has_size_and_checksum(name):
    for file in get_dataset(name).files:
        assert file.bytes > 0
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum)
        assert file.sha256_unpacked == "" or re.fullmatch("[0-9a-f]{64}", file.sha256_unpacked)
        assert bool(file.url) != bool(get_dataset(name).bundled_by)


def test_checksum_prefers_sha256():
    assert DataFile("a", 1, sha256="12", md5="34").checksum == "sha256:12"
    assert DataFile("a", 1, md5="34").checksum == "md5:34"


def test_addresses_and_sizes_are_the_known_ones():
    mnist = get_dataset("mnist")
    assert mnist.bytes == 9_912_422 + 28_881 + 1_648_877 + 4_542
    assert mnist.files[2].url == (
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz"
    )
    coco = get_dataset("coco-2017-train")
    assert [file.url for file in coco.files] == [
        "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
        "http://images.cocodataset.org/zips/train2017.zip",
    ]
    assert coco.files[1].checksum == "md5:cced6f7f71b7629ddf16f17bbcfab6b2"


def test_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"'minst'.*'mnist'"):
        get_dataset("minst")


def test_package_holds_no_data_file_of_others():
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    # Numbers from papers, in tables of our own, stand beside the paper that they belong to.
    files = [p for p in files if not p.name.endswith("published.csv")]
    assert len(files) > 5
    assert {p.suffix for p in files} <= ALLOWED_IN_PACKAGE
    small = [p for p in files if p.suffix != ".safetensors"]
    assert max(p.stat().st_size for p in small) < 200_000


def test_repository_holds_no_data_file_of_others():
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("needs a git checkout")
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    files = [path for path in files if path.is_file()]
    assert [p for p in files if p.suffix.lower() in DATA_SUFFIXES] == []
    known = {
        checksum
        for dataset in registry().values()
        if dataset.bundled_by != "attnsci"
        for file in dataset.files
        for checksum in (file.sha256, file.sha256_unpacked)
    }
    assert known.isdisjoint(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def test_the_table_of_the_readme_agrees():
    readme = (REPOSITORY / "data" / "README.md").read_text("utf-8")
    rows = {
        cells[0].strip("`"): cells
        for line in readme.splitlines()
        if line.startswith("| `")
        for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
    }
    assert list(rows) == list(registry())
    for name, dataset in registry().items():
        comes_from = f"with `{dataset.bundled_by}`" if dataset.bundled_by else "download"
        if not dataset.bundled_by and not dataset.fetcher:
            comes_from = "your own copy"
        assert rows[name][1:4] == [comes_from, f"{dataset.bytes:,}", dataset.licence]
        assert rows[name][4] == dataset.citation
