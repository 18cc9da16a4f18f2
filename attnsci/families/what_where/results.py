"""The table of results of What and Where against spatial transformers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.families.what_where.experiments import Mapped
from attnsci.families.what_where.published import CENTRAL, GENERAL
from attnsci.papers.output import Result

_NOISE = {"what": 1.0, "stn-28": 0.75}
"""At which the published networks were tested."""


def score_rows(table: pd.DataFrame, titles: Mapping[str, str]) -> list[Result]:
    """Return central and general accuracy of every network.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.scores`.
    titles : mapping of str to str
        Network to label.
    """
    rows = []
    for _, row in table.iterrows():
        known = {"central": CENTRAL, "general": GENERAL}[row["scenes"]][row["kind"]]
        rows.append(
            Result(
                f"accuracy, 28 px, {row['scenes']}, {titles[row['network']]}",
                f"{known:.3f} (noise {_NOISE[row['kind']]:g})", "",
                row["accuracy"], row["low"], row["high"], int(row["n"]),
                note="other noise than published" if row["noise"] != _NOISE[row["kind"]] else "",
            )
        )  # fmt: skip
    return rows


def difference_rows(table: pd.DataFrame, noise: float, n_seeds: int) -> list[Result]:
    """Return by how much the transformer beats What where noise is the same for both.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.difference`.
    noise : float
    n_seeds : int
        Networks of each kind.
    """
    published = {"central": "0.037, unlike noise", "general": "0.081, unlike noise"}
    return [
        Result(
            f"accuracy, STN − What, matched noise {noise:g}, {row['scenes']}",
            published[row["scenes"]], "",
            row["difference"], row["low"], row["high"], int(row["n"]),
            note=f"means over {n_seeds} seed(s) each; single seeds differ by {row['least']:+.3f} "
            f"to {row['most']:+.3f}",
        )
        for _, row in table.iterrows()
    ]  # fmt: skip


def map_rows(
    found: Sequence[Mapped], agreement: Mapping[str, Mapping[str, float]],
    asymmetries: Mapping[str, xr.Dataset],
) -> list[Result]:  # fmt: skip
    """Return half width, anisotropy, and agreement with the published map, of every map.

    Parameters
    ----------
    found : sequence of Mapped
    agreement : mapping of str to mapping
        By name of the map, of `experiments.compare_maps`; where a published map is at hand.
    asymmetries : mapping of str to xarray.Dataset
        By name of the map, of `experiments.asymmetry`.
    """
    rows = []
    for each in found:
        n = each.answers.sizes["stimulus"]
        width = each.half_width.sel(parameter="half_width")
        rows.append(
            Result(
                f"half-height radius (px), {each.name}", "", "", float(width["estimate"]),
                float(width["low"]), float(width["high"]), n, "digits",
            )
        )  # fmt: skip
        if each.name in asymmetries:
            hva = asymmetries[each.name].sel(quantity="accuracy")
            rows.append(
                Result(
                    f"horizontal − vertical anisotropy of accuracy, {each.name}", "", "",
                    float(hva["hva"]), float(hva["hva_low"]), float(hva["hva_high"]), n, "digits",
                )
            )  # fmt: skip
        if each.name in agreement:
            numbers = agreement[each.name]
            rows.append(
                Result(
                    f"correlation with the published map, {each.name}", "", "", numbers["r"],
                    n=int(numbers["n_cells"]), unit="offsets",
                    note=f"ours − published {numbers['mean_difference']:+.3f} on average, "
                    f"RMSE {numbers['rmse']:.3f}",
                )
            )  # fmt: skip
    return rows


def benchmark_rows(
    table: pd.DataFrame, curves: pd.DataFrame, published: pd.DataFrame, condition: str
) -> list[Result]:
    """Return accuracy by condition and contrast; single eccentricities are in the CSV files.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.overall`.
    curves : pandas.DataFrame
        Of `experiments.curves`.
    published : pandas.DataFrame
        Of `published_benchmark`.
    condition : str
        "matched noise" or "noise as published".
    """
    keys = ["model", "contrast"]
    known = published.groupby(keys)["accuracy"].mean().to_dict()
    ends = curves.sort_values("eccentricity").groupby(keys)[["eccentricity", "accuracy"]]
    near, far = ends.first(), ends.last()
    rows = []
    for row in table.itertuples():
        key = (row.model, row.contrast)
        value = known.get(key)
        sides = (
            f"{end.accuracy:.3f} at {end.eccentricity:.0f} px"
            for end in (near.loc[key], far.loc[key])
        )
        rows.append(
            Result(
                f"accuracy, {row.model}, contrast {row.contrast:g}, all eccentricities, "
                f"{condition}",
                "" if value is None else f"{value:.3f}", "",
                row.accuracy, row.low, row.high, int(row.n), "digits", ", ".join(sides),
            )
        )  # fmt: skip
    return rows


def lead_rows(
    table: pd.DataFrame, leader: str, published: pd.DataFrame, condition: str
) -> list[Result]:
    """Return by how much a condition leads the transformers.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.leads`.
    leader : str
    published : pandas.DataFrame
        Of `published_benchmark`.
    condition : str
        "matched noise" or "noise as published".
    """
    known = published.groupby(["model", "contrast"])["accuracy"].mean()
    return [
        Result(
            f"lead of {leader} over {row.model}, contrast {row.contrast:g}, {condition}",
            f"{known[leader, row.contrast] - known[row.model, row.contrast]:+.3f}, unlike noise",
            "", row.lead, row.low, row.high, int(row.n), "digits",
        )
        for row in table.itertuples()
    ]  # fmt: skip


def beside_published(curves: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return `curves` with a column ``published``, NaN where nothing was."""
    known = {
        (row.model, row.contrast, round(row.eccentricity, 2)): row.accuracy
        for row in published.itertuples()
    }
    keys = zip(curves["model"], curves["contrast"], curves["eccentricity"].round(2), strict=True)
    return curves.assign(published=[known.get(key, np.nan) for key in keys])


