"""Weights as safetensors: tensors and a JSON record of what they are, no pickle."""

import json
import os
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

RECORD = "attnsci"


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
        Precision on disk; that of the model by default.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    tensors = {
        name: value.detach().to("cpu", dtype or value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    content = safetensors.torch.save(tensors, metadata={RECORD: to_json(record)})
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
        If the file is missing, truncated or no safetensors file.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"There are no weights at {path}.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        record = json.loads(metadata.get(RECORD, "{}"))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file: {error}.") from error
    return state, record
