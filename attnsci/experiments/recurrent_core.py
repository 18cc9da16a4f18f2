"""What units of a recurrent core respond to while it looks, and what can be read from them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.analysis.decoding import decode_position
from attnsci.analysis.gaze_fields import class_tuning, gaze_cells, gaze_map, variance_explained
from attnsci.experiments.answers import glimpses
from attnsci.experiments.outcome import Outcome, Share, row, tabled, word
from attnsci.statistics.estimates import bootstrap

VARIANCE = "variance of a core unit (%)"
PLACE = "R², place decoded from the core"
PLACES = {-1: "the place before", 1: "the place to come"}


def core(
    wandering: xr.Dataset,
    looking: xr.Dataset,
    *,
    size_px: float,
    patch_px: float,
    seed: int = 0,
    n_of: str = "stimuli",
) -> Outcome:
    """Measure gaze fields, shares of variance, class tuning and decoding of places.

    Gaze fields are measured where chance looks, which covers the image evenly and tells gaze and
    class apart; decoding where the model looks.

    Parameters
    ----------
    wandering : xarray.Dataset
        Of `collect` while chance looks: ``hidden`` (time, unit), ``location`` (time, coordinate),
        and ``label``.
    looking : xarray.Dataset
        The same while the model looks.
    size_px, patch_px : float
        Sides of the image and of what is seen at once.
    seed : int
        Of folds and bootstrap.
    n_of : str
        What the stimuli are.

    Returns
    -------
    Outcome
        `VARIANCE` by what drives it (``by``: gaze, class) and `PLACE` by ``place``; data
        ``fields``, ``shares``, ``tuning``, ``decoded``.
    """
    chance, own = _without_coordinates(wandering), _without_coordinates(looking)
    late, third = chance.isel(glimpse=slice(2, None)), chance.isel(glimpse=2)
    drivers = {"gaze": gaze_cells(third["location"], size_px, 4), "class": third["label_of"]}
    shares = [variance_explained(third["hidden"], driver) for driver in drivers.values()]
    cells_a_side = max(4, round(size_px / patch_px * 2))
    lags = range(-min(3, own.sizes["glimpse"] - 1), 2)
    data = {
        "fields": gaze_map(late["hidden"], late["location"], size_px, cells_a_side),
        "shares": xr.concat(shares, pd.Index(list(drivers), name="by")),
        "tuning": class_tuning(own["hidden"].isel(glimpse=-1), own["label_of"]),
        "decoded": decode_position(own["hidden"], own["location"], lags, seed=seed),
    }
    return Outcome(_estimates(data, own.sizes["stimulus"], n_of), data)


def _without_coordinates(responses: xr.Dataset) -> xr.Dataset:
    """Return state and locations by glimpse, and the label as the only fact of a stimulus."""
    words = {name: word(responses, name) for name in ("hidden", "location")}
    label = xr.DataArray(word(responses, "label").to_numpy(), dims="stimulus")
    bare = glimpses(xr.Dataset(words)).reset_coords(drop=True)
    return bare.drop_vars("stimulus", errors="ignore").assign(label_of=label)


def _estimates(data: Mapping[str, xr.Dataset], n: int, n_of: str) -> pd.DataFrame:
    rows = []
    for by in data["shares"]["by"].values:
        share = 100 * data["shares"]["share"].sel(by=by).to_numpy()
        mean = bootstrap(share[np.isfinite(share)], seed=0)
        rows.append(row(VARIANCE, mean, "units", by=str(by), note=""))
    for lag, place in PLACES.items():
        decoded = data["decoded"].sel(lag=lag)
        activity = decoded.sel(source="activity")
        value, low, high = (float(activity[name]) for name in ("r_squared", "low", "high"))
        r_squared = Share(value, low, high, n)
        gain, low, high = (float(decoded[name]) for name in ("gain", "gain_low", "gain_high"))
        note = f"{gain:+.2f} [{low:+.2f}, {high:+.2f}] beside the current place alone"
        rows.append(row(PLACE, r_squared, n_of, place=place, lag=lag, note=note))
    return tabled(rows).estimates
