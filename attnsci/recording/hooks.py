"""Hooks on a running model: counting calls, handing each tensor on at the moment it is there."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording.forward import Run, missing_axis
from attnsci.recording.kinds_of_models import readable, unheard
from attnsci.recording.schema import Layer, layer_coords, stored_dtype, torch_dtype, words
from attnsci.recording.sites import (
    PrincipalComponents,
    Projection,
    Resolved,
    clean,
    given_dims,
    module_names,
    over_space,
    pick_tensor,
    reduced,
    summary,
    unknown_site,
)
from attnsci.recording.tokens import DIMS, tokens_text
from attnsci.seeds import torch_seed

if TYPE_CHECKING:
    import torch

    from attnsci.recording.axes import Axes, AxisTracker

# (axis, before, after): the axis of a tensor is (before, stimuli, after), flattened.
Place = tuple[int, int, int]

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
        self.seen = 0  # entries along time in this batch
        self.taken = 0  # calls in this batch
        self.shape: tuple[int, ...] | None = None
        self.dims: tuple[str, ...] = ()
        self.tokens: dict[str, str] = {}
        self.deliver: Callable[[int, torch.Tensor], None] = lambda slot, tensor: None
        # What the first batch told of each call, and what is still to be settled of it.
        self.places: dict[int, Place] = {}
        self.whole: tuple[str, ...] = ()  # dims before a reduction
        self.axes: list[Axes | None] = []  # of what is kept
        self.waiting: list[tuple[int, torch.Tensor, Axes]] = []
        self.idle = False  # matched by a pattern and not called
        self.without_stimuli = False  # matched by a pattern; a table of positions, for one

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
        if module is None or site.what == "attention":  # a tap, or left to `AttentionWatch`
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
        if n is None or self.without_stimuli:
            return
        if self.session.measures(label, lambda: pick_tensor(value, self.resolved)):
            return
        self.session.note(label)
        call = self.seen
        if self.calls is not None and site.time == "calls" and call not in self.calls:
            self.seen += 1  # not wanted, so neither its shape nor its type matters
            return
        tensor = pick_tensor(value, self.resolved)
        call, self.taken = self.taken, self.taken + 1
        tracker = self.session.tracker
        if tracker is None:
            if self.idle:
                raise self.late()
            self._show(tensor.detach(), self.places.get(call, self._last_place()))
            return
        axes = tracker.axes(tensor)
        place = self._place(tensor, axes, n)
        if place is None or self.waiting:  # in the order of the calls
            self.waiting.append((call, tensor.detach().clone(), axes))
            return
        self.places[call] = place
        self._show(tensor.detach(), place, axes)

    def _last_place(self) -> Place:
        return next(reversed(self.places.values()), (self.resolved.site.batch_axis or 0, 1, 1))

    def _place(self, tensor: "torch.Tensor", axes: "Axes", n: int) -> Place | None:
        """Return where the stimuli are, None where the operations do not tell."""
        from attnsci.recording.axes import place

        axis = self.resolved.site.batch_axis
        if axis is None:
            assert self.session.tracker is not None
            return place(axes, self.session.tracker.stimulus)
        return axis % tensor.ndim if -tensor.ndim <= axis < tensor.ndim else axis, 1, 1

    def _show(self, tensor: "torch.Tensor", place: Place, axes: "Axes | None" = None) -> None:
        """Bring the stimuli to the front, reduce, and hand on one call's tensor."""
        site, label = self.resolved.site, self.resolved.label
        axis, before, after = place
        n = self.session.n
        if axis < -tensor.ndim or axis >= tensor.ndim or tensor.shape[axis] != before * n * after:
            raise RecordingError(
                f"Layer {label!r} has shape {tuple(tensor.shape)}, and axis {axis} does not hold "
                f"the {n} stimuli of the batch. Give the right one by Site({self.resolved.name!r}, "
                "batch_axis=...)."
            )
        if before == after == 1:
            rows = tensor.movedim(axis, 0)
        else:
            split = tensor.unflatten(axis, (before, n, after))
            rows = split.squeeze(axis + 2) if after == 1 else split
            rows = rows.squeeze(axis) if before == 1 else rows
            rows = rows.movedim(axis + (before > 1), 0)
        rest: Axes | None = None
        if axes is not None:
            from attnsci.recording.axes import in_front, names

            assert self.session.tracker is not None
            rest = in_front(axes, place, self.session.tracker.stimulus)
            if over_space(site.reduce):
                self.whole = given_dims(rows, self.resolved) or names(rest)
        with self.session.tracking():
            kept, left = reduced(rows, self.resolved, self.whole)
        if axes is not None:
            self._learn(kept, left, rest)
        if site.time == "calls":
            self._emit(kept)
            return
        if "time" not in self.dims:
            raise RecordingError(
                f"Layer {label!r}: after reduce={words(site.reduce, '')} the axis 'time' of "
                "Site(time='axis') is gone. Record it unreduced, or reduce by a function."
            )
        steps = kept.movedim(self.dims.index("time") + 1, 1)
        for step in range(steps.shape[1]):
            self._emit(steps[:, step])

    def _learn(
        self, kept: "torch.Tensor", left: tuple[int, ...] | None, rest: "Axes | None"
    ) -> None:
        """Note what the axes of the kept tensor mean; names follow when the batch has ended."""
        site, tracker = self.resolved.site, self.session.tracker
        assert rest is not None and tracker is not None
        if left is not None:
            self.axes.append(tuple(rest[axis] for axis in left))
            given = self.whole if over_space(site.reduce) else given_dims(kept, self.resolved)
            if given:  # features that were channels stay channels once y and x are gone
                self.dims = tuple(given[axis] for axis in left)
        elif callable(site.reduce) and not isinstance(site.reduce, Projection):
            self.axes.append(tracker.axes(kept)[1:])
            self.dims = given_dims(kept, self.resolved) or ()
        else:
            self.axes.append(None)
            self.dims = ("unit",)

    def settle(self, n: int, other: int | None, shapes: list[tuple[int, ...]]) -> None:
        """Find the stimuli by elimination where the operations did not tell.

        Parameters
        ----------
        n : int
            Stimuli of the batch.
        other : int, optional
            Stimuli of another run of the model, whose tensors had `shapes`.
        shapes : list of tuple of int
            One a call.
        """
        from attnsci.recording.axes import kind

        waiting, self.waiting = self.waiting, []
        for i, (call, tensor, axes) in enumerate(waiting):
            place = self._place(tensor, axes, n)
            if place is None:
                open_ = [
                    axis
                    for axis, size in enumerate(tensor.shape)
                    if size == n and kind(axes[axis]) is None
                ]
                if i < len(shapes) and len(shapes[i]) == tensor.ndim:
                    open_ = [axis for axis in open_ if shapes[i][axis] == other]
                elif n == 1 or open_[:1] != [0]:
                    open_ = open_[:1] if open_[:1] == [0] else []
                constant = i < len(shapes) and shapes[i] == tuple(tensor.shape)
                if self.resolved.pattern and (constant or n not in tensor.shape):
                    self.without_stimuli = True  # a table of positions, for one
                    return
                if len(open_) != 1:
                    assert self.session.tracker is not None
                    raise RecordingError(
                        f"Layer {self.resolved.label!r} has shape {tuple(tensor.shape)}, and it "
                        f"is not certain which axis holds the {n} stimuli of the batch. Say it: "
                        f"Site({self.resolved.name!r}, batch_axis=...)."
                        f"{self.session.tracker.misread}"
                    )
                place = (open_[0], 1, 1)
            self.places[call] = place
            self._show(tensor, place, axes)

    def name_axes(self) -> bool:
        """Name the axes of the layer from what its calls told; tell whether all have a name."""
        from attnsci.recording.axes import names, runs

        if self.dims:
            return self.resolved.site.dims is not None or not _neutral(self.dims)
        if not self.axes or self.axes[0] is None:
            self.dims = ("unit",) if self.shape and len(self.shape) == 1 else ()
            return True
        known = [axes for axes in self.axes if axes is not None]
        self.dims = tuple(
            words[0] if len(set(words)) == 1 else f"axis{i}"
            for i, words in enumerate(zip(*map(names, known), strict=True), 1)
        )
        for dim, *axes in zip(self.dims, *known, strict=True):
            texts = {tokens_text(runs(axis)) for axis in axes}
            if dim in DIMS and len(texts) == 1 and texts != {""}:
                self.tokens[dim] = texts.pop()
        return not _neutral(self.dims)

    def late(self) -> RecordingError:
        """Return the error for a module that the first batch did not call and a later one does."""
        return RecordingError(
            f"Layer {self.resolved.label!r} was not called in the first batch and is called in "
            f"batch {self.session.index}. Leave it out by exclude=, or show a stimulus that calls "
            "it first."
        )

    def _emit(self, tensor: "torch.Tensor") -> None:
        call, self.seen = self.seen, self.seen + 1
        if self.calls is not None and call not in self.calls:
            return
        shape = tuple(tensor.shape[1:])
        if self.shape is None:
            self.shape = shape
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
        dims = tuple(dim for dim in self.dims if site.time == "calls" or dim != "time")
        layer = Layer(label, dims, (self.slots, *(self.shape or ())), dtype, padded)
        layer.attrs = {
            "site": self.resolved.name,
            "what": site.what,
            "pick": words(site.pick, "first tensor"),
            "reduce": words(site.reduce, "none"),
            **self.tokens,
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


def _neutral(dims: tuple[str, ...]) -> bool:
    return any(dim.startswith("axis") for dim in dims)


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
    stimuli_first : bool
        The model is known to be given its stimuli along the first axis.
    """

    def __init__(
        self,
        model: "torch.nn.Module",
        sites: list[Resolved],
        *,
        seed: int,
        grad: bool,
        stimuli_first: bool = False,
    ) -> None:
        self.model, self.seed, self.grad = model, seed, grad
        self.stimuli_first = stimuli_first
        self.order: list[str] = []  # labels by first call
        self.probes = {resolved.label: Probe(resolved, self) for resolved in sites}
        self._taps = [p for p in self.probes.values() if p.resolved.module is None]
        self.index = 0
        self._tapped: set[str] = set()
        self._n: int | None = None
        self._skip = False
        self._exit = contextlib.ExitStack()
        self.tracker: AxisTracker | None = None  # while the first batch runs
        self._learned = False
        self._watch = contextlib.ExitStack()
        self._shapes: dict[str, list[tuple[int, ...]]] | None = None  # of a run that is no batch

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
            self._watch_attention(stack)
            stack.callback(self._watch.close)
            _open.append(self)
            stack.callback(_open.remove, self)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._n = None
        self._exit.close()

    def _watch_attention(self, stack: contextlib.ExitStack) -> None:
        """Let the weights of attention come to the sites that ask for them."""
        import torch

        asked: dict[str, tuple[torch.nn.Module, Callable[[torch.Tensor], None]]] = {
            probe.resolved.name: (probe.resolved.module, probe.take)
            for probe in self.probes.values()
            if probe.resolved.site.what == "attention"
            and probe.resolved.module is not None
            # The softmax of a pattern's match belongs to the module around it.
            and not (probe.resolved.pattern and isinstance(probe.resolved.module, torch.nn.Softmax))
        }
        if not asked:
            return
        from attnsci.recording.attention import AttentionWatch

        watch = AttentionWatch(asked, self._is_attention)
        stack.callback(watch.close)
        for handle in watch.attach():
            stack.callback(handle.remove)
        # One fused operation, in which nothing can be read.
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fused)

    def _is_attention(self, weights: "torch.Tensor", dim: int) -> bool | None:
        """Tell whether a softmax is over keys; None once the first batch has told it."""
        from attnsci.recording.axes import kind

        if self.tracker is None:
            return None
        return kind(self.tracker.axes(weights)[dim]) in ("key", None)

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

        self.settle()
        self.index, self._n, self._skip = index, n, skip
        for probe in self.probes.values():
            probe.seen = probe.taken = 0
        if not skip and not self._learned:
            from attnsci.recording.axes import AxisTracker

            self.tracker = AxisTracker(self.model, n, self.stimuli_first)
            self._watch.enter_context(self.tracker.watching(self.model))
        seed = torch_seed(self.seed, index)
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)

    @property
    def n(self) -> int:
        """Number of stimuli of the open batch."""
        assert self._n is not None
        return self._n

    @contextlib.contextmanager
    def tracking(self) -> Iterator[None]:
        """Follow axes also in what runs outside the model's modules."""
        if self.tracker is None or self.tracker.active:
            yield
        else:
            with self.tracker:
                yield

    def open_questions(self) -> bool:
        """Tell whether the first batch left open where some layer holds its stimuli."""
        return any(probe.waiting for probe in self.probes.values())

    def settle(self, n: int | None = None, rerun: Callable[[], Any] | None = None) -> None:
        """End the first batch: what its operations left open is settled, or refused.

        Parameters
        ----------
        n : int, optional
            Number of stimuli that `rerun` shows.
        rerun : callable, optional
            Runs the model on another number of stimuli, which tells the axis that follows it.
        """
        if self.tracker is None:
            return
        self._watch.close()
        shapes: dict[str, list[tuple[int, ...]]] = {}
        if rerun is not None and self.open_questions():
            self._shapes = shapes
            try:
                rerun()
            finally:
                self._shapes = None
        for label, probe in self.probes.items():
            probe.settle(self.n, n, shapes.get(label, []))
        self.tracker, self._learned = None, True

    def name_axes(self) -> None:
        """Name the axes of all layers, and warn once of those without a known meaning."""
        unknown = [p.resolved for p in self.probes.values() if p.seen and not p.name_axes()]
        if unknown:
            lines = ", ".join(
                f"Site({entry.name!r}, dims={self.probes[entry.label].dims!r})"
                for entry in unknown[:3]
            )
            warnings.warn(
                f"The model does not tell what all axes of {len(unknown)} layers mean. Name them: "
                f"{lines}{' …' if len(unknown) > 3 else ''}",
                stacklevel=2,
            )

    def batch_length(self, label: str) -> int | None:
        """Return the length of the open batch, None while a batch is skipped."""
        if self._n is None:
            raise RecordingError(
                f"Layer {label!r} was called while no batch was open. Call "
                "recorder.batch(coords) before each run of the model."
            )
        return None if self._skip else self._n

    def measures(self, label: str, tensor: Callable[[], "torch.Tensor"]) -> bool:
        """Note a shape, and nothing else, in a run that is no batch."""
        if self._shapes is None:
            return False
        self._shapes.setdefault(label, []).append(tuple(tensor().shape))
        return True

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
        """End the first batch; raise if a site saw nothing in it, report if a pattern did."""
        self.settle()
        silent: dict[str, list[str]] = {}
        for label, probe in self.probes.items():
            if probe.slots:
                continue
            name, pattern = probe.resolved.name, probe.resolved.pattern
            if pattern and not probe.seen:
                probe.idle = True
                if label in self.order:
                    self.order.remove(label)
                silent.setdefault(pattern, []).append(name)
                continue
            if probe.resolved.module is None:
                raise unknown_site(name, module_names(self.model), self._tapped)
            if probe.seen:
                raise RecordingError(
                    f"Layer {label!r} was called {probe.seen} times in the first batch, and "
                    f"Site.calls={probe.calls} asks for others."
                )
            raise self._silence(probe)
        for pattern, names in silent.items():
            mute = [p for p in self.probes.values() if p.resolved.pattern == pattern]
            if all(probe.idle for probe in mute):
                raise self._silence(mute[0])
            lost = [name for name in names if self._could_be_called(name)]
            if mute[0].resolved.site.what != "attention" and lost:
                warnings.warn(
                    f"{pattern!r} also matches modules that were not called or hold no stimuli; "
                    f"they are not recorded: {', '.join(lost)}.",
                    stacklevel=2,
                )
        self.name_axes()

    def _could_be_called(self, name: str) -> bool:
        """Tell modules from mere containers of modules."""
        import torch

        module = self.probes[name].resolved.module if name in self.probes else None
        return not isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict)

    def _silence(self, probe: Probe) -> RecordingError:
        name, label = probe.resolved.pattern or probe.resolved.name, probe.resolved.label
        if probe.resolved.site.what == "attention":
            return RecordingError(
                f"No attention ran in {name!r}: neither scaled_dot_product_attention nor "
                "nn.MultiheadAttention nor a softmax over keys. Record its output, or name a "
                "module that holds attention."
            )
        if probe.resolved.pattern:
            return RecordingError(
                f"None of the modules that {name!r} matches was called in the first batch. "
                "Record modules that the model runs."
            )
        return RecordingError(
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
    with Session(run.model, flat, seed=seed, grad=grad, stimuli_first=True) as session:
        for label, probe in session.probes.items():
            probe.deliver = feed(fits[label])
        first = 0
        for index, (image, coords) in enumerate(batches):
            session.begin(index, len(image))
            run(image, coords, first)
            settle(session, run, image, coords, first)
            first += len(image)
        session.check_called()
    return {label: fit.projection() for label, fit in fits.items()}


def settle(
    session: Session, run: Run, image: "torch.Tensor", coords: dict[str, np.ndarray], first: int
) -> None:
    """End the first batch; show another number of its stimuli only where questions are open."""
    if not session.open_questions():
        return
    rows = np.arange(len(image) - 1) if len(image) > 1 else np.zeros(2, int)
    named = {name: values[rows] for name, values in coords.items()}
    others = {**named, "stimulus": first + rows}

    def show_others() -> None:
        try:
            run(image[rows], others, first)
        except Exception as error:  # of a model that takes one number of stimuli only, for one
            reason = missing_axis(run.model, image)
            if reason is not None:
                raise InvalidInput(reason) from error

    session.settle(len(rows), show_others)


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
