import json
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from attnsci.errors import InvalidInput, MissingDependency, RecordingError, UnknownName
from attnsci.recording import Site, open_recording, record

N = 12
IMAGES = torch.rand(N, 1, 6, 5, generator=torch.Generator().manual_seed(0))
COORDS = {
    "orientation_deg": np.arange(N) * 15.0,
    "cue": ["valid", "invalid", None] * 4,
    "target": np.arange(N) % 2 == 0,
    "label": np.arange(N) % 4,
}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.core, self.head = nn.Conv2d(1, 2, 3), nn.Linear(24, 24), nn.Linear(24, 3)

    def forward(self, x):
        h = self.conv(x).flatten(1)
        for _ in range(3):
            h = self.core(h)
        return self.head(h)


CORE = Site("core", coords={"phase": ("time", ["a", "a", "b"])})
CONV = Site("conv", coords={"y_deg": ("y", [0.0, 0.5, 1.0, 1.5])})


def make(**options):
    return record(Network(), {"image": IMAGES, **COORDS}, [CONV, CORE, "head"], **options)


@pytest.fixture(params=["memory", "store", "zarr", "netcdf"])
def recording(request, tmp_path):
    if request.param == "store":
        return make(store=tmp_path / "run.zarr", batch_size=4, chunk=4)
    if request.param == "memory":
        return make()
    suffix = "nc" if request.param == "netcdf" else "zarr"
    return open_recording(make().save(tmp_path / f"run.{suffix}"))


def test_every_layer_carries_every_stimulus_coordinate(recording):
    assert recording.layers == list(recording) == ["conv", "core", "head"]
    assert recording["conv"].dims == ("stimulus", "time", "channel", "y", "x")
    assert recording["head"].dims == ("stimulus", "time", "unit")
    for array in recording.values():
        assert {"stimulus", *COORDS} <= set(array.coords)
        assert array.target.dtype == bool
        assert array.label.dtype == np.int64
        assert array.cue.values.tolist() == ["valid", "invalid", ""] * 4
        assert json.loads(array.attrs["provenance"]) == recording.provenance
        assert not any(array.indexes[dim].nlevels > 1 for dim in array.indexes)
    assert recording["core"].phase.values.tolist() == ["a", "a", "b"]
    assert recording["conv"].y_deg.dims == ("y",)


def test_what_is_written_reads_back_the_same(recording):
    # The same cut into batches: in a batch of another size a product may round otherwise.
    same_cut = {"batch_size": 4} if recording.provenance["batch_size"] == 4 else {}
    memory = make(provenance=recording.provenance, **same_cut)
    for layer, array in recording.items():
        assert array.load().drop_attrs().identical(memory[layer].drop_attrs())
        assert array.dtype == memory[layer].dtype
        for name in ("site", "what", "pick", "reduce"):
            assert array.attrs[name] == memory[layer].attrs[name]


def test_tree_round_trips_and_plain_xarray_sees_the_labels(recording, tmp_path):
    tree = recording.to_datatree()
    tree.to_zarr(tmp_path / "t.zarr", consolidated=False)
    tree.to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    with (
        xr.open_datatree(tmp_path / "t.zarr", engine="zarr", consolidated=False) as from_zarr,
        xr.open_datatree(tmp_path / "t.nc", engine="h5netcdf") as from_netcdf,
    ):
        assert from_zarr.load().identical(from_netcdf.load())
        assert from_zarr.identical(tree.load())
        assert from_zarr["core"].activation.orientation_deg.values[3] == 45
    assert list(tree.children) == recording.layers


def test_store_opens_in_plain_xarray(tmp_path):
    stored = make(store=tmp_path / "run.zarr")
    plain = xr.open_dataset(
        tmp_path / "run.zarr", engine="zarr", group="core", consolidated=False, chunks=None
    )
    np.testing.assert_array_equal(plain.activation, stored["core"])
    assert plain.cue.values.tolist() == stored["core"].cue.values.tolist()


def test_selection_over_all_layers(recording):
    some = recording.sel(cue=["valid", "invalid"], target=True, orientation_deg=slice(30, 120))
    keep = [i for i in range(N) if i % 3 < 2 and i % 2 == 0 and 30 <= i * 15 <= 120]
    assert keep == [4, 6]
    for layer, array in some.items():
        assert array.stimulus.values.tolist() == keep
        np.testing.assert_array_equal(array, recording[layer][keep])
    assert some.provenance == recording.provenance
    assert recording.sel(orientation_deg=slice(0, 0))["core"].sizes["stimulus"] == 1
    assert recording.sel(label=np.int64(3))["core"].label.values.tolist() == [3, 3, 3]


