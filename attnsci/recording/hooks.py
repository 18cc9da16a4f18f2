"""Hooks on a running model: counting calls, handing each tensor on at the moment it is there."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording.forward import Run
from attnsci.recording.kinds_of_models import readable, unheard
from attnsci.recording.schema import Layer, layer_coords, stored_dtype, torch_dtype, words
from attnsci.recording.sites import (
    PrincipalComponents,
    Projection,
    Resolved,
    clean,
    describe,
    module_names,
    pick_tensor,
    reduced,
    summary,
    unknown_site,
)
from attnsci.seeds import torch_seed

if TYPE_CHECKING:
    import torch

# Sessions that hold hooks now: `tap` asks them, and nesting on one site is refused.
_open: list["Session"] = []


def tap(name: str, tensor: "torch.Tensor") -> "torch.Tensor":
    """Offer a value that no module returns, a softmax map for one, to whoever records.

    Parameters
    ----------
    name : str
        The site by which it is asked for.
    tensor : torch.Tensor of shape (N, ...)
        The value.

    Returns
    -------
    torch.Tensor
        `tensor` itself. Without a recorder nothing else happens.

    Examples
    --------
    >>> import torch
    >>> weights = torch.rand(2, 5).softmax(1)
    >>> tap("attention", weights) is weights
    True
    """
    for session in _open:
        session.tapped(name, tensor)
    return tensor


class Probe:
    """One site at work: takes what the module shows, hands `deliver` (slot, tensor).

    Parameters
    ----------
    resolved : Resolved
        Site, layer name and module.
    session : Session
        Tells whether a batch is open and how many stimuli it has.
    """

    def __init__(self, resolved: Resolved, session: "Session") -> None:
        self.resolved, self.session = resolved, session
        self.calls = None if resolved.site.calls is None else tuple(resolved.site.calls)
        self.seen = 0  # calls in this batch
        self.shape: tuple[int, ...] | None = None
        self.dims: tuple[str, ...] = ()
        self.deliver: Callable[[int, torch.Tensor], None] = lambda slot, tensor: None

    @property
    def slots(self) -> int:
        """How many entries along time this batch has filled so far."""
        if self.calls is None:
            return self.seen
        return sum(call < self.seen for call in self.calls)

    def attach(self) -> Any:
        """Register the hook and return its handle."""
        import torch

        site, module = self.resolved.site, self.resolved.module
        if module is None:  # a tap
            return None
        # Scripted modules refuse the method, and call hooks where Python calls them all the same.
        hook = torch.nn.Module.register_forward_hook
        if site.what == "output":
            return hook(module, lambda m, args, out: self.take(out))
        if site.what == "attr":
            return hook(module, lambda m, args, out: self._attribute(m))
        before = torch.nn.Module.register_forward_pre_hook
        return before(module, self._before, with_kwargs=True)

    def _before(self, module: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        site = self.resolved.site
        if site.what == "input":
            self.take(args)
        elif site.pick in kwargs:
            self.take(kwargs[site.pick])
        else:
            raise RecordingError(
                f"Layer {self.resolved.label!r} was called without the keyword argument "
                f"{site.pick!r}; it got {list(kwargs) or 'none'} by keyword and "
                f"{summary(args)} by position. Use what='input' with pick=index."
            )

    def _attribute(self, module: Any) -> None:
        name = str(self.resolved.site.pick)
        if not hasattr(module, name):
            raise RecordingError(
                f"Layer {self.resolved.label!r}: {type(module).__name__} has no attribute "
                f"{name!r} after it ran."
            )
        self.take(getattr(module, name))

    def take(self, value: Any) -> None:
        """Pick, check, reduce and hand on one call's value."""
        site, label = self.resolved.site, self.resolved.label
        n = self.session.batch_length(label)
        if n is None:
            return
        self.session.note(label)
        call = self.seen
        if self.calls is not None and site.time == "calls" and call not in self.calls:
            self.seen += 1  # not wanted, so neither its shape nor its type matters
            return
        tensor = pick_tensor(value, self.resolved).detach()
        axis = site.batch_axis
        if not -tensor.ndim <= axis < tensor.ndim or tensor.shape[axis] != n:
            raise RecordingError(
                f"Layer {label!r} has shape {tuple(tensor.shape)}, and axis {axis} does not hold "
                f"the {n} stimuli of the batch. Give the right one by Site(..., batch_axis=...), "
                "or use a reduce function."
            )
        tensor, dims = reduced(tensor.movedim(axis, 0), self.resolved)
        if site.time == "calls":
            self._emit(tensor, dims)
            return
        if "time" not in dims:
            raise RecordingError(
                f"Layer {label!r}: after reduce={describe(site.reduce)!r} the axis 'time' of "
                "Site(time='axis') is gone. Record it unreduced, or reduce by a function."
            )
        steps = tensor.movedim(dims.index("time") + 1, 1)
        inner = tuple(dim for dim in dims if dim != "time")
        for step in range(steps.shape[1]):
            self._emit(steps[:, step], inner)

    def _emit(self, tensor: "torch.Tensor", dims: tuple[str, ...]) -> None:
        call, self.seen = self.seen, self.seen + 1
        if self.calls is not None and call not in self.calls:
            return
        shape = tuple(tensor.shape[1:])
        if self.shape is None:
            self.shape, self.dims = shape, dims
        elif shape != self.shape:
            label = self.resolved.label
            raise RecordingError(
                f"Layer {label!r} gave {self.shape} before and {shape} in call {call}. A module "
                "that is reused at several widths is no time series: record the modules around "
                f"it, or keep one of its calls, Site({self.resolved.name!r}, calls=[0]); "
                "stimuli must all have one size."
            )
        self.deliver(call if self.calls is None else self.calls.index(call), tensor)

    def collect(self, floats: str) -> list[tuple[int, "torch.Tensor"]]:
        """Return a list that the next calls fill with copies, before there are rows."""
        copies: list[tuple[int, torch.Tensor]] = []

        def keep(slot: int, tensor: "torch.Tensor") -> None:
            dtype = torch_dtype(stored_dtype(tensor, floats, self.resolved.label))
            copies.append((slot, tensor.to("cpu", dtype, copy=True)))

        self.deliver = keep
        return copies

    def layer(self, copies: list[tuple[int, "torch.Tensor"]]) -> Layer:
        """Return how the layer is to be kept, from the copies of its first batch."""
        site, label = self.resolved.site, self.resolved.label
        dtype = np.dtype(str(copies[0][1].dtype).removeprefix("torch."))
        padded = site.ragged == "pad"
        if padded and dtype.kind != "f":
            raise InvalidInput(
                f"Layer {label!r} is {dtype}, which has no NaN to pad with. Turn it into floats: "
                "Site(..., ragged='pad', reduce=lambda t: t.float())."
            )
        layer = Layer(label, self.dims, (self.slots, *(self.shape or ())), dtype, padded)
        layer.attrs = {
            "site": self.resolved.name,
            "what": site.what,
            "pick": words(site.pick, "first tensor"),
            "reduce": words(site.reduce, "none"),
        }
        layer.coords = layer_coords(site, layer)
        return layer

    def aim(self, rows: "torch.Tensor", grow: Callable[[str, int], "torch.Tensor"]) -> None:
        """Copy the next calls straight into `rows` (n, time, ...).

        This one copy is also what protects the values from later operations in place.
        """

        def copy(slot: int, tensor: "torch.Tensor") -> None:
            nonlocal rows
            if slot >= rows.shape[1]:
                if self.resolved.site.ragged == "error":
                    raise self.ragged(rows.shape[1], f"at least {slot + 1}")
                rows = grow(self.resolved.label, slot + 1)
            rows[:, slot].copy_(tensor)

        self.deliver = copy

    def ragged(self, first: int, now: int | str) -> RecordingError:
        """Return the error for a number of calls that is not that of the first batch."""
        return RecordingError(
            f"Layer {self.resolved.label!r} was called {first} times in the first batch and {now} "
            f"times in batch {self.session.index}. Pad with NaN by Site({self.resolved.name!r}, "
            "ragged='pad'), or keep chosen calls by calls=[...]."
        )


