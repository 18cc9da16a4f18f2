"""attnsci: trained models of visual attention, recorded and compared with brains and eyes.

The names below load on first use; everything else is imported from its module.
"""

from typing import Any

import lazy_loader

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("attnsci")
    return _lazy(name)
