"""Converting published checkpoints of other people's code, key by key and shape by shape."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnsci.errors import CheckpointError, InvalidInput
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention

MAX_OBJECTS = 9
DIGIT_SIDE, DIGIT_OFFSET = 28, 14
PHOTOGRAPH_SIDE = 100


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a foreign ``.pt`` file, on the CPU, without unpickling code.

    Parameters
    ----------
    path : path-like
        File written by ``torch.save``, in the old or the zip format.

    Returns
    -------
    dict
        Name to tensor.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, or holds anything but tensors.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"There is no checkpoint at {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged pickle stream can raise anything: AssertionError, IndexError, struct.error …
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} is damaged or is no file of tensors saved by torch: {reason}"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path} holds {type(state).__name__}, not a mapping of tensors.")
    return dict(state)


def load_object_attention(path: str | os.PathLike[str]) -> ObjectAttention:
    """Build the network from a checkpoint of the published code.

    The number of levels and of objects is read off the shapes. One input channel means digits
    (nearest upsampling, strength 0.2), three mean photographs of 100 × 100 (bicubic, strength
    0.3).

    Parameters
    ----------
    path : path-like
        A ``.pt`` file, old or new format; loaded as tensors only, never unpickled.

    Returns
    -------
    ObjectAttention
        In evaluation mode, on the CPU.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or a key or shape is missing, extra or wrong.
    """
    state = read_tensors(path)
    model = ObjectAttention(_object_attention_config(state, path))
    renamed = {_object_attention_key(key): (key, value) for key, value in state.items()}
    wanted = model.state_dict()
    missing = sorted(set(wanted) - set(renamed))
    extra = sorted(renamed[key][0] for key in set(renamed) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"{path} does not fit ObjectAttention: missing {missing or 'nothing'}, "
            f"not understood {extra or 'nothing'}."
        )
    for key, (theirs, value) in renamed.items():
        if value.shape != wanted[key].shape:
            raise CheckpointError(
                f"{path}: {theirs} has shape {tuple(value.shape)}, "
                f"but {key} needs {tuple(wanted[key].shape)}."
            )
    model.load_state_dict({key: value for key, (_, value) in renamed.items()})
    return model.eval()


def _object_attention_key(key: str) -> str:
    """Translate ``conv2_t.weight`` into ``levels.1.deconv.weight`` and so on."""
    convolution = re.fullmatch(r"conv(\d+)(_t)?\.(weight|bias)", key)
    if convolution:
        number, transposed, kind = convolution.groups()
        return f"levels.{int(number) - 1}.{'deconv' if transposed else 'conv'}.{kind}"
    linear = re.fullmatch(r"linear_out(_t)?\.(weight|bias)", key)
    return f"{'feedback' if linear[1] else 'readout'}.{linear[2]}" if linear else key


def _object_attention_config(
    state: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> ObjectAttentionConfig:
    try:
        first = state["conv1.weight"]
        depth = sum(re.fullmatch(r"conv\d+\.weight", key) is not None for key in state)
        outputs = [state[f"conv{level}.weight"].shape[0] for level in range(1, depth + 1)]
        channels = (first.shape[1], *outputs)
        n_classes, flat = state["linear_out.weight"].shape
    except KeyError as error:
        raise CheckpointError(
            f"{path} has no {error}; keys found: {', '.join(list(state)[:12]) or 'none'}."
        ) from error
    except (IndexError, ValueError) as error:
        shapes = {key: tuple(value.shape) for key, value in state.items()}
        raise CheckpointError(
            f"{path} has tensors with too few or too many axes for this network: {shapes}."
        ) from error
    shared: dict[str, Any] = {"channels": channels, "n_classes": n_classes}
    if first.shape[1] == 1:
        candidates = [
            ObjectAttentionConfig(
                **shared,
                height=DIGIT_SIDE,
                width=DIGIT_SIDE + DIGIT_OFFSET * (n - 1),
                n_phases=n,
            )
            for n in range(1, MAX_OBJECTS + 1)
        ]
    else:
        candidates = [
            ObjectAttentionConfig(
                **shared,
                height=PHOTOGRAPH_SIDE,
                width=PHOTOGRAPH_SIDE,
                strength=0.3,
                upsampling="bicubic",
            )
        ]
    for config in candidates:
        try:
            height, width = config.sizes()[-1]
        except InvalidInput:
            continue
        if channels[-1] * height * width == flat:
            return config
    raise CheckpointError(
        f"{path}: linear_out.weight reads {flat} features, which no supported image size gives."
    )