class Session:
    """Hooks on a model for the length of a with-block, and everything put back afterwards.

    Inside: evaluation mode, no gradients (unless asked), compiled code run eagerly (hooks are
    not called by it), and torch's random state set anew for every batch.

    Parameters
    ----------
    model : torch.nn.Module
        What runs.
    sites : list of Resolved
        What to watch.
    seed : int
        The draws of batch i come from (`seed`, i).
    grad : bool
        Let autograd work inside the model.
    """

    def __init__(
        self, model: "torch.nn.Module", sites: list[Resolved], *, seed: int, grad: bool
    ) -> None:
        self.model, self.seed, self.grad = model, seed, grad
        self.order: list[str] = []  # labels by first call
        self.probes = {resolved.label: Probe(resolved, self) for resolved in sites}
        self._taps = [p for p in self.probes.values() if p.resolved.module is None]
        self.index = 0
        self._tapped: set[str] = set()
        self._n: int | None = None
        self._skip = False
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> "Session":
        import torch

        self._refuse()
        # A frozen script has no mode.
        modes = [(m, m.training) for m in self.model.modules() if hasattr(m, "training")]
        with contextlib.ExitStack() as stack:
            stack.callback(_restore, modes)
            _to_evaluation(self.model, modes)
            stack.enter_context(torch.set_grad_enabled(self.grad))
            if "torch._dynamo" in sys.modules:  # imported as soon as anything is compiled
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(_random_state())
            for probe in self.probes.values():
                handle = probe.attach()
                if handle is not None:
                    stack.callback(handle.remove)
            _open.append(self)
            stack.callback(_open.remove, self)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._n = None
        self._exit.close()

    def _refuse(self) -> None:
        import torch

        for name, module in self.model.named_modules():
            if isinstance(module, torch.nn.DataParallel):
                path = f"model.{name}.module" if name else "model.module"
                raise RecordingError(
                    "torch.nn.DataParallel runs copies of the model in threads, whose calls "
                    f"cannot be told apart. Record {path} instead."
                )
        mine = {probe_key(probe): probe.resolved.label for probe in self.probes.values()}
        for other in _open:
            for probe in other.probes.values():
                if probe_key(probe) in mine:
                    raise RecordingError(
                        f"Layer {mine[probe_key(probe)]!r} is being recorded by an enclosing "
                        "Recorder. Record it once, with all its sites in one Recorder."
                    )

    def begin(self, index: int, n: int, *, skip: bool = False) -> None:
        """Open batch `index` of `n` stimuli; `skip`: let the model run unrecorded."""
        import torch

        self.index, self._n, self._skip = index, n, skip
        for probe in self.probes.values():
            probe.seen = 0
        seed = torch_seed(self.seed, index)
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)

    def batch_length(self, label: str) -> int | None:
        """Return the length of the open batch, None while a batch is skipped."""
        if self._n is None:
            raise RecordingError(
                f"Layer {label!r} was called while no batch was open. Call "
                "recorder.batch(coords) before each run of the model."
            )
        return None if self._skip else self._n

    def note(self, label: str) -> None:
        """Remember the order in which layers are first called."""
        if label not in self.order:
            self.order.append(label)

    def tapped(self, name: str, tensor: "torch.Tensor") -> None:
        """Hand a tapped value to the sites of that name."""
        self._tapped.add(name)
        for probe in self._taps:
            if probe.resolved.name == name:
                probe.take(tensor)

    def check_called(self) -> None:
        """Raise if a site saw nothing in the first batch."""
        for label, probe in self.probes.items():
            if probe.slots:
                continue
            name = probe.resolved.name
            if probe.resolved.module is None:
                raise unknown_site(name, module_names(self.model), self._tapped)
            if probe.seen:
                raise RecordingError(
                    f"Layer {label!r} was called {probe.seen} times in the first batch, and "
                    f"Site.calls={probe.calls} asks for others."
                )
            raise RecordingError(
                f"Layer {label!r} ({name!r}) was not called in the first batch, so its shape is "
                f"unknown. {unheard(module_names(self.model), name)}"
            )


