"""COCO from a server on this machine: consent, checksums, unpacking, and what is left behind."""

import dataclasses
import hashlib
import io
import json
import zipfile

import pytest

import attnsci.data.coco_fetch
import attnsci.data.fetch
import attnsci.data.places
import attnsci.data.registry
from attnsci.data.coco_fetch import fetch_coco, unpack
from attnsci.data.fetch import get
from attnsci.data.places import clear, where
from attnsci.data.registry import get_dataset, registry
from attnsci.errors import (
    ChecksumMismatch,
    DatasetCorrupt,
    InvalidInput,
    LicenceNotAccepted,
    OfflineError,
    StorageError,
)


def archive(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as content:
        for name, text in members.items():
            content.writestr(name, text)
    return out.getvalue()


ANNOTATIONS = archive(
    **{
        "annotations/instances_val2017.json": json.dumps({"of": "val"}),
        "annotations/instances_train2017.json": json.dumps({"of": "train"}),
        "annotations/captions_val2017.json": "{}",
    }
)
VAL = archive(**{"val2017/": "", "val2017/1.jpg": "one", "val2017/2.jpg": "two"})
TRAIN = archive(**{"train2017/3.jpg": "three"})


@pytest.fixture
def small_coco(loopback, monkeypatch):
    """Put a small COCO that the loopback server holds in place of the registered one."""
    loopback.files = {
        "annotations/annotations_trainval2017.zip": ANNOTATIONS,
        "zips/val2017.zip": VAL,
        "zips/train2017.zip": TRAIN,
    }
    entries = dict(registry())
    for name in ("coco-2017-val", "coco-2017-train"):
        files = []
        for file in entries[name].files:
            remote = file.url.removeprefix(entries[name].base_url)
            content = loopback.files[remote]
            facts = {
                "bytes": len(content),
                "url": f"http://127.0.0.1:{loopback.server_port}/{remote}",
                "md5": hashlib.md5(content).hexdigest(),
                "sha256": hashlib.sha256(content).hexdigest() if file.sha256 else "",
            }
            files.append(dataclasses.replace(file, **facts))
        entries[name] = dataclasses.replace(entries[name], files=tuple(files))
    for module in (
        attnsci.data.registry,
        attnsci.data.places,
        attnsci.data.fetch,
        attnsci.data.coco_fetch,
    ):
        monkeypatch.setattr(module, "registry", lambda: entries)
    return loopback


def held(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_nothing_is_downloaded_without_consent(small_coco, tmp_path):
    with pytest.raises(LicenceNotAccepted) as caught:
        fetch_coco()
    text = str(caught.value)
    for file in get_dataset("coco-2017-val").files:
        assert file.url in text and file.checksum in text and f"{file.bytes:,} bytes" in text
    assert "CC-BY-4.0" in text and "Flickr author" in text and str(tmp_path / "cache/coco") in text
    assert "accept=True" in text and "attnsci datasets get coco-2017-val --accept" in text
    assert small_coco.requests == []
    with pytest.raises(LicenceNotAccepted):
        get("coco-2017-train")
    assert held(tmp_path / "cache") == ["README.md"]


def test_the_real_terms(loopback):
    with pytest.raises(LicenceNotAccepted, match=r"19\.3 GB \(19,336,861,798 bytes\)"):
        fetch_coco("train2017")
    with pytest.raises(LicenceNotAccepted, match="sha256:4f7e2ccb2866ec5041993c9cf2a952bb"):
        fetch_coco("val2017")


def test_a_good_download(small_coco, tmp_path):
    folder = fetch_coco(accept=True)
    assert folder == tmp_path / "cache/coco" == where("coco-2017-val")
    # The archives are gone, and the annotations of both splits came at once.
    assert held(folder) == [
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
        "val2017/1.jpg",
        "val2017/2.jpg",
    ]
    assert (folder / "val2017/2.jpg").read_text() == "two"
    assert len(small_coco.requests) == 2
    assert fetch_coco() == folder and len(small_coco.requests) == 2  # no consent to nothing
    fetch_coco("train2017", accept=True)
    assert small_coco.requests[2:] == ["zips/train2017.zip"]
    assert (folder / "train2017/3.jpg").read_text() == "three"


def test_forced_it_replaces_what_is_there(small_coco):
    folder = fetch_coco(accept=True)
    (folder / "val2017/stale.jpg").write_text("old")
    with pytest.raises(LicenceNotAccepted):
        fetch_coco(force=True)
    fetch_coco(force=True, accept=True)
    assert len(small_coco.requests) == 4
    assert sorted(p.name for p in (folder / "val2017").iterdir()) == ["1.jpg", "2.jpg"]


def test_get_and_clear_by_name(small_coco, tmp_path):
    assert get("coco-2017-val", accept=True) == f"coco-2017-val is in {tmp_path / 'cache/coco'}."
    clear("coco-2017-val")
    assert held(tmp_path / "cache/coco") == ["annotations/instances_train2017.json"]


def test_a_copy_of_ones_own_is_found(small_coco, tmp_path, monkeypatch):
    given = tmp_path / "given/coco"
    (given / "val2017").mkdir(parents=True)
    monkeypatch.setenv("ATTNSCI_DATA", str(given.parent))
    with pytest.raises(LicenceNotAccepted):
        fetch_coco()
    (given / "annotations").mkdir()
    (given / "annotations/instances_val2017.json").write_text("{}")
    assert fetch_coco() == given and small_coco.requests == []


def test_something_else_is_sent(small_coco, tmp_path):
    small_coco.files["zips/val2017.zip"] = TRAIN
    with pytest.raises(ChecksumMismatch, match=r"zips/val2017\.zip sent something else"):
        fetch_coco(accept=True)
    # What had arrived whole stays, is not asked for again, and is unpacked then.
    assert held(tmp_path / "cache/coco") == ["annotations_trainval2017.zip"]
    small_coco.files["zips/val2017.zip"] = VAL
    fetch_coco(accept=True)
    assert [name.split("/")[0] for name in small_coco.requests] == ["annotations", "zips", "zips"]


def test_offline(small_coco):
    with pytest.raises(OfflineError, match="offline=True"):
        fetch_coco(accept=True, offline=True)
    assert small_coco.requests == []


def test_an_unknown_split(small_coco):
    with pytest.raises(InvalidInput, match="'val2017', 'train2017'; got 'test2017'"):
        fetch_coco("test2017")


def test_archives_that_cannot_be_unpacked(tmp_path):
    path = tmp_path / "val2017.zip"
    path.write_bytes(VAL[:-30])
    with pytest.raises(DatasetCorrupt, match=r"cannot be unpacked.*Delete it"):
        unpack(path, tmp_path, ["val2017"])
    path.write_bytes(VAL.replace(b"two", b"twp"))  # the checksum within
    with pytest.raises(DatasetCorrupt, match="CRC"):
        unpack(path, tmp_path, ["val2017"])
    path.write_bytes(TRAIN)
    with pytest.raises(DatasetCorrupt, match="holds no val2017"):
        unpack(path, tmp_path, ["val2017"])
    assert held(tmp_path) == ["val2017.zip"]


def test_names_that_lead_out_of_the_folder(tmp_path):
    path = tmp_path / "cache/val2017.zip"
    path.parent.mkdir()
    path.write_bytes(archive(**{"val2017/1.jpg": "one", "val2017/../../out.jpg": "two"}))
    unpack(path, path.parent, ["val2017"])
    assert held(tmp_path) == ["cache/val2017/1.jpg"]


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    path = tmp_path / "val2017.zip"
    path.write_bytes(VAL)
    monkeypatch.setattr(attnsci.data.coco_fetch.shutil, "copyfileobj", full)
    with pytest.raises(StorageError, match=r"No space left.*ATTNSCI_CACHE"):
        unpack(path, tmp_path, ["val2017"])
    assert held(tmp_path) == ["val2017.zip"]
