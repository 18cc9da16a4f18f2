"""Where rows go: one array in memory, or chunks written to Zarr by one thread, with a ledger."""

import contextlib
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnsci.errors import RecordingError, StorageError
from attnsci.files import atomic_path
from attnsci.recording.fingerprint import differences, listed
from attnsci.recording.schema import BUFFERS, FORMAT, Layer
from attnsci.recording.seal import ATTRIBUTE, content_digest

if TYPE_CHECKING:
    import torch

LEDGER, SIZES, DIGESTS = "ledger", "ledger_bytes", "stimulus_digests"
N_CALLS = "n_calls"
# Their chunks have checksums, and are written again where they are damaged.
REPAIRED = ("activation", N_CALLS, LEDGER, SIZES, DIGESTS)
VOLATILE = "changed by the forward pass"  # an entry of the signature


def codecs() -> list[Any]:
    """Return the compressor, half the CPU of Zarr's default for the same size, and a checksum.

    Blosc believes the length in its header, so a truncated chunk would decode to whatever lies
    behind it in memory; the checksum is looked at first.
    """
    from zarr.codecs import BloscCodec, Crc32cCodec

    return [BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"), Crc32cCodec()]


def _each(array: Any) -> np.ndarray:
    """Return a small array of one entry a chunk, with 0 where an entry cannot be read."""
    try:
        return np.asarray(array[:])
    except Exception:  # as above
        values = np.zeros(array.shape, array.dtype)
        for index in range(len(values)):
            with contextlib.suppress(Exception):
                values[index] = array[index]
        return values


def _blank(layer: Layer, n: int) -> np.ndarray:
    """Return rows for `n` stimuli; only padded layers need a fill, all others are overwritten."""
    if layer.ragged:
        return np.full((n, *layer.shape), layer.fill, layer.dtype)
    return np.empty((n, *layer.shape), layer.dtype)


def _lengthened(layer: Layer, values: np.ndarray) -> np.ndarray:
    longer = _blank(layer, len(values))
    longer[:, : values.shape[1]] = values
    return longer


class MemorySink:
    """Rows in one array a layer; in one block a batch where the number of stimuli is unknown."""

    def __init__(self, n_stimuli: int | None) -> None:
        self.n_stimuli = n_stimuli
        self.layers: dict[str, Layer] = {}
        self.calls: dict[str, list[np.ndarray]] = {}
        self._blocks: dict[str, list[np.ndarray]] = {}
        self._start = self._n = 0

    def open(self, layers: list[Layer]) -> None:
        """Make room for the layers."""
        self.layers = {layer.label: layer for layer in layers}
        self.calls = {layer.label: [] for layer in layers if layer.ragged}
        self._blocks = {label: [] for label in self.layers}
        if self.n_stimuli is not None:
            for label, layer in self.layers.items():
                self._blocks[label].append(_blank(layer, self.n_stimuli))

    def finished(self, start: int) -> bool:
        """Nothing in memory was there before."""
        return False

    def rows(self, start: int, n: int) -> dict[str, "torch.Tensor"]:
        """Return for each layer the rows (n, time, ...) to fill."""
        self._start, self._n = start, n
        if self.n_stimuli is None:
            for label, layer in self.layers.items():
                self._blocks[label].append(_blank(layer, n))
        return {label: self._rows(label) for label in self.layers}

    def _rows(self, label: str) -> "torch.Tensor":
        import torch

        block = self._blocks[label][-1]
        if self.n_stimuli is not None:
            block = block[self._start : self._start + self._n]
        return torch.from_numpy(block)

    def grow(self, label: str, slots: int) -> "torch.Tensor":
        """Lengthen a ragged layer's time and return the rows being filled."""
        layer = self.layers[label]
        layer.shape = (slots, *layer.shape[1:])
        self._blocks[label][-1] = _lengthened(layer, self._blocks[label][-1])
        return self._rows(label)

    def commit(self, digests: np.ndarray, calls: Mapping[str, int]) -> None:
        """Accept the rows."""
        for label, count in calls.items():
            self.calls[label].append(np.full(self._n, count))

    def close(self) -> None:
        """Nothing is held."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the finished arrays; blocks are let go layer by layer."""
        result = {}
        for label, layer in self.layers.items():
            blocks = self._blocks.pop(label)
            blocks = [
                block if block.shape[1] == layer.shape[0] else _lengthened(layer, block)
                for block in blocks
            ]
            result[label] = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return result


class Store:
    """A recording's Zarr store: skeleton, chunks, ledger, end.

    Parameters
    ----------
    path : pathlib.Path
        The store. It is made, whole and empty, by `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root: Any = None
        self.ledger: Any = None
        self.sizes: Any = None
        self.digests: Any = None
        self.arrays: dict[str, Any] = {}
        self.calls: dict[str, Any] = {}
        self.attrs: dict[str, Any] = {}

    def exists(self) -> bool:
        """Tell whether something stands at the path."""
        return self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir()))

    def load(self, mode: Literal["r", "r+"]) -> None:
        """Open what stands there.

        Raises
        ------
        RecordingError
            If it is no recording, or its metadata are damaged.
        """
        import zarr

        if not self.path.exists():
            raise RecordingError(f"There is no recording at {self.path}. Check the path.")
        if mode == "r+":
            # Zarr writes beside and renames; a kill between the two leaves these.
            for partial in self.path.rglob("*.partial"):
                partial.unlink(missing_ok=True)
        try:
            self.root = zarr.open_group(self.path, mode=mode, zarr_format=3, use_consolidated=False)
            self.attrs = dict(self.root.attrs)
            version = self.attrs.get("attnsci_recording")
            if version == FORMAT and self.attrs.get("chunk"):
                for label in self.labels:
                    group = self.root[label]
                    self.arrays[label] = group["activation"]
                    if N_CALLS in group:
                        self.calls[label] = group[N_CALLS]
                self.ledger, self.sizes = self.root[LEDGER], self.root[SIZES]
                self.digests = self.root[DIGESTS]
        except Exception as error:  # zarr raises many kinds for a truncated file
            raise RecordingError(
                f"{self.path} cannot be read as a recording: {type(error).__name__}: {error}. If "
                "it was damaged, restore it or delete it and record again."
            ) from error
        if version != FORMAT:
            raise RecordingError(
                f"{self.path} is no recording of attnsci (format {FORMAT}); its format is "
                f"{version!r}. Choose another path."
            )
        if self.attrs.get("complete"):
            check_content(self.path, self.attrs, REPAIRED if self.arrays else ())

    @property
    def labels(self) -> list[str]:
        """Names of the layers in forward order."""
        return list(json.loads(self.attrs["layers"]))

    @property
    def chunk(self) -> int:
        """Stimuli a chunk."""
        return int(self.attrs["chunk"])

    @property
    def n_stimuli(self) -> int:
        """Stimuli in all."""
        return int(self.attrs["n_stimuli"])

    def create(self, layers: list[Layer], chunk: int, n: int, signature: Mapping[str, Any]) -> None:
        """Make all arrays at full size, in one step: a kill leaves either all or nothing."""
        import zarr

        n_chunks = -(-n // chunk)
        with atomic_path(self.path) as temporary:
            root = zarr.open_group(temporary, mode="w", zarr_format=3)
            for layer in layers:
                group = root.create_group(layer.label)
                group.create_array(
                    "activation",
                    shape=(n, *layer.shape),
                    chunks=(min(chunk, n), *(max(1, length) for length in layer.shape)),
                    dtype=layer.dtype,
                    fill_value=layer.fill,
                    compressors=codecs(),
                    dimension_names=("stimulus", "time", *layer.dims),
                    attributes=dict(layer.attrs),
                    # Else each chunk is compared with the fill value first.
                    config={"write_empty_chunks": True},
                )
                if layer.ragged:
                    group.create_array(
                        N_CALLS,
                        shape=(n,),
                        chunks=(min(chunk, n),),
                        dtype=np.int64,
                        fill_value=0,
                        compressors=codecs(),
                        dimension_names=("stimulus",),
                    )
            # One key a chunk, so that several processes can record into one store.
            for name, dtype in ((LEDGER, np.uint8), (SIZES, np.uint64)):
                root.create_array(
                    name,
                    shape=(n_chunks,),
                    chunks=(1,),
                    dtype=dtype,
                    fill_value=0,
                    compressors=codecs(),
                    dimension_names=("chunk",),
                )
            root.create_array(
                DIGESTS,
                shape=(n, 2),
                chunks=(min(chunk, n), 2),
                dtype=np.uint64,
                fill_value=0,
                compressors=codecs(),
                dimension_names=("stimulus", "part"),
            )
            root.attrs.update(
                {
                    "attnsci_recording": FORMAT,
                    "complete": 0,
                    "chunk": chunk,
                    "n_stimuli": n,
                    "layers": json.dumps([layer.label for layer in layers]),
                    "signature": json.dumps(signature),
                }
            )
        self.load("r+")

    def refuse_other(self, signature: Mapping[str, Any]) -> None:
        """Raise if the store was begun with other settings."""
        stored = json.loads(self.attrs["signature"])
        places = differences(stored, json.loads(json.dumps(signature)))
        # What a forward pass itself changes, a counter for one, was noted when the store was made.
        volatile = [VOLATILE, *stored[VOLATILE]]
        places = {
            place: text
            for place, text in places.items()
            if not any(place == name or place.startswith(f"{name}.") for name in volatile)
        }
        if set(places) - {"weights"}:
            raise RecordingError(
                f"{self.path} was recorded with another model or other settings:\n  "
                f"{listed(places)}\n"
                "Use those of the store to resume it, or record into another store."
            )

    def sound_chunks(self, *, read: bool = False) -> np.ndarray:
        """Return for each chunk whether the ledger holds it and its files are sound.

        Parameters
        ----------
        read : bool
            Decode every chunk, whose checksums then tell a changed byte; else compare the
            lengths of its files only.

        Returns
        -------
        ndarray of bool (chunks,)
        """
        done = _each(self.ledger).astype(bool)
        sizes = _each(self.sizes)
        for index in np.nonzero(done)[0]:
            done[index] = self.stored_bytes(int(index)) == int(sizes[index])
            if read and done[index]:
                done[index] = self._decodes(int(index))
        return done

    def _decodes(self, index: int) -> bool:
        rows = slice(index * self.chunk, min((index + 1) * self.chunk, self.n_stimuli))
        try:
            for array in (*self.arrays.values(), *self.calls.values(), self.digests):
                array[rows]
        except Exception:  # zarr and its codecs raise many kinds for a damaged chunk
            return False
        return True

    def stored_bytes(self, index: int) -> int:
        """Return the size on disk of chunk `index` over all layers and what stands beside them."""
        parts = [f"{label}/activation" for label in self.labels]
        parts += [*(f"{label}/{N_CALLS}" for label in self.calls), DIGESTS]
        folders = (self.path / part / "c" / str(index) for part in parts)
        files = (file for folder in folders for file in (folder, *folder.rglob("*")))
        return sum(file.stat().st_size for file in files if file.is_file())

    def layer(self, label: str) -> Layer:
        """Return how a stored layer is kept."""
        array = self.arrays[label]
        dims = tuple(array.metadata.dimension_names[2:])
        return Layer(label, dims, array.shape[1:], array.dtype, attrs=dict(array.attrs))

    def finish(
        self, coords: Mapping[str, Any], layer_coords: Mapping[str, Any], attrs: Mapping[str, Any]
    ) -> None:
        """Write the coordinates, beside the layers and at the root, and say that all is there.

        Coordinates that only count positions are left to `open_recording`: each array costs
        several files, and says nothing.
        """
        import xarray as xr

        # What is interrupted here is no damage, and done again.
        self.root.attrs["complete"] = 0
        groups: dict[str | None, Mapping[str, Any]] = {None: coords}
        groups.update({label: {**coords, **layer_coords[label]} for label in self.labels})
        for group, found in groups.items():
            telling = {
                name: (dim, values)
                for name, (dim, values) in found.items()
                if name != dim or not np.array_equal(values, np.arange(len(values)))
            }
            if telling:
                # xarray puts its own attributes in the place of the group's.
                kept = {**self.attrs, "complete": 0} if group is None else {}
                written = xr.Dataset(coords=telling, attrs=kept)
                written.to_zarr(self.path, group=group, mode="a", consolidated=False)
        self.root.attrs.update({**self.attrs, **attrs, "complete": 0})
        digest = content_digest(self.path, REPAIRED)
        self.root.attrs.update({ATTRIBUTE: digest, "complete": 1})

    def write(
        self,
        index: int,
        rows: slice,
        buffers: Mapping[str, np.ndarray],
        calls: Mapping[str, np.ndarray],
        digests: np.ndarray,
    ) -> None:
        """Write one chunk of every layer, then enter it in the ledger."""
        from zarr.core.sync import sync

        n = rows.stop - rows.start

        async def chunk() -> None:
            for label, buffer in buffers.items():
                array = self.arrays[label].async_array
                if buffer.shape[1] > array.shape[1]:  # a ragged layer has grown
                    await array.resize((array.shape[0], *buffer.shape[1:]))
                await array.setitem((rows, slice(0, buffer.shape[1])), buffer[:n])
            for label, counts in calls.items():
                await self.calls[label].async_array.setitem(rows, counts)
            await self.digests.async_array.setitem((rows, slice(None)), digests)
            await self.sizes.async_array.setitem(index, np.uint64(self.stored_bytes(index)))
            await self.ledger.async_array.setitem(index, 1)

        # Zarr's arrays are asynchronous inside: one visit to its loop, not one for each array.
        sync(chunk())


def check_content(
    path: Path, attrs: Mapping[str, Any], checked_elsewhere: tuple[str, ...] = ()
) -> None:
    """Raise if a store holds a digest of its content, and the content is another."""
    try:
        fits = attrs.get(ATTRIBUTE) in (None, content_digest(path, checked_elsewhere))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read: {error}.") from error
    if not fits:
        raise RecordingError(
            f"{path} is damaged: its coordinates, attributes or files are not those that were "
            "recorded. Restore it, or delete it and record again."
        )


class StoreSink:
    """Chunks in three recycled buffers, written to a `Store` by one thread.

    Parameters
    ----------
    store : Store
        Where to.
    n_stimuli, batch_size : int
        Stimuli in all, and in each batch but the last.
    """

    def __init__(self, store: Store, n_stimuli: int, batch_size: int) -> None:
        self.store, self.n_stimuli, self.batch_size = store, n_stimuli, batch_size
        self.layers: dict[str, Layer] = {}
        self._done = np.zeros(0, bool)
        self._digests = np.zeros((n_stimuli, 2), np.uint64)
        self._free: queue.Queue[dict[str, np.ndarray]] = queue.Queue()
        self._filled: queue.Queue[tuple[Any, ...] | None] = queue.Queue()
        self._made = 0
        self._buffers: dict[str, np.ndarray] | None = None
        self._counts: dict[str, np.ndarray] = {}
        self._start = self._n = 0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def resume(self) -> int:
        """Read the sound chunks of a store that was begun; return how many there are."""
        with storing(self.store.path):
            self._done = self.store.sound_chunks(read=True)
            for index in np.nonzero(self._done)[0]:
                rows = slice(index * self.store.chunk, (index + 1) * self.store.chunk)
                self._digests[rows] = self.store.digests[rows]
        return int(self._done.sum())

    def open(self, layers: list[Layer]) -> None:
        """Check the layers against those of a store that was begun."""
        for layer in layers:
            if self.store.root is not None:
                self._fit(layer)
        if self.store.root is not None and set(self.store.labels) != {x.label for x in layers}:
            raise RecordingError(
                f"{self.store.path} holds the layers {self.store.labels}; the model now gives "
                f"{[layer.label for layer in layers]}. Record into another store."
            )
        self.layers = {layer.label: layer for layer in layers}

    def _fit(self, layer: Layer) -> None:
        stored = self.store.arrays[layer.label]
        slots = max(stored.shape[1], layer.shape[0]) if layer.ragged else layer.shape[0]
        layer.shape = (slots, *layer.shape[1:])
        same_time = layer.ragged or stored.shape[1] == slots
        if stored.shape[2:] != layer.shape[1:] or not same_time or stored.dtype != layer.dtype:
            raise RecordingError(
                f"{self.store.path}: layer {layer.label!r} was {stored.dtype} "
                f"{stored.shape[1:]} and is now {layer.dtype} {layer.shape}. The stimuli or the "
                "model differ: record into another store."
            )

    def finished(self, start: int) -> bool:
        """Tell whether the chunk of stimulus `start` is stored; raise if writing failed."""
        self.check()
        index = start // self.store.chunk if self.store.attrs else 0
        return index < len(self._done) and bool(self._done[index])

    def verify(self, start: int, digests: np.ndarray) -> None:
        """Raise if stimuli of a finished chunk are not those it was recorded from.

        Parameters
        ----------
        start : int
            The first of them.
        digests : ndarray of uint64 (n, 2)
            Of what was shown, and of the coordinates.
        """
        differ = self._digests[start : start + len(digests)] != digests
        rows = np.nonzero(differ.any(1))[0]
        if len(rows):
            parts = np.array(["what is shown", "its coordinates"])[differ[rows[0]]]
            what = " and ".join(parts)
            raise RecordingError(
                f"stimuli: {what} of stimulus {start + rows[0]} differ from what "
                f"{self.store.path} was recorded from, as do those of {len(rows) - 1} others of "
                f"{len(digests)} in this batch. Show the same stimuli to resume it, or record "
                "into another store."
            )

    def rows(self, start: int, n: int) -> dict[str, "torch.Tensor"]:
        """Return for each layer the rows (n, time, ...) to fill."""
        self._start, self._n = start, n
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="attnsci-writer", daemon=True)
            self._thread.start()
        if self._buffers is None:
            self._buffers = self._take()
        return {label: self._rows(label) for label in self.layers}

    def _take(self) -> dict[str, np.ndarray]:
        """Return empty buffers, new ones only while fewer than three are around."""
        size = min(self.store.chunk, self.n_stimuli)
        used: dict[str, np.ndarray] = {}
        if not self._free.empty() or self._made == BUFFERS:
            used = self._free.get()
        else:
            self._made += 1
        self._counts = {x.label: np.zeros(size, int) for x in self.layers.values() if x.ragged}
        return {
            label: used[label] if label in used and not layer.ragged else _blank(layer, size)
            for label, layer in self.layers.items()
        }

    def _rows(self, label: str) -> "torch.Tensor":
        import torch

        assert self._buffers is not None
        first = self._start % self.store.chunk
        return torch.from_numpy(self._buffers[label][first : first + self._n])

    def grow(self, label: str, slots: int) -> "torch.Tensor":
        """Lengthen a ragged layer's time and return the rows being filled."""
        assert self._buffers is not None
        layer = self.layers[label]
        layer.shape = (slots, *layer.shape[1:])
        self._buffers[label] = _lengthened(layer, self._buffers[label])
        return self._rows(label)

    def commit(self, digests: np.ndarray, calls: Mapping[str, int]) -> None:
        """Accept the rows; `digests` (n, 2) are of what was shown and of its coordinates."""
        chunk, stop = self.store.chunk, self._start + self._n
        self._digests[self._start : stop] = digests
        first = self._start % chunk
        for label, count in calls.items():
            self._counts[label][first : first + self._n] = count
        if stop % chunk and stop < self.n_stimuli:
            return
        index = self._start // chunk
        rows = slice(index * chunk, stop)
        counts = {label: c[: stop - rows.start] for label, c in self._counts.items()}
        self._filled.put((index, rows, self._buffers, counts, self._digests[rows]))
        self._buffers = None

    def _work(self) -> None:
        while (job := self._filled.get()) is not None:
            index, rows, buffers, counts, digests = job
            try:
                # After a failure nothing more is written, and the buffers still come back.
                if self._error is None:
                    with storing(self.store.path):
                        self.store.write(index, rows, buffers, counts, digests)
            except BaseException as error:  # handed to the caller's thread
                self._error = error
            self._free.put(buffers)
            del job, buffers

    def close(self) -> None:
        """Wait for the chunks that are filled, and drop the one that is not."""
        if self._thread is not None:
            self._filled.put(None)
            self._thread.join()
            self._thread = None
        self._buffers = None

    def check(self) -> None:
        """Raise what went wrong in the writing thread."""
        if self._error is not None:
            raise self._error


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn a refusal of the system or of Zarr into our errors."""
    try:
        yield
    except (RecordingError, StorageError):
        raise
    except OSError as error:
        raise StorageError(
            f"Cannot write {path}: {error}. The chunks finished before are safe: free some space "
            "and repeat the same call to resume."
        ) from error
    except (ValueError, KeyError, RuntimeError) as error:
        raise RecordingError(
            f"{path} is damaged: {type(error).__name__}: {error}. Delete it and record again."
        ) from error
