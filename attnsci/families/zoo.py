"""Models by name, with the weights that the package ships, and the families' networks by file."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from attnsci.checks import check_known
from attnsci.errors import CheckpointError
from attnsci.families.registry import entries, load
from attnsci.models.weights import Pretrained, load_weights
from attnsci.provenance import from_json, to_json

PRETRAINED = Path(__file__).parent / "pretrained"


@functools.cache
def pretrained_names() -> tuple[str, ...]:
    """Return the names of all shipped weights, for example ``"mnist-2-seed0"``."""
    return tuple(sorted(path.stem for path in PRETRAINED.glob("*.safetensors")))


def load_model(name_or_path: str | Path, **settings: Any) -> Pretrained:
    """Load shipped weights by name, weights of one's own or published weights by path.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of `pretrained_names`, a ``.safetensors`` file written by a training run, or a file
        of published weights that a family reads.
    **settings
        Of published weights, what their file cannot tell: fields of the network's configuration.

    Returns
    -------
    Pretrained

    Raises
    ------
    UnknownName
        If no shipped weights have that name.
    CheckpointError
        If the file is missing, damaged, or does not fit the configuration it carries.

    Examples
    --------
    >>> load_model("mnist-2-seed0").model.config.n_classes
    10
    """
    path = Path(name_or_path)
    if (reader := _reader(path.suffix)) is not None:
        return Pretrained(reader(path, **settings), {})
    if path.suffix != ".safetensors":
        check_known("shipped model", str(name_or_path), pretrained_names())
        path = PRETRAINED / f"{name_or_path}.safetensors"
    state, record = load_weights(path)
    name, networks = record.get("model", "nothing"), entries("networks")
    if not isinstance(name, str) or name not in networks:
        raise CheckpointError(
            f"{path} does not say that it holds an {' or '.join(networks)} network; it says "
            f"{name!r}. Give a file that a training run wrote."
        )
    network, config_class = (load(place) for place in networks[name])
    try:
        config: Any = from_json(config_class, to_json(record["config"]))
        with torch.random.fork_rng(devices=[]):  # the weights drawn here are about to go
            model = network(config)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise CheckpointError(
            f"{path} carries no configuration that makes a network: {error!r}. Export the weights "
            "again from their training run."
        ) from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own configuration: {error}.") from error
    return Pretrained(model.eval(), record)


def _reader(suffix: str) -> Callable[..., Any] | None:
    """Return the function that reads published weights with this suffix, if a family has one."""
    place = entries("readers").get(suffix)
    return None if place is None else load(place)
