"""The table of NeVA's results. Of the paper's own tables no number could be read."""

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.papers.output import Result
from attnsci.statistics.estimates import bootstrap

UNKNOWN = "not available"


def task_rows(found: xr.Dataset, seed: int) -> list[Result]:
    """Return loss and accuracy of the photographs under every search."""
    rows = [
        _row("task loss, sharp", found["clean"], seed),
        _row("task loss, blurred", found["blurred"], seed),
    ]
    for name in found["variant"].values:
        at = found.sel(variant=name)
        mean = _row(f"task loss, {name}: mean over fixations", at["loss"].mean("fixation"), seed)
        last = _row(f"label kept after the last fixation, {name}", at["correct"][:, -1], seed)
        rows += [mean, last]
    return rows


def exploration_rows(table: pd.DataFrame, seed: int) -> list[Result]:
    """Return how far the gaze wanders under every search."""
    return [
        _row(f"distinct cells of 25, {name}", rows["cells"], seed)
        for name, rows in table.groupby("variant", sort=False)
    ]


STRONG = 0.5
"""Metrics that tell people on one image from people on others by less are left to people.csv."""


def strong_metrics(result: xr.Dataset) -> list[str]:
    """Return the metrics that see the image."""
    separation = result["separation"].to_series()
    return [str(name) for name, value in separation.items() if value >= STRONG]


def people_rows(result: xr.Dataset) -> list[Result]:
    """Return every model's score in every metric that sees the image, beside chance and people."""
    rows = []
    for metric in strong_metrics(result):
        for source in result["source"].values:
            at = result.sel(metric=metric, source=source)
            note = ""
            if source in result["model"].values:
                model = result.sel(model=source, metric=metric)
                p = float(model["p_holm"].sel(against="cross-image"))
                low, high = (float(model[f"normalised_{end}"]) for end in ("low", "high"))
                note = (
                    f"normalised {float(model['normalised']):.2f} [{low:.2f}, {high:.2f}]; "
                    f"p against cross-image {p:.2g}"
                )
            value, low, high = (float(at[name]) for name in ("mean", "low", "high"))
            n = result.sizes["image"]
            quantity = f"{metric}: {source}"
            rows.append(Result(quantity, UNKNOWN, "–", value, low, high, n, "images", note))
    return rows


def people_table(result: xr.Dataset) -> pd.DataFrame:
    """Return everything that the comparison has, a row a metric and source."""
    columns = ["mean", "low", "high", "best_mean", "n_undefined"]
    table = result[columns].to_dataframe().reset_index()
    names = ["normalised", "normalised_low", "normalised_high"]
    models = result[names].to_dataframe().reset_index().rename(columns={"model": "source"})
    return table.merge(models, how="left", on=["metric", "source"])


SALIENCY = ("blur energy, winner-take-all", "Itti-Koch", "spectral residual")
TASKS = (
    "NeVA classification, published discounting", "NeVA reconstruction", "NeVA policy",
    "NeVA blur energy",
)  # fmt: skip


def verdict(result: xr.Dataset) -> str:
    """Answer the headline question: whether NeVA is nearer to people than chance and saliency."""

    def scored(name: str, metric: str) -> str:
        at = result.sel(model=name, metric=metric)
        value, low, high = (float(at[f"normalised{end}"]) for end in ("", "_low", "_high"))
        return f"{name} {value:.2f} [{low:.2f}, {high:.2f}]"

    lines = []
    for metric in strong_metrics(result):
        score = result["normalised"].sel(metric=metric).to_series()
        if score.isna().any():  # scanpaths too short for the metric
            continue
        best = max(SALIENCY, key=lambda name: score[name])
        said = "; ".join(scored(name, metric) for name in (*TASKS, "centre bias", best))
        lines.append(f"- {metric}: {said}.")
    return "\n".join(lines)


def _row(quantity: str, values: xr.DataArray | pd.Series, seed: int) -> Result:
    sample = np.asarray(values, float)
    found = bootstrap(sample, seed=seed)
    return Result(
        quantity, UNKNOWN, "–", found.estimate, found.low, found.high, len(sample), "images"
    )
