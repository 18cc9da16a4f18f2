"""Published weights of the recurrent attention model: data of other people's code, no code.

amasky/ram (Chainer, HDF5) and kevinzakka/recurrent-visual-attention (PyTorch). Both keep two
linear layers whose outputs are summed; here these are one, of the joined inputs, and the biases
are added.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnsci.errors import CheckpointError
from attnsci.families.ram.config import AMASKY_SIGMA, RAMConfig
from attnsci.families.ram.network import RAM

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
AMASKY = {
    "what": "emb_x", "where": "emb_l", "glimpse what": "fc_xg", "glimpse where": "fc_lg",
    "core feature": "core_gh", "core recurrent": "core_hh", "readout": "fc_ha",
    "locator": "fc_hl", "baseline": "fc_hb",
}  # fmt: skip
KEVINZAKKA = {
    "what": "sensor.fc1", "where": "sensor.fc2", "glimpse what": "sensor.fc3",
    "glimpse where": "sensor.fc4", "core feature": "rnn.i2h", "core recurrent": "rnn.h2h",
    "readout": "classifier.fc", "locator": "locator.fc", "baseline": "baseliner.fc",
}  # fmt: skip
SHAPES = {64: (8, 1), 432: (12, 3), 576: (12, 4)}
"""Values in a glimpse to its side and number of scales, as the published tasks have them."""


def load_ram(path: str | os.PathLike[str], **settings: Any) -> RAM:
    """Build the model from published weights.

    Parameters
    ----------
    path : path-like
        An HDF5 file of amasky's Chainer code, or a checkpoint of kevinzakka's PyTorch code (read
        as tensors, nothing in it is run).
    **settings
        Fields of `RAMConfig` that the weights cannot tell, such as ``sigma``.

    Returns
    -------
    RAM
        In evaluation mode, on the CPU.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or an array is missing, extra or of a wrong shape.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}.")
    with file.open("rb") as opened:
        amasky = opened.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    arrays = _read_hdf5(file) if amasky else _read_torch(file)
    layers = dict(AMASKY if amasky else KEVINZAKKA)
    if not amasky and "locator.fc_lt.weight" in arrays:
        layers |= {"locator hidden": "locator.fc", "locator": "locator.fc_lt"}
    parts = _layers(arrays, layers, path)
    told = _amasky_settings(file, len(parts["what"][0].T)) if amasky else _kevinzakka_settings()
    config = RAMConfig(**{**_shape_settings(parts, path), **told, **settings})
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are about to go
        model = RAM(config)
    try:
        model.load_state_dict(_state(parts))
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit {config}: {error}.") from error
    return model.eval()


def _read_hdf5(path: Path) -> dict[str, Tensor]:
    """Return arrays by PyTorch's names for weight and bias."""
    import h5py
    import numpy as np

    arrays: dict[str, Tensor] = {}
    kinds = {"W": "weight", "b": "bias"}
    try:
        with h5py.File(path) as opened:
            for layer, group in opened.items():
                for key, dataset in group.items():
                    values = torch.from_numpy(np.asarray(dataset, np.float32))
                    arrays[f"{layer}.{kinds.get(key, key)}"] = values
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged or holds no arrays: {error}.") from error
    return arrays


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged pickle stream can raise anything: AssertionError, IndexError, struct.error …
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} is damaged, or neither HDF5 nor saved by torch: {reason}"
        ) from error
    state = found.get("model_state", found) if isinstance(found, Mapping) else found
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path} holds {type(state).__name__}, not a mapping of tensors.")
    return dict(state)


def _layers(
    arrays: Mapping[str, Tensor], layers: Mapping[str, str], path: str | os.PathLike[str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return weight and bias of every layer by our name for it; nothing missing, nothing over."""
    wanted = {f"{layer}.{kind}" for layer in layers.values() for kind in ("weight", "bias")}
    missing, extra = sorted(wanted - set(arrays)), sorted(set(arrays) - wanted)
    if missing or extra:
        raise CheckpointError(
            f"{path} does not fit RAM: missing {missing or 'nothing'}, not understood "
            f"{extra or 'nothing'}."
        )
    parts = {
        ours: (arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]) for ours, layer in layers.items()
    }
    for ours, (weight, bias) in parts.items():
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise CheckpointError(
                f"{path}: {layers[ours]} has shapes {tuple(weight.shape)} and "
                f"{tuple(bias.shape)}, which are not of a linear layer."
            )
    return parts


def _shape_settings(
    parts: Mapping[str, tuple[Tensor, Tensor]], path: str | os.PathLike[str]
) -> dict[str, Any]:
    n_what, n_inputs = parts["what"][0].shape
    if n_inputs not in SHAPES:
        raise CheckpointError(
            f"{path} reads glimpses of {n_inputs} values; known are {', '.join(map(str, SHAPES))}."
        )
    glimpse_px, n_scales = SHAPES[n_inputs]
    return {
        "glimpse_px": glimpse_px,
        "n_scales": n_scales,
        "n_what": n_what,
        "n_where": parts["where"][0].shape[0],
        "n_hidden": parts["core feature"][0].shape[0],
        "n_classes": parts["readout"][0].shape[0],
        "locator_hidden": parts["locator hidden"][0].shape[0] if "locator hidden" in parts else 0,
    }


def _amasky_settings(path: Path, n_inputs: int) -> dict[str, Any]:
    """Return what the code has in it; only file names tell the two tasks of 60 pixels apart."""
    tasks = [task for task in AMASKY_SIGMA if task in path.name]
    tasks.append("original" if n_inputs == 64 else "translated")
    return {
        "coordinates": "amasky",
        "bounds": "none",
        "baseline": "sigmoid",
        "sigma": AMASKY_SIGMA[tasks[0]],
    }


def _kevinzakka_settings() -> dict[str, Any]:
    # Images are normalised first and padded with 0 then, so that outside is mean grey.
    return {
        "coordinates": "kevinzakka",
        "pixel_mean": 0.1307,
        "pixel_std": 0.3081,
        "outside": 0.1307,
        "sigma": 0.17,
    }


def _state(parts: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Return our state: sums of two layers as one of their joined inputs."""
    joined = {
        "what.0": parts["what"],
        "where.0": parts["where"],
        "glimpse.0": _sum(parts["glimpse what"], parts["glimpse where"]),
        "core.linear": _sum(parts["core feature"], parts["core recurrent"]),
        "locator.linear": parts["locator"],
        "readout.0": parts["readout"],
        "baseline": parts["baseline"],
    }
    if "locator hidden" in parts:
        joined["locator.hidden.0"] = parts["locator hidden"]
    return {
        f"{layer}.{kind}": value
        for layer, pair in joined.items()
        for kind, value in zip(("weight", "bias"), pair, strict=True)
    }


def _sum(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.cat([one[0], other[0]], 1), one[1] + other[1]
