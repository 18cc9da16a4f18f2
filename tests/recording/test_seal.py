"""What a store says besides its activations cannot be altered, deleted or added without a word."""

import json
import shutil

import numpy as np
import pytest
import torch
import zarr

from attnsci.errors import RecordingError
from attnsci.recording import Site, open_recording, record
from attnsci.recording.seal import ATTRIBUTE, content_digest

STIMULI = {
    "image": torch.linspace(0, 1, 18).reshape(6, 3),
    "angle": np.linspace(0, 75, 6),
    "category": ["cat", "dog", "cat", "bus", "dog", "é"],
}


def model():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def streamed(path):
    record(model(), STIMULI, "", batch_size=2, chunk=2, store=path)


def saved(path):
    record(model(), STIMULI, "", batch_size=2).save(path)


def flip(file, place=-1):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def attribute(file, **values):
    described = json.loads(file.read_text())
    described["attributes"].update(values)
    file.write_text(json.dumps(described))


DAMAGES = {
    "a number of a coordinate": lambda s: flip(next((s / "output" / "angle" / "c").rglob("0"))),
    "text of a coordinate": lambda s: flip(next((s / "output" / "category" / "c").rglob("0"))),
    "a coordinate deleted": lambda s: shutil.rmtree(s / "output" / "angle"),
    "its chunk deleted": lambda s: shutil.rmtree(s / "output" / "angle" / "c"),
    "a coordinate added": lambda s: shutil.copytree(
        s / "output" / "angle", s / "output" / "tilt"
    ),
    "a layer's attribute": lambda s: attribute(s / "output" / "activation" / "zarr.json", unit="V"),
    "provenance": lambda s: attribute(s / "zarr.json", provenance='{"model": "another"}'),
    "byte order": lambda s: (s / "output" / "activation" / "zarr.json").write_text(
        (s / "output" / "activation" / "zarr.json").read_text().replace('"little"', '"big"')
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("make", [streamed, saved])
def test_what_is_altered_is_refused(tmp_path, make, damage):
    store = tmp_path / "run.zarr"
    make(store)
    assert open_recording(store)["output"].category.values.tolist() == STIMULI["category"]
    DAMAGES[damage](store)
    with pytest.raises(RecordingError, match="damaged: its coordinates, attributes or files"):
        open_recording(store)


def test_a_resume_does_not_seal_what_was_altered(tmp_path):
    store = tmp_path / "run.zarr"
    streamed(store)
    attribute(store / "output" / "activation" / "zarr.json", unit="V")
    with pytest.raises(RecordingError, match="damaged: its coordinates"):
        streamed(store)


def test_a_saved_chunk_that_was_deleted_is_no_fill_value(tmp_path):
    store = tmp_path / "run.zarr"
    saved(store)
    next(f for f in (store / "output" / "activation" / "c").rglob("*") if f.is_file()).unlink()
    with pytest.raises(RecordingError, match="damaged"):
        open_recording(store)


def test_a_damaged_activation_is_still_recorded_again(tmp_path):
    store = tmp_path / "run.zarr"
    streamed(store)
    whole = open_recording(store)["output"].values
    flip(next(f for f in (store / "output" / "activation" / "c" / "1").rglob("*") if f.is_file()))
    with pytest.raises(RecordingError, match="repeat the record"):
        open_recording(store)["output"].compute()
    streamed(store)
    np.testing.assert_array_equal(open_recording(store)["output"].values, whole)


class Thinks(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.core = torch.nn.Linear(3, 3)

    def forward(self, x):
        last = x.min() > 0.6
        for _ in range(1 + int(last)):
            x = self.core(x)
        return x


def test_a_count_of_calls_that_was_deleted_is_recorded_again(tmp_path):
    def make():
        torch.manual_seed(0)
        store, site = tmp_path / "run.zarr", Site("core", ragged="pad")
        return record(Thinks(), STIMULI, site, batch_size=2, chunk=2, store=store)

    whole = make()["core"].n_calls.values
    assert whole.tolist() == [1, 1, 1, 1, 2, 2]
    (tmp_path / "run.zarr" / "core" / "n_calls" / "c" / "2").unlink()
    with pytest.raises(RecordingError, match="2 of 3 chunks"):
        open_recording(tmp_path / "run.zarr")
    np.testing.assert_array_equal(make()["core"].n_calls.values, whole)


def test_an_end_that_was_interrupted_is_written_by_the_next_call(tmp_path):
    store = tmp_path / "run.zarr"
    streamed(store)
    attribute(store / "zarr.json", complete=0)
    shutil.rmtree(store / "output" / "angle")
    with pytest.raises(RecordingError, match="not whole"):
        open_recording(store)
    streamed(store)
    assert open_recording(store)["output"].angle.values.tolist() == STIMULI["angle"].tolist()


def test_a_damaged_netcdf_file_is_our_error_alone(tmp_path):
    saved(tmp_path / "run.nc")
    content = (tmp_path / "run.nc").read_bytes()
    (tmp_path / "run.nc").write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError, match="cannot be read as a recording"):
        open_recording(tmp_path / "run.nc")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_what_other_tools_add_at_the_root_does_no_harm(tmp_path):
    store = tmp_path / "run.zarr"
    saved(store)
    before = json.loads((store / "zarr.json").read_text())["attributes"][ATTRIBUTE]
    zarr.consolidate_metadata(store)
    assert content_digest(store) == before
    assert open_recording(store)["output"].sizes["stimulus"] == 6
