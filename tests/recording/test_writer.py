"""Stores: bounded buffers, kill and resume, damage, full disks, refusals."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import torch
import zarr
import zarr.storage
from torch import nn

from attnsci.errors import InvalidInput, RecordingError, StorageError
from attnsci.recording import Site, open_recording, record

ROWS = torch.rand(22, 4, generator=torch.Generator().manual_seed(0))
CUES = ["valid", "invalid"] * 11


class Looker(nn.Module):
    """Looks three times at places that it draws; counts its forward passes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.core, self.readout, self.passes = nn.GRUCell(4, 3), nn.Linear(3, 2), 0

    def forward(self, x):
        # Not by an attribute: a model with another one is another model.
        if str(self.passes) == os.environ.get("FAIL_AT"):
            raise ZeroDivisionError("in forward")
        self.passes += 1
        h = torch.zeros(len(x), 3)
        for _ in range(3):
            h = self.core(x + torch.randn_like(x), h)
        return self.readout(h)


def run(path, model=None, **changes):
    options = {"batch_size": 4, "chunk": 4, "seed": 7, **changes}
    stimuli = {"image": options.pop("rows", ROWS), "cue": options.pop("cue", CUES)}
    return record(model or Looker(), stimuli, ["core", "readout"], store=path, **options)


def files(path):
    """Every file that holds data; metadata carry dates and commands."""
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in sorted(path.rglob("*"))
        if f.is_file() and f.name != "zarr.json"
    }


def test_a_store_equals_memory_and_is_lazy(tmp_path):
    memory = run(None)
    stored = run(tmp_path / "r.zarr")
    assert stored.layers == memory.layers == ["core", "readout"]
    for layer in stored:
        assert stored[layer].chunks[0] == (4, 4, 4, 4, 4, 2)
        assert stored[layer].drop_attrs().identical(memory[layer].drop_attrs())
    # One store holds layers of unequal time.
    assert [stored[layer].sizes["time"] for layer in stored] == [3, 1]


def test_layout_codec_and_ledger(tmp_path):
    run(tmp_path / "r.zarr", chunk=8)
    root = zarr.open_group(tmp_path / "r.zarr", mode="r")
    activation = root["core"]["activation"]
    assert activation.metadata.zarr_format == 3
    assert activation.chunks == (8, 3, 3)
    assert np.isnan(activation.fill_value)
    codec, checksum = activation.compressors
    assert type(checksum).__name__ == "Crc32cCodec"
    assert (codec.cname.value, codec.clevel, codec.shuffle.value) == ("lz4", 1, "bitshuffle")
    assert root["ledger"].dtype == np.uint8
    assert root["ledger"].chunks == (1,)
    assert root["ledger"][:].tolist() == [1, 1, 1]
    assert root["core"]["cue"][:].tolist() == CUES
    assert json.loads(root.attrs["provenance"])["weights"]


def test_exception_in_forward_leaves_a_store_that_resumes(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole.zarr")
    model = Looker()
    monkeypatch.setenv("FAIL_AT", "3")
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "r.zarr", model)
    assert not any(t.name == "attnsci-writer" for t in threading.enumerate())
    with pytest.raises(RecordingError, match=r"2 of 6 chunks|3 of 6 chunks"):
        open_recording(tmp_path / "r.zarr")
    monkeypatch.delenv("FAIL_AT")
    # What the forward pass counted is no other model.
    model.passes = 2
    resumed = run(tmp_path / "r.zarr", model)
    assert model.passes == 2 + 3  # of six batches, three were there
    for layer in whole:
        np.testing.assert_array_equal(whole[layer], resumed[layer])
    assert files(tmp_path / "whole.zarr") == files(tmp_path / "r.zarr")


def test_a_whole_store_is_not_computed_again(tmp_path):
    first = run(tmp_path / "r.zarr")
    model = Looker()
    again = run(tmp_path / "r.zarr", model)
    assert model.passes == 0
    assert first.provenance == again.provenance
    with pytest.raises(InvalidInput, match=r"r\.zarr exists\. Resume it with resume=True"):
        run(tmp_path / "r.zarr", resume=False)


KILLED = """
    import os, sys, torch
    from test_writer import Looker, run
    class Dies(Looker):
        def forward(self, x):
            if self.passes == 3:
                os.kill(os.getpid(), 9)
            return super().forward(x)
    Dies.__module__, Dies.__qualname__ = Looker.__module__, Looker.__qualname__
    run(sys.argv[1], Dies())
"""


