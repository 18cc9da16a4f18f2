"""One forward pass: how a model is called, and why stimuli did not fit it."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.errors import AttnsciError, InvalidInput
from attnsci.recording.kinds_of_models import OWN_FORWARD, is_exported
from attnsci.recording.stimuli import to_model

if TYPE_CHECKING:
    import torch

Forward = Callable[["torch.nn.Module", "torch.Tensor", dict[str, np.ndarray]], Any]


def check_forward(forward: Any) -> None:
    """Raise `InvalidInput` if `forward` cannot be called as ``forward(model, image, coords)``."""
    if forward is None:
        return
    wanted = "forward must be a function of (model, image, coords)"
    if not callable(forward):
        raise InvalidInput(f"{wanted}; got {type(forward).__name__}.")
    try:
        signature = inspect.signature(forward)
    except (TypeError, ValueError):  # some callables written in C do not tell
        return
    try:
        signature.bind(None, None, None)
    except TypeError as error:
        raise InvalidInput(f"{wanted}; got one of {signature}.") from error


@dataclasses.dataclass(frozen=True)
class Run:
    """Shows a batch to `model`, as `forward` says, or as ``model(image)`` where it is None."""

    model: "torch.nn.Module"
    forward: Forward | None = None

    def __call__(self, image: "torch.Tensor", coords: dict[str, np.ndarray], first: int) -> None:
        """Run the model on `image` (N, ...); `first` is the number of its first stimulus.

        Raises
        ------
        InvalidInput
            If the model failed on stimuli that do not fit it.
        """
        image = to_model(image, self.model)
        if self.forward is not None:
            rows = np.arange(first, first + len(image))
            self.forward(self.model, image, {"stimulus": rows, **coords})
            return
        refuse_channels_last(self.model, image)
        try:
            self.model(image)
        except Exception as error:  # a model may fail in any way
            reason = misfit(self.model, image, error)
            if reason is None:
                kind = str(image.dtype).removeprefix("torch.")
                error.add_note(f"The model was shown {kind} stimuli of shape {tuple(image.shape)}.")
                raise
            said = "" if isinstance(error, AttnsciError) else f" (The model: {_headline(error)})"
            raise InvalidInput(reason + said) from error


def refuse_channels_last(model: "torch.nn.Module", image: "torch.Tensor") -> None:
    """Raise `InvalidInput` for images (N, H, W, C), unless the model's convolution fits them."""
    shape = tuple(image.shape)
    if len(shape) != 4 or shape[3] not in (1, 3, 4) or shape[1] in (1, 3, 4):
        return
    layer = _first_convolution(model)
    if min(shape[1:3]) > 4 and (layer is None or layer.in_channels != shape[1]):
        raise InvalidInput(
            f"stimuli of shape {shape} have their channels last; a model takes (N, C, H, W). Give "
            "stimuli.permute(0, 3, 1, 2) of a tensor, numpy.moveaxis(stimuli, -1, 1) of an array. "
            f"If it does take them so: {OWN_FORWARD}model(image)."
        )


def missing_axis(model: "torch.nn.Module", image: "torch.Tensor") -> str | None:
    """Return which axis `image` lacks for the model's first convolution, None if none."""
    shape, layer = tuple(image.shape), _first_convolution(model)
    axes = 0 if layer is None else 2 + len(layer.kernel_size)
    named = "stimuli of shape " + str(shape)
    if axes and len(shape) < axes:
        wanted = ("N", "C", *("D", "H", "W")[5 - axes :])
        takes = f"and the model's first convolution takes ({', '.join(wanted)})"
        if len(shape) == axes - 1 and shape[0] in (layer.in_channels, 1, 3):
            return f"{named} came, {takes}. Of one image make a set: stimuli[None]."
        if len(shape) == axes - 1:
            return f"{named} came, {takes}. Add the channel axis: stimuli[:, None]."
        return (
            f"{named} came, {takes}. Of one image make a set: stimuli[None, None]; of a list of "
            "images (H, W): torch.stack(stimuli)[:, None]."
        )
    return None


def misfit(model: "torch.nn.Module", image: "torch.Tensor", error: Exception) -> str | None:
    """Return why `model` failed on `image`, where its shape or dtype tells, else None."""
    reason = missing_axis(model, image)
    if reason is not None or isinstance(error, AttnsciError):
        return reason
    shape, layer = tuple(image.shape), _first_convolution(model)
    axes = 0 if layer is None else 2 + len(layer.kernel_size)
    named = "stimuli of shape " + str(shape)
    call = _call_misfit(model, image)
    if call is not None:
        return call
    if not image.is_floating_point() and axes:
        return (
            f"stimuli are {image.dtype}, which is shown as it is. Give images as uint8, which are "
            "scaled to [0, 1], or as floats: stimuli.float() / 255."
        )
    if axes == len(shape) and shape[1] != layer.in_channels:
        repeat = f"expand({', '.join(['-1', str(layer.in_channels), *['-1'] * (axes - 2)])})"
        way = f"Repeat it: {OWN_FORWARD}model(image.{repeat})." if shape[1] == 1 else (
            f"Give images of {layer.in_channels}."
        )  # fmt: skip
        return (
            f"{named} have {shape[1]} channels, and the model's first convolution takes "
            f"{layer.in_channels}. {way}"
        )
    if is_exported(model):
        return (
            f"{named} came, and an exported program takes those it was exported for. Give its "
            "batch_size=, or export it with dynamic_shapes=."
        )
    return None


def _call_misfit(model: "torch.nn.Module", image: "torch.Tensor") -> str | None:
    """Return why ``model(image)`` is no call of it: other arguments, or none at all."""
    import torch

    inner = getattr(model, "_orig_mod", model)
    if type(inner).forward is torch.nn.Module.forward and not isinstance(
        inner, torch.jit.ScriptModule
    ):
        return (
            f"{type(inner).__name__} has no forward, so nothing tells in what order it runs. Say "
            f"so: {OWN_FORWARD}..."
        )
    try:
        signature = inspect.signature(inner.forward)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(image)
    except TypeError as error:
        return (
            f"model(image) is no call of {type(inner).__name__}: {error}. Say how to call it: "
            f"{OWN_FORWARD}model(image, NAME=...)."
        )
    names = list(signature.parameters)
    if "pixel_values" in names[1:]:
        method = ".get_image_features" if hasattr(inner, "get_image_features") else ""
        return (
            f"The first argument of {type(inner).__name__} is {names[0]!r}. Give images by name: "
            f"{OWN_FORWARD}model{method}(pixel_values=image)."
        )
    return None


def _first_convolution(model: "torch.nn.Module") -> Any:
    import torch

    kinds = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
    return next((module for module in model.modules() if isinstance(module, kinds)), None)


def _headline(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
