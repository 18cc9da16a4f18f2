"""Recording: the context manager `Recorder` and the one-call `record`."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput, RecordingError
from attnsci.files import claim
from attnsci.provenance import provenance as make_provenance
from attnsci.provenance import to_json, versions
from attnsci.recording import fingerprint, schema
from attnsci.recording.forward import Forward, Run, check_forward
from attnsci.recording.hooks import Session, fit_components, settle
from attnsci.recording.kinds_of_models import check_model
from attnsci.recording.recording import Recording, label_array, open_recording
from attnsci.recording.sites import (
    Resolved,
    Site,
    components,
    resolve,
)
from attnsci.recording.stimuli import (
    Indexed,
    Stream,
    batches,
    count_stimuli,
    describe_source,
    source,
)
from attnsci.recording.writer import (
    DIGESTS,
    LEDGER,
    N_CALLS,
    SIZES,
    VOLATILE,
    MemorySink,
    Store,
    StoreSink,
    storing,
)

if TYPE_CHECKING:
    import torch

_RESERVED = {"stimulus", "time", LEDGER, SIZES, DIGESTS, N_CALLS}
_MAX_MEMORY = 512 * schema.MEBIBYTE


class Recorder:
    """Record a model inside a loop of your own.

    Announce each batch with `batch`; whatever the model runs until the next one belongs to it,
    so several forward passes for one batch follow each other along ``time``. Inside the block
    the model is in evaluation mode, without gradients (unless `grad`), compiled code runs
    eagerly, and torch's random state is set for each batch from (`seed`, index of the batch).
    Afterwards everything is as before, also if an exception ended the block.

    Parameters
    ----------
    model : torch.nn.Module
        What runs. It stays on its device.
    sites : str, Site or list of them
        What to record: names of modules, patterns, names of taps, `Site` objects.
    store : path-like, optional
        A Zarr store to stream to. Default: memory.
    n_stimuli : int, optional
        Stimuli in all. A store needs it; memory is used best with it.
    batch_size : int, optional
        Stimuli a batch, where a store is used. Default: the length of the first batch.
    chunk : int, optional
        Stimuli a stored chunk, a multiple of the batch size. Default: 8 to 64 MiB.
    dtype : {"float32", "float16", "float64"}
        How floats are kept. Integers and booleans are kept as they are.
    reduce : optional
        Reduction of the sites without one of their own; see `Site`.
    resume : bool
        Go on with a store that was begun with the same settings; False: refuse what exists.
    seed : int
        Of the model's draws.
    grad : bool
        Let autograd work while the model runs; what is kept is detached all the same.
    resume_key : str, optional
        Stands for whatever of the model, the sites or the call cannot be compared on a resume
        (an open file, a foreign function in C), which a store refuses without it. Give another
        text for every other content.
    provenance : mapping, optional
        More facts to keep with the recording.
    settings : mapping, optional
        What else decides the responses (a policy, a strength …); a store is resumed only under
        the same.
    max_memory : int
        Bound on the buffers of a store, in bytes.

    Attributes
    ----------
    recording : Recording
        Set when the block has ended well.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    >>> with Recorder(model, "0") as recorder:
    ...     for strength in (0.0, 1.0):
    ...         if recorder.batch({"strength": [strength] * 2}):
    ...             _ = model(strength * torch.ones(2, 3))
    >>> recorder.recording["0"].sizes["stimulus"]
    4
    """

    def __init__(
        self,
        model: "torch.nn.Module",
        sites: str | Site | Iterable[str | Site | Resolved],
        *,
        store: str | os.PathLike[str] | None = None,
        n_stimuli: int | None = None,
        batch_size: int | None = None,
        chunk: int | None = None,
        dtype: str = "float32",
        reduce: Any = None,
        resume: bool = True,
        seed: int = 0,
        grad: bool = False,
        resume_key: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        max_memory: int = _MAX_MEMORY,
    ) -> None:
        check_option("dtype", dtype, schema.FLOATS)
        for name, value in (("n_stimuli", n_stimuli), ("batch_size", batch_size)):
            if value is not None:
                check_positive(name, value, integer=True)
        if store is not None and n_stimuli is None:
            raise InvalidInput(
                "A store is made at full size: give n_stimuli=, the number of stimuli to come, "
                "or leave store=None to record in memory."
            )
        self.model, self.n_stimuli, self.batch_size = model, n_stimuli, batch_size
        self.dtype, self.chunk, self.max_memory = dtype, chunk, max_memory
        self.seed, self.grad, self.resume_key = seed, grad, resume_key
        self.recording: Recording | None = None
        self._facts = dict(provenance or {})
        # Compared on a resume, beside what the recorder itself was told; `record` adds to it.
        self._compared: dict[str, Any] = dict(settings or {})
        self._resolved = _resolve(model, sites, reduce)
        self._sites = {resolved.label: resolved.site for resolved in self._resolved}
        self._session = Session(model, self._resolved, seed=seed, grad=grad)
        self._store = None if store is None else Store(Path(store))
        if self._store is not None and self._store.exists() and not resume:
            raise InvalidInput(
                f"{self._store.path} exists. Resume it with resume=True, delete it, or choose "
                "another store."
            )
        self._sink: MemorySink | StoreSink | None = None
        self._layers: list[schema.Layer] = []
        self._pending: dict[str, list[tuple[int, torch.Tensor]]] = {}
        self._coords: list[dict[str, np.ndarray]] = []
        self._model: dict[str, Any] = {}
        # One row a stimulus: digests of what was shown and of the coordinates.
        self._digests: list[np.ndarray] = []
        self._inputs: np.ndarray | None = None  # of the open batch, where the model's calls tell
        self._index = self._seen = self._n = self._calls = 0
        self._open = self._skip = False
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> "Recorder":
        import torch

        with contextlib.ExitStack() as stack:
            if self._store is None:
                self._model = {"weights": fingerprint.weights_digest(self.model)}
            else:
                stack.enter_context(claim(self._store.path))
                strict = self.resume_key is None
                self._model = fingerprint.describe_model(self.model, refuse=strict)
            stack.enter_context(self._session)
            # Scripted modules refuse the method, and call hooks all the same.
            before = torch.nn.Module.register_forward_pre_hook
            handle = before(self.model, self._note_inputs, with_kwargs=True, prepend=True)
            stack.callback(handle.remove)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self._end_batch()
                self._finish()
        finally:
            if self._sink is not None:
                self._sink.close()
            self._exit.close()

    # --- batches -------------------------------------------------------------------------------

    def batch(
        self, coords: Mapping[str, Any] | None = None, n: int | None = None, stimuli: Any = None
    ) -> bool:
        """Open the next batch.

        Parameters
        ----------
        coords : mapping of str to array-like of shape (N,), optional
            What is known of each stimulus: label, orientation, condition …
        n : int, optional
            Number of stimuli; needed where neither `coords` nor `stimuli` tells.
        stimuli : tensor or array of shape (N, ...), optional
            What is shown, for the comparison on a resume. Without it a store compares what the
            model is called with, so that the model has to run again.

        Returns
        -------
        bool
            False where a resumed store holds this batch already, of the same `stimuli`: the
            model need not run. Without `stimuli` always True: the model runs, and what it is
            called with is compared with what was recorded.

        Raises
        ------
        InvalidInput
            If lengths or names do not fit.
        StorageError, RecordingError
            If an earlier batch could not be written, or did not fit the first one, or if the
            stimuli are not those that a resumed store was recorded from.
        """
        given = dict(coords or {})
        if n is None:
            sized = stimuli if stimuli is not None else next(iter(given.values()), None)
            if sized is None:
                raise InvalidInput("recorder.batch() needs coords, or n=, the number of stimuli.")
            n = len(sized)
        if stimuli is not None and len(stimuli) != n:
            raise InvalidInput(f"stimuli= has {len(stimuli)} entries for a batch of {n}.")
        rows = None if stimuli is None else fingerprint.row_digests(stimuli)
        return self._begin({k: schema.plain(k, v, n) for k, v in given.items()}, n, rows)

    def _begin(self, coords: dict[str, np.ndarray], n: int, shown: np.ndarray | None) -> bool:
        """Open a batch; `shown` are the digests of its stimuli, None where the calls will tell."""
        self._end_batch()
        if self._sink is None:
            self._sink = self._make_sink(n)
        self._check_length(n)
        if self._coords and list(coords) != list(self._coords[0]):
            raise InvalidInput(
                f"Every batch needs the same coordinates; got {list(coords)} after "
                f"{list(self._coords[0])}."
            )
        self._coords.append(coords)
        named = fingerprint.coord_digests(coords, n)
        self._inputs = np.zeros(n, np.uint64) if shown is None else None
        self._calls = 0
        digests = np.stack([named if shown is None else shown, named], 1)
        self._n = n
        self._skip = self._sink.finished(self._seen)
        if self._skip and shown is not None and isinstance(self._sink, StoreSink):
            self._sink.verify(self._seen, digests)
        self._digests.append(digests)
        if self._layers and not self._skip:
            self._aim(self._sink)
        elif not self._skip:
            self._collect()
        self._session.begin(self._index, n, skip=self._skip)
        self._open = True
        return not self._skip or shown is None

    def _note_inputs(self, module: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        """Take what the model is called with into the digests of the open batch."""
        if self._inputs is not None and self._open:
            call = fingerprint.input_digests([args, kwargs], self._n)
            self._inputs = fingerprint.chained(self._inputs, call)
            self._calls += 1

    def _settle_inputs(self) -> None:
        """Enter what the model was called with; compare it where the store holds the batch."""
        if self._inputs is None:
            return
        if self._store is not None and not self._calls:
            raise RecordingError(
                f"Batch {self._index} was not shown to the model by a call of the model itself, "
                "so that a resume could not tell what it saw. Give recorder.batch(coords, "
                "stimuli=...)."
            )
        self._digests[-1][:, 0] = self._inputs
        if self._skip and isinstance(self._sink, StoreSink):
            self._sink.verify(self._seen, self._digests[-1])

    def _check_length(self, n: int) -> None:
        total, stop = self.n_stimuli, self._seen + n
        if total is not None and stop > total:
            raise InvalidInput(
                f"{total} stimuli were announced and batch {self._index} brings them to {stop}. "
                "Give the right n_stimuli= (a length that counts batches is not it)."
            )
        if self._store is not None and n != self.batch_size and stop != total:
            raise InvalidInput(
                f"Batch {self._index} has {n} stimuli; in a store all batches but the last have "
                f"{self.batch_size}."
            )

    def _make_sink(self, n: int) -> MemorySink | StoreSink:
        if self._store is None:
            return MemorySink(self.n_stimuli)
        assert self.n_stimuli is not None
        self.batch_size = self.batch_size or n
        if self.chunk is not None:
            schema.choose_chunk([], self.batch_size, self.chunk, self.n_stimuli, self.max_memory)
        sink = StoreSink(self._store, self.n_stimuli, self.batch_size)
        if self._store.exists():
            self._store.load("r+")
            self._store.refuse_other(self._signature())
            sink.resume()
        return sink

    def _collect(self) -> None:
        """Keep copies of the first batch: only its end tells the length of time."""
        for label, probe in self._session.probes.items():
            self._pending[label] = probe.collect(self.dtype)

    def _aim(self, sink: MemorySink | StoreSink) -> None:
        for label, rows in sink.rows(self._seen, self._n).items():
            self._session.probes[label].aim(rows, sink.grow)

    def _end_batch(self) -> None:
        """Check and accept the open batch."""
        if not self._open or self._sink is None:
            return
        self._open = False
        self._settle_inputs()
        calls = {}
        if not self._skip:
            if not self._layers:
                self._first_batch()
            for layer in self._layers:
                probe = self._session.probes[layer.label]
                if layer.ragged:
                    calls[layer.label] = probe.slots
                elif probe.slots != layer.shape[0]:
                    raise probe.ragged(layer.shape[0], probe.slots)
        stop = self._seen + self._n
        if not self._skip:
            self._sink.commit(self._digests[-1], calls)
        self._seen, self._index = stop, self._index + 1

    def _first_batch(self) -> None:
        """Learn the layers from the copies of the first batch, make room, put them there."""
        assert self._sink is not None
        self._session.check_called()
        clash = set(self._sites) & (_RESERVED | set(self._coords[0]))
        if clash:
            raise InvalidInput(
                f"A layer and a stimulus coordinate are both called {sorted(clash)[0]!r}. Give "
                "the layer another name, Site(..., label='...')."
            )
        layers = [
            self._session.probes[label].layer(self._pending[label]) for label in self._session.order
        ]
        for layer in layers:
            taken = ({*layer.coords, *_RESERVED} - {"stimulus"}) & set(self._coords[0])
            if taken:
                name = sorted(taken)[0]
                raise InvalidInput(
                    f"{name!r} is a coordinate of the stimuli and a name of layer "
                    f"{layer.label!r}'s own. Call that of the stimuli something else, such as "
                    f"'stimulus_{name}'."
                )
        if isinstance(self._sink, StoreSink) and self._store and self._store.root is None:
            assert self.batch_size is not None and self.n_stimuli is not None
            chunk = schema.choose_chunk(
                layers, self.batch_size, self.chunk, self.n_stimuli, self.max_memory
            )
            with storing(self._store.path):
                self._store.create(layers, chunk, self.n_stimuli, self._signature(self._changed()))
        self._sink.open(layers)
        rows = self._sink.rows(self._seen, self._n)
        for label, copies in self._pending.items():
            for slot, tensor in copies:
                rows[label][:, slot].copy_(tensor)
            copies.clear()
        self._layers = layers

    # --- the end -------------------------------------------------------------------------------

    def _settings(self, *, refuse: bool) -> dict[str, Any]:
        """Return what was asked for, as plain values."""
        return {
            "sites": {label: site.describe(refuse=refuse) for label, site in self._sites.items()},
            "dtype": self.dtype,
            "batch_size": self.batch_size,
            "chunk": self.chunk,
            "n_stimuli": self.n_stimuli,
            "seed": self.seed,
            "grad": self.grad,
            "device": schema.device_of(self.model).type,
            "versions": versions(),
            "resume_key": self.resume_key,
            **{
                name: fingerprint.describe(value, name, refuse=refuse)
                for name, value in self._compared.items()
            },
        }

    def _changed(self) -> list[str]:
        """Return what of the model its forward pass has changed: counters, values it keeps."""
        now = fingerprint.describe_model(self.model, refuse=False)
        places = fingerprint.differences(self._model, now)
        fixed = {"training", "code", "class"}  # modes are ours here; code is never a state
        return [place for place in places if place.rpartition(".")[2] not in fixed]

    def _signature(self, changed: Iterable[str] = ()) -> dict[str, Any]:
        """Return what a resume compares, beside the digests of the stimuli."""
        return {
            VOLATILE: list(changed),
            "model class": schema.class_name(self.model),
            **self._settings(refuse=self.resume_key is None),
            **self._model,
        }

    def _provenance(self) -> dict[str, Any]:
        shown, named = np.concatenate(self._digests).T
        facts = {
            **self._settings(refuse=False),
            "model": schema.class_name(self.model),
            "weights": self._model["weights"],
            "n_stimuli": self._seen,
            "images": fingerprint.digest(np.ascontiguousarray(shown).data),
            "coords": fingerprint.digest(np.ascontiguousarray(named).data),
            "config": schema.plain_config(getattr(self.model, "config", None)),
        }
        return dict(json.loads(to_json(make_provenance(**{**facts, **self._facts}))))

    def _finish(self) -> None:
        if self._seen == 0 or self._seen != (self.n_stimuli or self._seen):
            raise RecordingError(
                f"{self.n_stimuli or 'Some'} stimuli were announced and {self._seen} came. Give "
                "the right n_stimuli=, or show the others"
                + (f"; {self._store.path} can be resumed." if self._store else ".")
            )
        coords = schema.joined(self._coords)
        facts = self._provenance()
        if isinstance(self._sink, StoreSink):
            self.recording = self._finish_store(self._sink, coords, facts)
        elif self._sink is not None:
            text, arrays = json.dumps(facts), self._sink.arrays()
            labelled = {}
            for layer in self._layers:
                layer.coords = schema.layer_coords(self._sites[layer.label], layer)
                extra = (
                    {N_CALLS: np.concatenate(self._sink.calls[layer.label])} if layer.ragged else {}
                )
                labelled[layer.label] = label_array(
                    arrays.pop(layer.label), layer, {**coords, **extra}, text
                )
            self.recording = Recording(labelled, facts)

    def _finish_store(
        self, sink: StoreSink, coords: dict[str, np.ndarray], facts: dict[str, Any]
    ) -> Recording:
        store = sink.store
        sink.close()
        sink.check()
        beside = {
            label: schema.layer_coords(self._sites[label], store.layer(label))
            for label in store.labels
        }
        # What was whole before keeps its own provenance.
        text = store.attrs.get("provenance", json.dumps(facts))
        with storing(store.path):
            stimulus = {name: ("stimulus", values) for name, values in coords.items()}
            store.finish(stimulus, beside, {"provenance": text})
        return open_recording(store.path)


def _resolve(model: Any, sites: Any, reduce: Any) -> list[Resolved]:
    resolved = resolve(model, sites, reduce)
    for entry in resolved:
        if components(entry.site.reduce) is not None:
            raise InvalidInput(
                f"Site({entry.site.name!r}, reduce={entry.site.reduce!r}) needs a pass over all "
                "stimuli first: use record(...), or give the matrix as reduce."
            )
    return resolved


def record(
    model: "torch.nn.Module",
    stimuli: Any,
    sites: str | Site | Iterable[str | Site],
    *,
    forward: Forward | None = None,
    store: str | os.PathLike[str] | None = None,
    batch_size: int = 64,
    chunk: int | None = None,
    dtype: str = "float32",
    reduce: Any = None,
    resume: bool = True,
    seed: int = 0,
    grad: bool = False,
    resume_key: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    max_memory: int = _MAX_MEMORY,
    n_stimuli: int | None = None,
) -> Recording:
    """Show stimuli to a model and record what its modules do.

    Parameters
    ----------
    model : torch.nn.Module
        Any model; it is called as ``model(image)`` and stays on its device.
    stimuli
        What is shown, in batches that are never held whole:

        - a tensor or array (N, C, H, W), or a list of images (C, H, W) of one size;
        - PIL images, a file, a folder (of folders, one a category), a list of paths;
        - a torch ``Dataset`` or ``DataLoader`` of images or (image, label);
        - a mapping, data frame or `xarray.Dataset` with ``image`` and coordinates of length N;
        - an object with ``image`` and per-stimulus metadata (``coords()``, or dataclass fields
          of length N), or a set whose slices are such objects;
        - an iterable of such batches, of (batch, labels) or of (batch, coords).

        uint8 is shown as value / 255 in float32; other integers and booleans as they are.
    sites : str, Site or list of them
        What to record: names of modules, patterns, names of taps, `Site` objects.
    forward : callable, optional
        How the model is called, ``forward(model, image, coords)``: for models that take more
        than an image, or have other methods. `image` (n, ...) is on the model's device, floats
        in its dtype; `coords` are arrays (n,), with ``stimulus``, counted from 0.
    store : path-like, optional
        A Zarr store to stream to, resumed if it was begun before. Default: memory.
    batch_size : int
        Stimuli a forward pass.
    chunk, dtype, reduce, resume, seed, grad, resume_key, provenance, max_memory
        As for `Recorder`; here `reduce` may also be "pca:K", fitted in a pass of its own.
    progress : bool, optional
        Show a bar. Default: only on a terminal.
    n_stimuli : int, optional
        Stimuli in all, where a stream cannot tell by its length and a store is used.

    Returns
    -------
    Recording
        ``recording[layer]`` is an `xarray.DataArray` of dims ``stimulus, time, channel, y, x``
        or ``stimulus, time, unit``; lazy where it was streamed to a store.

    Raises
    ------
    UnknownName
        If a site names no module and no tap.
    InvalidInput
        If stimuli or settings cannot be used, or the model cannot be run on them.
    DatasetNotFound, DatasetCorrupt
        If a picture is missing or damaged.
    RecordingError
        If the model cannot be recorded as asked, or `store` holds another recording.
    StorageError
        If the store cannot be written; what was finished is safe, the same call resumes.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    >>> stimuli = {"image": torch.rand(6, 1, 8, 8), "orientation_deg": range(0, 180, 30)}
    >>> recording = record(model, stimuli, ["0", "1"])
    >>> recording["0"].dims
    ('stimulus', 'time', 'channel', 'y', 'x')

    A model that takes more than an image:

    >>> readout = torch.nn.Bilinear(4, 1, 2)
    >>> trials = {"image": torch.rand(6, 4), "cue": [0.0, 1.0] * 3}
    >>> def cued(model, image, coords):
    ...     return model(image, torch.as_tensor(coords["cue"], dtype=image.dtype)[:, None])
    >>> record(readout, trials, "", forward=cued)["output"].cue.values.tolist()
    [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    """
    from tqdm import tqdm

    check_positive("batch_size", batch_size, integer=True)
    check_model(model)
    check_forward(forward)
    run, shown = Run(model, forward), source(stimuli)
    total = count_stimuli(shown, n_stimuli)
    if store is not None and isinstance(shown, Stream) and shown.shuffled:
        raise InvalidInput(
            "The DataLoader gives another order each time, by which a store could not be resumed. "
            "Make it with shuffle=False, or leave store=None."
        )
    fitted = _fitted(run, shown, sites, reduce, batch_size, seed, grad)
    recorder = Recorder(
        model, fitted, store=store, n_stimuli=total, batch_size=batch_size, chunk=chunk,
        dtype=dtype, resume=resume, seed=seed, grad=grad, resume_key=resume_key,
        provenance=provenance, max_memory=max_memory,
    )  # fmt: skip
    recorder._session.stimuli_first = True
    recorder._compared["forward"] = forward
    if isinstance(shown, Indexed) and shown.coords is not None and total is not None:
        every = fingerprint.coord_digests(shown.coords, total)
        recorder._compared["coordinates"] = fingerprint.digest(every.data)
    hidden = None if progress is None else not progress
    with recorder, tqdm(total=total, unit="stimulus", disable=hidden, leave=False) as bar:
        first = 0
        for image, coords in batches(shown, batch_size):
            if recorder._begin(coords, len(image), fingerprint.row_digests(image)):
                run(image, coords, first)
                settle(recorder._session, run, image, coords, first)
            first += len(image)
            bar.update(len(image))
        recorder._facts.setdefault("stimuli", describe_source(shown))
    assert recorder.recording is not None
    return recorder.recording


def _fitted(
    run: Run,
    shown: Indexed | Stream,
    sites: str | Site | Iterable[str | Site],
    reduce: Any,
    batch_size: int,
    seed: int,
    grad: bool,
) -> list[Resolved]:
    """Return one site a layer, with principal components fitted where they are asked for."""
    resolved = resolve(run.model, sites, reduce)
    ranks = {entry.label: components(entry.site.reduce) for entry in resolved}
    if any(ranks.values()) and isinstance(shown, Stream) and isinstance(shown.items, Iterator):
        raise InvalidInput(
            "reduce='pca:K' passes over the stimuli twice, and a generator can be read once. "
            "Give a list, or an object whose __iter__ starts anew."
        )
    bases = fit_components(run, resolved, batches(shown, batch_size), ranks, seed=seed, grad=grad)
    return [
        replace(
            entry,
            site=replace(
                entry.site,
                name=entry.name,
                label=entry.label,
                reduce=bases.get(entry.label, entry.site.reduce),
            ),
        )
        for entry in resolved
    ]