def test_killed_process_resumes_to_the_same_bytes(tmp_path):
    here = os.path.dirname(__file__)  # noqa: PTH120
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "r.zarr")],
        env={**os.environ, "PYTHONPATH": here},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    done = zarr.open_group(tmp_path / "r.zarr", mode="r")["ledger"][:]
    assert 1 <= done.sum() <= 3
    sys.path.insert(0, here)
    try:
        from test_writer import Looker as SameClass
    finally:
        sys.path.remove(here)
    model = SameClass()
    resumed = run(tmp_path / "r.zarr", model)
    assert model.passes == 6 - done.sum()
    run(tmp_path / "whole.zarr", SameClass())
    assert files(tmp_path / "r.zarr") == files(tmp_path / "whole.zarr")
    assert not any(np.isnan(array).any() for array in resumed.values())


def test_stream_resumes_and_recognises_its_stimuli(tmp_path, monkeypatch):
    def stream(rows):
        return ((rows[i : i + 5], {"cue": CUES[i : i + 5]}) for i in range(0, 22, 5))

    def go(rows, model):
        return record(
            model,
            stream(rows),
            "core",
            store=tmp_path / "r.zarr",
            n_stimuli=22,
            batch_size=4,
            chunk=4,
        )

    model = Looker()
    monkeypatch.setenv("FAIL_AT", "2")
    with pytest.raises(ZeroDivisionError):
        go(ROWS, model)
    monkeypatch.delenv("FAIL_AT")
    other = ROWS.clone()
    other[1, 2] += 1e-3
    with pytest.raises(
        RecordingError, match=r"stimuli: what is shown of stimulus 1 differ.* 0 others of 4"
    ):
        go(other, Looker())
    got = go(ROWS, Looker())
    np.testing.assert_array_equal(
        got["core"], record(Looker(), stream(ROWS), "core", batch_size=4)["core"]
    )
    assert got["core"].cue.values.tolist() == CUES


def test_other_settings_are_refused_field_by_field(tmp_path):
    run(tmp_path / "r.zarr")
    changed = Looker()
    changed.readout.bias.data += 1
    for changes, field in [
        ({"model": changed}, "weights: stored"),
        ({"seed": 8}, "seed: stored 7, asked 8"),
        ({"batch_size": 2}, "batch_size: stored 4, asked 2"),
        ({"chunk": 8}, "chunk: stored 4, asked 8"),
        ({"dtype": "float16"}, "dtype: stored 'float32', asked 'float16'"),
        ({"cue": CUES[::-1]}, "coordinates: stored"),
        ({"reduce": lambda t: t}, "sites.core.reduce: stored"),
    ]:
        with pytest.raises(RecordingError, match="other settings") as error:
            run(tmp_path / "r.zarr", **changes)
        lines = str(error.value).splitlines()
        assert field in lines[1]
        assert len(lines) == {"model": 4, "reduce": 4}.get(next(iter(changes)), 3)
    assert run(tmp_path / "r.zarr").layers == ["core", "readout"]


@pytest.mark.parametrize("kind", ["truncated", "missing"])
def test_damaged_chunk_is_found_and_recorded_again(tmp_path, kind):
    whole = run(tmp_path / "r.zarr")
    expected = {layer: array.values for layer, array in whole.items()}
    chunk = tmp_path / "r.zarr" / "core" / "activation" / "c" / "2" / "0" / "0"
    if kind == "truncated":
        chunk.write_bytes(chunk.read_bytes()[:20])
    else:
        chunk.unlink()
    with pytest.raises(RecordingError, match="5 of 6 chunks are there and sound"):
        open_recording(tmp_path / "r.zarr")
    model = Looker()
    again = run(tmp_path / "r.zarr", model)
    assert model.passes == 1
    for layer, values in expected.items():
        np.testing.assert_array_equal(again[layer], values)


def test_chunk_damaged_after_opening_raises_our_error(tmp_path):
    opened = run(tmp_path / "r.zarr")
    chunk = tmp_path / "r.zarr" / "core" / "activation" / "c" / "2" / "0" / "0"
    sound = chunk.read_bytes()
    np.testing.assert_array_equal(opened["core"][:8], run(None)["core"][:8])
    chunk.write_bytes(sound[:20])
    with pytest.raises(RecordingError, match="layer 'core' cannot be read"):
        opened["core"].load()
    flipped = bytearray(sound)
    flipped[30] ^= 1
    chunk.write_bytes(flipped)
    with pytest.raises(RecordingError, match="layer 'core' cannot be read"):
        opened["core"].load()


