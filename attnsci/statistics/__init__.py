"""Intervals, tests and corrections: arrays in, numbers out.

Submodules are loaded when they are first used.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=[
        "bootstrap", "circular", "crossed", "effects", "groups", "plans", "proportions",
        "significance",
    ],
)  # fmt: skip
