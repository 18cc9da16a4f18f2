"""The same network, faster: batch normalisation folded into convolutions."""

import copy
from collections import Counter
from typing import cast

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attnsci.families.neva.tasks import frozen


def folded(model: nn.Module) -> nn.Module:
    """Return a frozen copy of a network that computes the same with fewer steps.

    Every batch normalisation that follows a convolution is folded into it, and the weights are
    laid out channels last, which suits convolutions on CPUs and GPUs. Logits differ by rounding
    (up to 5e-5 for ImageNet classifiers). A network that `torch.fx` cannot follow, because its
    steps depend on its input, keeps its normalisations.

    Parameters
    ----------
    model : nn.Module
        Any network; it is left as it is.

    Returns
    -------
    nn.Module
        Of the same class, with the same methods, in evaluation mode.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> folded(model)
    Sequential(
      (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
      (2): ReLU(inplace=True)
    )
    """
    faster = frozen(copy.deepcopy(model))
    pairs = _pairs(faster)
    for conv, norm in pairs:
        first, second = faster.get_submodule(conv), faster.get_submodule(norm)
        faster.set_submodule(
            conv, fuse_conv_bn_eval(cast(nn.Conv2d, first), cast(nn.BatchNorm2d, second))
        )
        faster.set_submodule(norm, nn.Identity())
    for name in _activations(model, norms={norm for _, norm in pairs}):
        # A fresh tensor for every activation costs more than computing it, on CPUs.
        faster.get_submodule(name).inplace = True  # type: ignore[assignment]
    return frozen(faster).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _activations(model: nn.Module, norms: set[str]) -> list[str]:
    """Return the names of activations that alone read one of the normalisations."""
    if not norms:
        return []
    calls = [node for node in fx.Tracer().trace(model).nodes if node.op == "call_module"]
    count = Counter(str(node.target) for node in calls)
    return [
        str(node.target)
        for node in calls
        if isinstance(source := node.args[0] if node.args else None, fx.Node)
        and str(source.target) in norms
        and len(source.users) == count[str(node.target)] == 1
        and isinstance(model.get_submodule(str(node.target)), nn.ReLU | nn.ReLU6)
    ]


def _pairs(model: nn.Module) -> list[tuple[str, str]]:
    """Return the names of convolutions and of the normalisations that alone read them."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception:  # tracing runs the model's own code, which can raise anything
        return []
    calls = [node for node in graph.nodes if node.op == "call_module"]
    count = Counter(str(node.target) for node in calls)
    pairs = []
    for node in calls:
        source = node.args[0] if node.args else None
        if not (isinstance(source, fx.Node) and source.op == "call_module"):
            continue
        conv, norm = str(source.target), str(node.target)
        fits = (
            isinstance(model.get_submodule(conv), nn.Conv2d)
            and isinstance(model.get_submodule(norm), nn.BatchNorm2d)
            and model.get_submodule(norm).track_running_stats
        )
        if fits and len(source.users) == 1 and count[conv] == count[norm] == 1:
            pairs.append((conv, norm))
    return pairs
