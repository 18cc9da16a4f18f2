"""What a model answers to stimuli: labelled, streamed, resumed, as recordings of layers are."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.recording import fingerprint, schema
from attnsci.recording.hooks import tap
from attnsci.recording.recorder import Recorder
from attnsci.recording.recording import Recording
from attnsci.recording.sites import Site
from attnsci.recording.stimuli import to_model

if TYPE_CHECKING:
    import xarray as xr

BATCH = 500

Response = Mapping[str, tuple[tuple[str, ...], Any]]
"""Name to (dimensions after ``stimulus``, tensor (N, …)), as xarray writes a variable."""
Ask = Callable[[Any, slice], Response]
"""From a batch of stimuli, and its rows among all that are shown, to a response. It may have
``model`` (whose weights enter a store's signature and whose layers can be recorded), ``settings``
(plain values; a store resumes only under the same) and ``dims`` (names of what it answers, with
their dimensions, which spares the stimulus by which they are learnt)."""


class Stimuli(Protocol):
    """Stimuli by index: any of them can be made at any time, on any machine."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any:
        """Return a batch: ``image`` (N, …), and ``coords()``, one value a stimulus."""


def collect(
    ask: Any,
    stimuli: Stimuli,
    *,
    sites: str | Site | Iterable[str | Site] = (),
    store: str | Path | None = None,
    batch_size: int = BATCH,
    chunk: int | None = None,
    resume: bool = True,
    seed: int = 0,
    progress: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> "xr.Dataset":
    """Show stimuli to a model and keep what it answers, labelled by stimulus.

    Parameters
    ----------
    ask : Ask or torch.nn.Module
        How a batch is shown and what is kept of the response; the output of a module is
        ``logits``. No answer may depend on how the stimuli are cut into batches.
    stimuli : Stimuli
        All are shown; `attnsci.data.stimuli.some` takes fewer.
    sites : str, Site or list of them
        Layers of the ask's ``model`` to record on the way.
    store : path-like, optional
        A Zarr store to stream to, which the same call resumes; memory by default.
    batch_size, chunk, resume, seed, provenance
        As for `attnsci.recording.Recorder`; a kill costs at most a chunk.
    progress : str, optional
        Label of a progress bar; none without it.

    Returns
    -------
    xarray.Dataset
        A variable for each name, over ``stimulus`` and its own dimensions; what is known of the
        stimuli as coordinates. Lazy where it was streamed. Layers have a time of their own,
        ``time_<layer>``.

    Raises
    ------
    InvalidInput
        If there are no stimuli, or a response does not have its dimensions.
    RecordingError
        If a store was begun with other stimuli, weights or settings.

    Examples
    --------
    >>> import torch
    >>> from attnsci.data.stimuli import Images
    >>> pictures = Images(torch.rand(6, 1, 4, 4), {"label": torch.arange(6) % 2})
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    >>> dict(collect(net, pictures)["logits"].sizes)
    {'stimulus': 6, 'class': 2}
    """
    import torch
    from tqdm import tqdm

    check_positive("batch_size", batch_size, integer=True)
    total = len(stimuli)
    if total == 0:
        raise InvalidInput("There are no stimuli to show.")
    ask = classifier(ask) if isinstance(ask, torch.nn.Module) else ask
    model = getattr(ask, "model", None)
    module = model if isinstance(model, torch.nn.Module) else torch.nn.Module()
    dims = _dims(ask, module, stimuli)
    answers = [
        Site(name, dims=axes, time="axis" if "time" in axes else "calls", label=name, batch_axis=0)
        for name, axes in dims.items()
    ]
    layers = [sites] if isinstance(sites, str | Site) else list(sites)
    recorder = Recorder(
        module, [*answers, *layers], store=store, n_stimuli=total,
        batch_size=min(batch_size, total), chunk=chunk, resume=resume, seed=seed,
        provenance=provenance, settings=_settings(ask),
    )  # fmt: skip
    with recorder, tqdm(total=total, desc=progress, disable=not progress, leave=False) as bar:
        for start in range(0, total, batch_size):
            rows = slice(start, min(start + batch_size, total))
            batch, n = stimuli[rows], rows.stop - rows.start
            coords = {name: schema.plain(name, v, n) for name, v in batch.coords().items()}
            shown = fingerprint.row_digests(batch.image) if store is not None else None
            if recorder._begin(coords, n, shown):
                for name, tensor in _answers(ask, batch, rows, dims).items():
                    tap(name, tensor)
            bar.update(n)
    assert recorder.recording is not None
    return _dataset(recorder.recording, dims)


def _dims(ask: Any, model: Any, stimuli: Stimuli) -> dict[str, tuple[str, ...]]:
    """Return what the ask answers, with its dimensions; by showing one stimulus if need be."""
    import torch

    if (dims := getattr(ask, "dims", None)) is not None:
        return {name: tuple(axes) for name, axes in dims.items()}
    training = [module for module in model.modules() if module.training]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()
            response = ask(stimuli[:1], slice(0, 1))
    finally:
        for module in training:
            module.training = True
    if not isinstance(response, Mapping) or not response:
        raise InvalidInput(
            f"An ask returns a mapping of names to (dimensions, tensor); got {type(response)}."
        )
    return {name: tuple(axes) for name, (axes, _) in response.items()}


def _answers(
    ask: Any, batch: Any, rows: slice, dims: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Return the tensors of a response, each with a row a stimulus."""
    n, tensors = rows.stop - rows.start, {}
    for name, (axes, tensor) in ask(batch, rows).items():
        if tensor.ndim != len(axes) + 1 or len(tensor) != n:
            raise InvalidInput(
                f"{name!r} should have shape (stimulus, {', '.join(axes)}) with {n} stimuli; it "
                f"has {tuple(tensor.shape)}."
            )
        tensors[name] = tensor
    if set(tensors) != set(dims):
        raise InvalidInput(
            f"Every response needs the same names; got {', '.join(tensors)} after "
            f"{', '.join(dims)}."
        )
    return tensors


def _settings(ask: Any) -> dict[str, Any]:
    """Return what of an ask a resumed store must find equal."""
    settings = getattr(ask, "settings", None)
    return {"ask": ask} if settings is None else {"ask": type(ask), **settings}


def _dataset(recording: Recording, dims: Mapping[str, tuple[str, ...]]) -> "xr.Dataset":
    """Return answers and layers as variables of one dataset, their stimuli told once."""
    import xarray as xr

    arrays = dict(recording.items())
    first = next(iter(arrays.values()))
    coords: dict[str, Any] = {
        str(name): coord.variable
        for name, coord in first.coords.items()
        if coord.dims == ("stimulus",)
    }
    variables = {}
    for name, array in arrays.items():
        if name not in dims:
            array = array.rename(time=f"time_{name}").drop_vars(list(coords), errors="ignore")
            variables[name] = array.variable
            coords |= {str(k): v.variable for k, v in array.coords.items() if k not in coords}
            continue
        variable = array.variable if "time" in dims[name] else array.variable.isel(time=0)
        variables[name] = variable.transpose("stimulus", *dims[name])
        if "time" in dims[name]:
            coords["time"] = array["time"].variable
    if any("coordinate" in axes for axes in dims.values()):
        coords["coordinate"] = ["x", "y"]
    return xr.Dataset(variables, coords, {"provenance": first.attrs["provenance"]})


def classifier(model: Callable[[Any], Any]) -> Ask:
    """Return how a network from images to logits is asked.

    Parameters
    ----------
    model : torch.nn.Module or callable
        From images (N, C, H, W) to logits (N, class), or (N, time, class).

    Returns
    -------
    Ask
        Answers ``logits`` (class), or (time, class).
    """
    return _Classifier(model)


class _Classifier:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.settings = {} if hasattr(model, "parameters") else {"model": model}

    def __call__(self, batch: Any, rows: slice) -> Response:
        import torch

        module = isinstance(self.model, torch.nn.Module)
        image = to_model(batch.image, self.model) if module else batch.image
        logits = self.model(image)
        if logits.ndim not in (2, 3):
            raise InvalidInput(
                "A classifier returns logits (stimulus, class) or (stimulus, time, class); got "
                f"shape {tuple(logits.shape)}. Write an ask that names what it returns."
            )
        return {"logits": (("class",) if logits.ndim == 2 else ("time", "class"), logits.float())}