def test_unknown_names_and_empty_selections():
    recording = make()
    with pytest.raises(UnknownName, match=r"layer of this recording is called 'cor'.*'core'"):
        recording["cor"]
    with pytest.raises(UnknownName, match=r"'orientation'. Nearest: 'orientation_deg'"):
        recording.sel(orientation=3)
    with pytest.raises(InvalidInput, match=r"No stimulus has {'cue': 'neutral'}"):
        recording.sel(cue="neutral")
    assert "core" in recording
    assert "core: stimulus 12, time 3, unit 24" in repr(recording)


def test_dataset_suffixes_only_what_clashes(recording):
    both = recording.to_dataset(["core", "conv", "head"])
    assert both["core"].dims == ("stimulus", "time_core", "unit_core")
    assert both["conv"].dims == ("stimulus", "time_conv", "channel", "y", "x")
    assert both["head"].dims == ("stimulus", "time_head", "unit_head")
    assert both["phase"].dims == ("time_core",)
    assert "y_deg" in both["conv"].coords
    np.testing.assert_array_equal(both["core"], recording["core"])
    assert "time" in recording.to_dataset(["conv", "head"]).dims


def test_stacked_units(recording):
    stacked = recording.stack_units()
    assert stacked.dims == ("stimulus", "unit")
    assert stacked.sizes["unit"] == 2 * 4 * 3 + 3 * 24 + 3
    one = stacked.sel(layer="conv", time=0, channel=1, y=3, x=2)
    np.testing.assert_array_equal(one, recording["conv"][:, 0, 1, 3, 2])
    two = stacked.sel(layer="core", time=2, channel=5, y=-1, x=-1)
    np.testing.assert_array_equal(two, recording["core"][:, 2, 5])
    assert stacked.cue.dims == ("stimulus",)
    alone = record(Network(), IMAGES, ["conv"]).stack_units()
    assert alone.indexes["unit"].names == ["layer", "channel", "y", "x"]


def test_layers_with_axes_of_their_own_are_stacked_too():
    site = Site("core", dims=("head", "slot"), reduce=lambda t: t.reshape(-1, 4, 6))
    got = record(Network(), IMAGES, site)
    stacked = got.stack_units().sel(time=1, channel=4 * 1 + 6)
    np.testing.assert_array_equal(np.ravel(stacked), got["core"][:, 1, 1, 4])


def test_rsatoolbox(monkeypatch):
    recording = make()
    monkeypatch.setitem(sys.modules, "rsatoolbox.data", None)
    with pytest.raises(MissingDependency, match="pip install rsatoolbox"):
        recording.to_rsatoolbox()
    fake = types.SimpleNamespace(Dataset=lambda **parts: types.SimpleNamespace(**parts))
    monkeypatch.setitem(sys.modules, "rsatoolbox", types.ModuleType("rsatoolbox"))
    monkeypatch.setitem(sys.modules, "rsatoolbox.data", fake)
    got = recording.to_rsatoolbox()
    assert got.measurements.shape == (N, 2 * 4 * 3 + 3 * 24 + 3)
    assert got.obs_descriptors["label"] == COORDS["label"].tolist()
    assert got.channel_descriptors["layer"][-1] == "head"
    assert len(got.channel_descriptors["y"]) == got.measurements.shape[1]


def test_float16_is_widened_for_netcdf_and_said(tmp_path):
    half = make(dtype="float16")
    wide = open_recording(half.save(tmp_path / "half.nc"))["core"]
    assert wide.dtype == np.float32
    assert wide.attrs["widened_from"] == "float16"
    np.testing.assert_array_equal(wide, half["core"])
    same = open_recording(half.save(tmp_path / "half.zarr"))["core"]
    assert same.dtype == np.float16
    with pytest.raises(InvalidInput, match=r"half\.zarr exists"):
        half.save(tmp_path / "half.zarr")


def test_damaged_netcdf(tmp_path):
    path = make().save(tmp_path / "run.nc")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(RecordingError, match="cannot be read as a recording"):
        open_recording(path)


def test_importing_the_package_costs_no_torch():
    code = (
        "import sys, attnsci.recording as r; r.Site, r.tap, r.open_recording;"
        "assert not {'torch', 'zarr', 'dask', 'xarray', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