def test_damaged_metadata_and_foreign_stores(tmp_path):
    run(tmp_path / "r.zarr")
    meta = tmp_path / "r.zarr" / "core" / "activation" / "zarr.json"
    text = meta.read_text()
    meta.write_text(text[: len(text) // 2])
    for call in (open_recording, run):
        with pytest.raises(RecordingError, match="cannot be read as a recording"):
            call(tmp_path / "r.zarr")
    meta.write_text(text)
    assert open_recording(tmp_path / "r.zarr").layers == ["core", "readout"]
    with pytest.raises(RecordingError, match="There is no recording at"):
        open_recording(tmp_path / "other.zarr")
    zarr.open_group(tmp_path / "foreign.zarr", mode="w", zarr_format=3)
    for call in (open_recording, run):
        with pytest.raises(RecordingError, match="is no recording of attnsci"):
            call(tmp_path / "foreign.zarr")


@pytest.mark.parametrize("writes", [2, 12, 31], ids=["skeleton", "first chunk", "later"])
def test_full_disk_stops_soon_and_resumes(tmp_path, monkeypatch, writes):
    put, count, model = zarr.storage.LocalStore.set, 0, Looker()

    async def limited(self, key, value, *args):
        nonlocal count
        count += 1
        if count > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        await put(self, key, value, *args)

    monkeypatch.setattr(zarr.storage.LocalStore, "set", limited)
    with pytest.raises(StorageError, match="No space left"):
        run(tmp_path / "r.zarr", model)
    monkeypatch.undo()
    assert not any(t.name == "attnsci-writer" for t in threading.enumerate())
    resumed = run(tmp_path / "r.zarr")
    run(tmp_path / "whole.zarr")
    assert files(tmp_path / "r.zarr") == files(tmp_path / "whole.zarr")
    assert not any(np.isnan(array).any() for array in resumed.values())


def test_failed_write_surfaces_at_the_next_batch(tmp_path, monkeypatch):
    from attnsci.recording.writer import Store

    model, failed = Looker(), threading.Event()

    def refuse(*args):
        failed.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "write", refuse)

    def wait(*args):
        if model.passes:
            failed.wait(10)
            time.sleep(0.1)

    model.register_forward_pre_hook(wait)
    with pytest.raises(StorageError, match="chunks finished before are safe"):
        run(tmp_path / "r.zarr", model, resume_key="the hook that waits")
    assert model.passes <= 2


def test_slow_disk_holds_at_most_three_buffers(tmp_path, monkeypatch):
    from attnsci.recording.writer import Store, StoreSink

    write, sizes = Store.write, []

    def slow(self, *args):
        time.sleep(0.05)
        write(self, *args)

    monkeypatch.setattr(Store, "write", slow)
    take = StoreSink._take
    monkeypatch.setattr(StoreSink, "_take", lambda self: (sizes.append(self._made), take(self))[1])
    run(tmp_path / "r.zarr")
    assert len(sizes) == 6
    assert max(sizes) == 3


class Loop(nn.Module):
    """Runs its core as often as the first number of the batch says."""

    def __init__(self):
        super().__init__()
        self.core = nn.Identity()

    def forward(self, x):
        for step in range(int(x[0, 0])):
            self.core(x + step)


def test_ragged_layer_grows_in_the_store(tmp_path):
    rows = torch.tensor([[2.0], [2.0], [5.0], [5.0], [1.0], [1.0], [3.0]])
    site = Site("core", ragged="pad")
    options = {"batch_size": 2, "chunk": 2}
    memory = record(Loop(), rows, site, **options)["core"]
    stored = record(Loop(), rows, site, store=tmp_path / "r.zarr", **options)["core"]
    assert stored.sizes["time"] == 5
    assert stored.n_calls.values.tolist() == [2, 2, 5, 5, 1, 1, 3]
    assert stored.chunks[1] == (5,)
    assert stored.drop_attrs().identical(memory.drop_attrs())
    assert np.isnan(stored).sum() == 3 + 3 + 4 + 4 + 2


def test_integers_and_booleans_in_a_store(tmp_path):
    class Kinds(nn.Module):
        def __init__(self):
            super().__init__()
            self.silent, self.sign = nn.Identity(), nn.Identity()

        def forward(self, x):
            self.silent((x * 0).long())
            self.sign(x > 0.5)

    options = {"batch_size": 4, "chunk": 8, "store": tmp_path / "r.zarr"}
    got = record(Kinds(), ROWS, ["silent", "sign"], **options)
    assert (got["silent"].dtype, got["sign"].dtype) == (np.int64, np.bool_)
    np.testing.assert_array_equal(got["sign"][:, 0], ROWS > 0.5)
    assert not got["silent"].any()  # all zero, so no chunk file, and still finished
    assert open_recording(tmp_path / "r.zarr").layers == ["silent", "sign"]