def fit_components(
    run: Run,
    sites: list[Resolved],
    batches: Iterable[tuple["torch.Tensor", dict[str, np.ndarray]]],
    ranks: Mapping[str, int | None],
    *,
    seed: int,
    grad: bool,
) -> dict[str, Projection]:
    """Return the leading components of the layers that have a rank, in one pass over `batches`."""

    def flatten(tensor: "torch.Tensor") -> "torch.Tensor":
        return tensor.flatten(1).float()

    def feed(fit: PrincipalComponents) -> Callable[[int, "torch.Tensor"], None]:
        return lambda slot, rows: fit.add(rows.cpu().numpy())

    fits = {label: PrincipalComponents(rank) for label, rank in ranks.items() if rank}
    if not fits:
        return {}
    flat = [
        replace(entry, site=replace(entry.site, reduce=flatten, dims=None, time="calls"))
        for entry in sites
        if entry.label in fits
    ]
    with Session(run.model, flat, seed=seed, grad=grad) as session:
        for label, probe in session.probes.items():
            probe.deliver = feed(fits[label])
        first = 0
        for index, (image, coords) in enumerate(batches):
            session.begin(index, len(image))
            run(image, coords, first)
            first += len(image)
        session.check_called()
    return {label: fit.projection() for label, fit in fits.items()}


def probe_key(probe: Probe) -> tuple[Any, ...]:
    """Return what makes two sites the same: module or tap, and what is taken there."""
    site, module = probe.resolved.site, probe.resolved.module
    return (site.name if module is None else id(module), site.what, repr(site.pick))


def state_without_compile(model: "torch.nn.Module") -> Mapping[str, "torch.Tensor"]:
    """Return the model's ``state_dict`` under the names it has before ``torch.compile``."""
    return {
        clean(name): readable(value, name)
        for name, value in model.state_dict().items()
        if hasattr(value, "detach")
    }


def _to_evaluation(model: "torch.nn.Module", modes: list[tuple[Any, bool]]) -> None:
    try:
        if hasattr(model, "training"):
            model.eval()
    except NotImplementedError:  # of an exported program, whose mode is part of its graph
        for module, _ in modes:
            module.training = False


def _restore(modes: list[tuple[Any, bool]]) -> None:
    for module, training in modes:
        module.training = training


@contextlib.contextmanager
def _random_state() -> Iterator[None]:
    import torch

    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=list(cuda)):
        yield
