"""Weights as safetensors: tensors and a JSON record of what they are, no pickle."""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from attnsci.errors import CheckpointError
from attnsci.files import atomic_path
from attnsci.provenance import to_json

# One entry: safetensors writes several in random order. Its first line is the record, its second
# a digest of record and tensors.
RECORD = "attnsci"
_SCALE = ".scale"


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A model with weights, and what is known about them.

    Attributes
    ----------
    model : torch.nn.Module
        The network that ``record["model"]`` names: in evaluation mode, on the CPU.
    record : dict
        Configuration, training, data, seed, metrics, versions.
    """

    model: Any
    record: dict[str, Any]


def save_weights(
    path: str | os.PathLike[str],
    model: nn.Module,
    record: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> None:
    """Write the weights of `model` and what is known about them to one file.

    Parameters
    ----------
    path : path-like
        Ends in ``.safetensors``; replaced only once the new file is complete.
    model : torch.nn.Module
        Whose ``state_dict`` is kept.
    record : mapping
        Configuration, data checksum, seed, metrics …; anything that JSON can hold.
    dtype : torch.dtype, optional
        Precision on disk; that of the model by default. With `torch.int8` matrices and kernels
        are kept in whole numbers, in units of 1/127 of the largest weight of each row, and all
        else in half precision.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        value = value.detach().cpu()
        if not value.is_floating_point() or dtype is None:  # counts would be rounded
            tensors[name] = value.contiguous()
        elif dtype == torch.int8 and value.ndim > 1:
            tensors[name], tensors[name + _SCALE] = _in_whole_numbers(value)
        else:
            tensors[name] = value.to(torch.float16 if dtype == torch.int8 else dtype).contiguous()
    text = to_json(record)
    metadata = {RECORD: f"{text}\n{_digest(tensors, text)}"}
    content = safetensors.torch.save(tensors, metadata=metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of `save_weights`.

    Parameters
    ----------
    path : path-like
        A ``.safetensors`` file.

    Returns
    -------
    state : dict of str to Tensor
        In float32, on the CPU.
    record : dict
        What was saved beside them; empty for a foreign file.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated or no safetensors file, if weights or record are not
        those that were saved (foreign and older files hold no digest), if its record is no JSON
        object, or if a weight is NaN or infinite.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"There are no weights at {path}.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, newline, digest = metadata.get(RECORD, "{}").partition("\n")
        # With a digest under another name, the name was altered.
        sealed = newline or any(re.search(r"\n.{64}$", each) for each in metadata.values())
        if sealed and digest != _digest(stored, text):
            raise ValueError("its content is not what was saved")
        state = {name: tensor.float() for name, tensor in stored.items()}
        for name in [name for name in state if name + _SCALE in state]:
            scale = state.pop(name + _SCALE)
            state[name] *= scale.view(-1, *[1] * (state[name].ndim - 1))
        record = json.loads(text)
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        # RuntimeError: brackets nested too deep for JSON, scales that do not fit their weights.
        raise CheckpointError(f"{path} is damaged or no safetensors file: {error}.") from error
    if not isinstance(record, dict):
        raise CheckpointError(
            f"{path} is damaged: its record must be a JSON object, and is a "
            f"{type(record).__name__}."
        )
    false = [name for name, value in state.items() if not bool(value.isfinite().all())]
    if false:
        raise CheckpointError(f"{path} is damaged: {false[0]} holds weights that are not finite.")
    return state, record


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _in_whole_numbers(value: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights (rows, …) as int8, and the unit of each row (rows,)."""
    unit = value.float().flatten(1).abs().amax(1) / 127
    divisor = torch.where(unit > 0, unit, 1).view(-1, *[1] * (value.ndim - 1))
    return (value / divisor).round().to(torch.int8).contiguous(), unit
