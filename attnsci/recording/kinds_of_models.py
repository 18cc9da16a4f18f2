"""What can be recorded: models that can run, and what their modules give."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnsci.errors import InvalidInput, RecordingError

if TYPE_CHECKING:
    import torch

OWN_FORWARD = "forward=lambda model, image, coords: "


def check_model(model: Any) -> None:
    """Refuse what is no model that can run.

    Raises
    ------
    InvalidInput
        If `model` is no instance of `torch.nn.Module`, or its parameters have no values.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise InvalidInput(f"model must be a torch.nn.Module; got {_instead(model)}")
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if torch.nn.parameter.is_lazy(value):
            raise InvalidInput(
                f"{name!r} gets its shape when the model first runs. Run it once before recording "
                "it: model(image[:1])."
            )
        if value.is_meta or hasattr(value, "fake_mode"):
            raise InvalidInput(
                f"{name!r} has no values (device {str(value.device)!r}). Load weights first: "
                "model.to_empty(device='cpu'), then model.load_state_dict(...)."
            )


def _instead(model: Any) -> str:
    """Return what `model` is, and the line that makes a model of it."""
    import torch

    if isinstance(model, type):
        return f"the class {model.__name__}. Make one of it: {model.__name__}(...)."
    owner = getattr(model, "__self__", None)
    if isinstance(owner, torch.nn.Module):
        return (
            f"a method of one. Give the model itself and {OWN_FORWARD}"
            f"model.{model.__name__}(image)."
        )
    if isinstance(model, torch.export.ExportedProgram):
        return (
            "an ExportedProgram. Give torch.export.unflatten(program), which has its modules, or "
            "program.module() for its output alone."
        )
    if isinstance(model, Mapping):
        return f"{type(model).__name__}. Make the model and load it: model.load_state_dict(...)."
    kind = type(model).__name__
    if callable(model):
        return (
            f"{kind}. Call it in the forward(self, image) of a torch.nn.Module that holds the "
            "modules it uses."
        )
    return f"{kind}."


def is_exported(model: Any) -> bool:
    """Tell whether `model` is ``program.module()`` of a `torch.export` program."""
    import torch

    # Its mode is part of its graph, so its own train() and eval() only raise.
    return isinstance(model, torch.fx.GraphModule) and "eval" in vars(model)


def unheard(modules: Mapping[str, Any], name: str) -> str:
    """Return why the module `name` of `modules` calls no hooks, and what to do."""
    import torch

    parts = name.split(".") if name else []
    for depth in range(len(parts)):
        around = ".".join(parts[:depth])
        if isinstance(modules.get(around), torch.jit.ScriptModule):
            return (
                f"The modules inside a scripted or traced one run as one piece. Record {around!r} "
                "for its output, or the model that it was made from."
            )
        if is_exported(modules.get(around)):
            return (
                f"An exported program runs as one piece. Record {around!r} for its output, or "
                "torch.export.unflatten(program)."
            )
    return "Record a module that the model runs."


def readable(tensor: "torch.Tensor", label: str) -> "torch.Tensor":
    """Return the `tensor` of a layer as plain numbers: quantised and sparse ones written out."""
    import torch

    if tensor.is_nested:
        raise RecordingError(
            f"Layer {label!r} is a nested tensor, whose parts differ in shape. Pad it: "
            "Site(..., pick=lambda value: value.to_padded_tensor(float('nan')))."
        )
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()
