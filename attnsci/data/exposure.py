"""Whether a network has seen the digits that it is tested on."""

import sys
from typing import Any

UNSEEN = "unseen"
SEEN = "seen in training"
PERHAPS_SEEN = "perhaps seen in training"


def exposure(record: dict[str, Any], source: str, split: str) -> str:
    """Return whether the network has seen the digits of `source` and `split` in training.

    Parameters
    ----------
    record : dict
        Of the weights; empty where nothing is known of their training.
    source : {"bundled", "full"}
    split : {"train", "test"}

    Returns
    -------
    {"unseen", "seen in training", "perhaps seen in training"}
        The bundled test digits are official training digits. No training uses the official test
        digits.

    Examples
    --------
    >>> exposure({"data": {"n_bundled_test": 0}}, "bundled", "test")
    'unseen'
    >>> exposure({}, "bundled", "test")
    'perhaps seen in training'
    """
    if (source, split) == ("full", "test"):
        return UNSEEN
    parts = [record[part] for part in ("data", "validation_data") if part in record]
    if not parts:
        return PERHAPS_SEEN
    if split == "train":
        return SEEN
    return SEEN if any(part["n_bundled_test"] for part in parts) else UNSEEN


def warn_of_exposure(digits: str, model: str, source: str, split: str) -> None:
    """Print a warning about digits that were not `UNSEEN` by a network."""
    print(
        f"attnsci: warning: the {source} {split} digits were {digits} by {model}: scores on them "
        "are no test. Use --source full --split test.",
        file=sys.stderr,
    )
