"""Digits to learn from, and digits to validate on that learning never sees."""

import numpy as np

from attnsci.data.digits import Digits, load_mnist
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.training.configs import Source


def split_digits(
    source: Source,
    fraction: float,
    batch_size: int,
    key: tuple[int, int],
    digits: Digits | None = None,
) -> tuple[Digits, Digits]:
    """Return training and validation digits.

    Parameters
    ----------
    source : {"full", "bundled"}
        Digits, if `digits` are not given: "full" leaves the bundled test digits out, which are
        official training digits and must stay unseen.
    fraction : float
        Share for validation.
    batch_size : int
        What is left for training must fill one batch.
    key : tuple of int
        Seed and stream of the draw.
    digits : Digits, optional
        Digits in place of `source`.

    Raises
    ------
    InvalidInput
        If the digits do not fill a batch and a validation set.
    """
    if digits is None:
        digits = load_mnist("train", source, leave_out_bundled_test=source == "full")
    shuffled = numpy_generator(*key).permutation(len(digits))
    n_validation = round(fraction * len(digits))
    n_training = len(digits) - n_validation
    if n_validation == 0 or n_training < batch_size:
        raise InvalidInput(
            f"{len(digits)} digits with validation_fraction {fraction} leave {n_validation} to "
            f"validate on and {n_training} to train on; at least 1 and a batch of {batch_size} "
            "are needed."
        )
    return (
        digits.subset(np.sort(shuffled[n_validation:])),
        digits.subset(np.sort(shuffled[:n_validation])),
    )
