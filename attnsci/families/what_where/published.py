"""Published numbers of the noisy-digit studies.

Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22, its notebooks, and the notebooks of the
spatial transformers that were set against it (Dabane, Perrinet & Daucé 2022, IJCNN). What and
What/Where were measured at noise 1.0, the transformers at 0.75: the curves are not of the same
scenes. At contrast 0.7 two versions of What/Where with one saccade are on record.
"""

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.data.places import data_folders

RADII_PX = tuple(float(r) for r in np.linspace(40, 0, 9, endpoint=False)[::-1])
CONTRASTS = (0.7, 0.5, 0.3)

CENTRAL = {"what": 0.839, "stn-28": 0.876}
"""Accuracy for a digit in the middle, 10,000 digits."""
GENERAL = {"what": 0.345, "stn-28": 0.426}
"""For digits at all offsets, standard deviation 15 px."""
PROFILE_EDGES_PX = tuple(range(0, 30, 2))
PROFILES = {
    "stn-28": (
        0.871, 0.863, 0.846, 0.821, 0.785, 0.725, 0.632, 0.502, 0.355, 0.232, 0.163, 0.129, 0.122,
        0.118,
    ),
    "what": (
        0.835, 0.807, 0.757, 0.693, 0.620, 0.536, 0.445, 0.355, 0.270, 0.204, 0.160, 0.133, 0.120,
        0.114,
    ),
}  # fmt: skip
"""Mean of the accuracy maps over rings."""

_BENCHMARK: dict[str, tuple[str, str, str]] = {
    "What/Where, 0 saccades": (
        ".899 .756 .532 .287 .159 .104 .102 .112 .111",
        ".823 .699 .478 .306 .151 .108 .127 .105 .111",
        ".528 .455 .342 .182 .131 .103 .103 .115 .093",
    ),
    "What/Where, 1 saccade": (
        ".890 .889 .846 .810 .799 .714 .726 .690 .620",
        ".833 .811 .762 .717 .660 .625 .566 .537 .422",
        ".538 .512 .466 .397 .368 .318 .252 .234 .164",
    ),
    "What/Where, 1 saccade (original notebooks)": (
        ".900 .879 .859 .782 .777 .724 .714 .672 .628",
        ".833 .811 .762 .717 .660 .625 .566 .537 .422",
        ".538 .512 .466 .397 .368 .318 .252 .234 .164",
    ),
    "What/Where, 2 saccades": (
        ".872 .879 .879 .860 .836 .824 .786 .765 .703",
        ".804 .799 .780 .776 .728 .678 .649 .608 .493",
        ".538 .501 .470 .436 .411 .325 .341 .258 .197",
    ),
    "What/Where, 3 saccades": (
        ".875 .890 .854 .857 .838 .830 .809 .781 .729",
        ".792 .789 .790 .765 .715 .706 .657 .607 .502",
        ".506 .509 .453 .438 .416 .357 .323 .261 .210",
    ),
    "STN 128": (
        ".9715 .9657 .9628 .9650 .9623 .9621 .9572 .9548 .9558",
        ".9548 .9553 .9539 .9533 .9509 .9433 .9483 .9424 .9433",
        ".7656 .7598 .7455 .7433 .7367 .7242 .7422 .7437 .6892",
    ),
    "ATN": (
        ".9606 .9509 .9417 .9324 .9224 .9218 .9147 .9335 .9456",
        ".9314 .9316 .9248 .9334 .9258 .9152 .9177 .9179 .9264",
        ".7122 .6868 .6760 .6779 .6871 .6744 .6549 .6768 .6111",
    ),
    "POLO-ATN 95": (
        ".8654 .8457 .8002 .7282 .6109 .4977 .4231 .3836 .3362",
        ".7733 .7443 .6974 .6212 .5517 .4665 .3947 .3196 .2394",
        ".4094 .3913 .3405 .2858 .2480 .2055 .1752 .1487 .1151",
    ),
    "POLO-ATN 85": (
        ".8953 .8846 .8598 .7962 .6699 .5489 .4713 .4203 .4030",
        ".8283 .8176 .7880 .7352 .6554 .5785 .4856 .4190 .3427",
        ".5035 .4950 .4648 .4122 .3502 .2950 .2384 .1948 .1378",
    ),
    "convPOLO-ATN 85": (
        ".9493 .9373 .9318 .9204 .9111 .8886 .8320 .6749 .5789",
        ".8764 .8544 .8550 .8395 .8202 .7456 .5869 .3960 .2865",
        ".4882 .4286 .3916 .3536 .3222 .2466 .1760 .1289 .1176",
    ),
}


def published_benchmark() -> pd.DataFrame:
    """Return the published accuracies by contrast and eccentricity.

    Returns
    -------
    pandas.DataFrame
        Columns model, contrast, eccentricity (px), accuracy, noise (strength), n (digits).

    Examples
    --------
    >>> table = published_benchmark()
    >>> table[(table["model"] == "ATN") & (table["contrast"] == 0.3)]["accuracy"].tolist()[-1]
    0.6111
    """
    rows = []
    for model, by_contrast in _BENCHMARK.items():
        eye = model.startswith("What")
        for contrast, text in zip(CONTRASTS, by_contrast, strict=True):
            for radius, value in zip(RADII_PX, text.split(), strict=True):
                rows.append(
                    {
                        "model": model, "contrast": contrast, "eccentricity": radius,
                        "accuracy": float(value), "noise": 1.0 if eye else 0.75,
                        "n": 1000 if eye else 10_000,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def published_maps() -> dict[str, xr.DataArray]:
    """Return the published accuracy maps, where they are at hand.

    They are read from ``what-where/published_maps.npz`` in a folder of ``ATTNSCI_DATA``.

    Returns
    -------
    dict of str to xarray.DataArray
        "what" and "stn-28", over ``y`` and ``x``, offsets in pixels; empty without the file.
    """
    for folder in data_folders():
        path = folder / "what-where" / "published_maps.npz"
        if path.is_file():
            offsets = np.arange(-27, 28)
            coords = {name: (name, offsets, {"units": "px"}) for name in ("y", "x")}
            with np.load(path) as file:
                return {
                    name: xr.DataArray(file[key], coords, ("y", "x"))
                    for name, key in (("what", "what"), ("stn-28", "stn28"))
                }
    return {}