def looking_rows(
    landing: pd.DataFrame, errors: pd.DataFrame, decisions: pd.DataFrame
) -> list[Result]:
    """Return where networks look, how far they may be trusted, and what gain is worth.

    Landings are of three eccentricities; the others are in their CSV file.

    Parameters
    ----------
    landing, errors, decisions : pandas.DataFrame
        Of `experiments.landings`, `experiments.trust` and `experiments.gonogo`.
    """
    rows = [
        Result(
            f"median landing error (px), {row.model}, {row.eccentricity:.0f} px", "", "",
            row.error, row.error_low, row.error_high, int(row.n),
            note=f"saccade gain {row.gain:.2f}, {row.within:.0%} within 5 px",
        )
        for row in _some_eccentricities(landing).itertuples()
    ]  # fmt: skip
    rows += [
        Result(
            f"expected calibration error, {row.model}", "", "", row.ece, row.low, row.high,
            int(row.n), note=f"noise alone makes {row.calibrated:.3f}",
        )
        for row in errors.itertuples()
    ]  # fmt: skip
    rows += [
        Result(
            f"d′ of expected information gain for a saccade that helps, contrast {row.contrast:g}",
            "", "", row.d_prime, row.low, row.high, int(row.n),
        )
        for row in decisions.itertuples()
    ]  # fmt: skip
    return rows


def threshold_rows(table: pd.DataFrame) -> list[Result]:
    """Return threshold contrasts at three eccentricities; the others are in their CSV file.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.thresholds`, with column ``n``.
    """
    return [
        Result(
            f"contrast of 75 % right, {row.model}, {row.eccentricity:.1f} px", "", "",
            row.threshold, row.low, row.high, int(row.n),
        )
        for row in _some_eccentricities(table).query("reached").itertuples()
    ]  # fmt: skip


def _some_eccentricities(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the smallest, the middle and the largest eccentricity."""
    radii = np.unique(table["eccentricity"])
    return table[table["eccentricity"].isin(radii[[0, len(radii) // 2, -1]])]
