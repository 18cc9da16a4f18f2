"""The one place that imports torchvision.

Published torchvision wheels for Linux are linked against CUDA. Beside a CPU-only torch their
compiled operators cannot load, and torchvision then fails at import, because it registers fake
kernels for operators that do not exist. Declaring each missing operator lets the import pass;
everything but those operators, and torchvision.io, then works.
"""

import importlib
import re
import sys
from types import ModuleType
from typing import Any

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_ROUNDS = 8

# A declaration lives as long as its library object.
_declared: dict[str, Any] = {}


def load_torchvision() -> ModuleType:
    """Import torchvision, also beside a CPU-only torch, and return it.

    Returns
    -------
    module
        The torchvision package. On a healthy installation nothing is declared, and afterwards
        ``import torchvision`` works as well.

    Raises
    ------
    ImportError, RuntimeError
        Whatever else keeps torchvision from loading.

    Examples
    --------
    >>> load_torchvision().models.resnet18(weights=None).fc.out_features
    1000
    """
    import torch

    for _ in range(_ROUNDS):
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None or missing[1] in _declared:
                raise
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(missing[1] + _SCHEMA)
            _declared[missing[1]] = library
            for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
                del sys.modules[name]
    return importlib.import_module("torchvision")
