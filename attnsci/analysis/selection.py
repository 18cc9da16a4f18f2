"""Which object was selected, and was it read: accuracy, order, gates, inhibition.

Every function takes the dataset that showing scenes to an object-based model gives: ``label``
(stimulus, object), ``prediction`` and ``attended`` (stimulus, phase), ``squared_error`` and
``iou`` (stimulus, phase, object), ``gate`` (stimulus, phase, region), ``coverage`` (stimulus,
phase, level). The stimulus is the unit of inference.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.checks import check_dims, check_not_empty
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import Estimate, bootstrap
from attnsci.statistics.significance import adjust, binomial_test, mcnemar, wilson

MAX_OBJECTS = 6


def scene_scores(shown: xr.Dataset) -> xr.Dataset:
    """Score every scene in the ways that answer different questions.

    Parameters
    ----------
    shown : xarray.Dataset
        See the module's docstring.

    Returns
    -------
    xarray.Dataset
        Over ``stimulus``, each between 0 and 1:

        - ``correct`` (stimulus, phase): the class read is that of the attended object, the
          greedy assignment of the paper;
        - ``all_correct``: every phase is;
        - ``multiset``: share of the labels that were named in any order, which needs no
          assignment; ``all_named``: all of them;
        - ``matched_by_error``, ``matched_by_iou``: accuracy under the assignment of phases to
          objects that is best for the gated image or the gate (Hungarian, exact);
        - ``repeated`` (stimulus, phase): the unforced nearest object was attended before;
        - ``iou_selected``, ``iou_other`` (stimulus, phase): the gate's open cells against the
          attended object, and the largest against any other (0 if there is none).

    Raises
    ------
    InvalidInput
        If the dataset is empty, lacks a dimension, or has fewer objects than phases.
    """
    check_dims("shown", shown, ["stimulus", "phase", "object"])
    check_not_empty("shown", shown["stimulus"])
    labels, prediction = shown["label"].values, shown["prediction"].values
    attended = shown["attended"].values
    n_objects, n_phases = labels.shape[1], prediction.shape[1]
    correct = prediction == np.take_along_axis(labels, attended, 1)
    named = _named(labels, prediction)
    iou = shown["iou"].values
    chosen = np.arange(n_objects) == attended[..., None]
    repeated = [
        (shown["nearest"].values[:, [phase]] == attended[:, :phase]).any(1)
        for phase in range(n_phases)
    ]
    by_phase = ("stimulus", "phase")
    scores: dict[str, Any] = {
        "correct": (by_phase, correct),
        "all_correct": ("stimulus", correct.all(1)),
        "multiset": ("stimulus", named),
        "all_named": ("stimulus", named == 1),
        "repeated": (by_phase, np.stack(repeated, 1)),
        "iou_selected": (by_phase, np.where(chosen, iou, 0).max(-1)),
        "iou_other": (by_phase, np.where(chosen, 0, iou).max(-1)),
    }
    if n_objects >= n_phases:
        right = prediction[..., None] == labels[:, None]
        scores["matched_by_error"] = ("stimulus", _matched(shown["squared_error"].values, right))
        scores["matched_by_iou"] = ("stimulus", _matched(-iou, right))
    coords = {"stimulus": shown["stimulus"].values, "phase": shown["phase"].values}
    return xr.Dataset(scores, coords=coords)


def _named(labels: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return the share of each scene's labels that its predictions name, in any order."""
    classes = np.unique(labels)
    wanted = (labels[..., None] == classes).sum(1)
    given = (prediction[..., None] == classes).sum(1)
    return np.minimum(wanted, given).sum(1) / labels.shape[1]


def _matched(cost: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the accuracy under the assignment of phases to objects of least total cost.

    `cost` and `right` are (stimulus, phase, object). Every assignment is tried: with few objects
    that is exact and one array operation.
    """
    n_phases, n_objects = cost.shape[1:]
    if n_objects > MAX_OBJECTS:
        raise InvalidInput(f"At most {MAX_OBJECTS} objects can be matched; got {n_objects}.")
    orders = np.array(list(itertools.permutations(range(n_objects), n_phases)))
    phases = np.arange(n_phases)
    best = orders[cost[:, phases, orders].sum(-1).argmin(-1)]
    return np.take_along_axis(right, best[..., None], 2)[..., 0].mean(1)


def summarise(shown: xr.Dataset, *, seed: int = 0) -> pd.DataFrame:
    """Return every score with its n and interval, as a tidy table.

    Parameters
    ----------
    shown : xarray.Dataset
        See the module's docstring.
    seed : int
        Of the bootstrap over stimuli.

    Returns
    -------
    pandas.DataFrame
        Columns ``measure``, ``phase`` (0 for all phases together), ``estimate``, ``low``,
        ``high``, ``n``, ``method``. Yes-or-no measures have Wilson intervals, others bootstrap
        intervals. A region that a scene lacks is left out of its mean, and ``n`` says so.
    """
    scores = scene_scores(shown)
    rows = [_row("accuracy", 0, bootstrap(_mean_phase(scores["correct"]), seed=seed))]
    rows += [
        _row("accuracy", phase, _proportion(scores["correct"].sel(phase=phase)))
        for phase in shown["phase"].values
    ]
    rows += [_row(name, 0, _proportion(scores[name])) for name in ("all_correct", "all_named")]
    for name in ("multiset", "matched_by_error", "matched_by_iou"):
        if name in scores:
            rows.append(_row(name, 0, bootstrap(scores[name].values, seed=seed)))
    for phase in shown["phase"].values:
        at = {"phase": phase}
        rows.append(_row("repeated", phase, _proportion(scores["repeated"].sel(**at))))
        for name in ("iou_selected", "iou_other"):
            rows.append(_row(name, phase, bootstrap(scores[name].sel(**at).values, seed=seed)))
        for region in shown["region"].values:
            gate = shown["gate"].sel(**at, region=region).dropna("stimulus").values
            if len(gate) > 1:
                rows.append(_row(f"gate_{region}", phase, bootstrap(gate, seed=seed)))
        for level in shown["level"].values:
            coverage = shown["coverage"].sel(**at, level=level).values
            rows.append(_row(f"coverage_level_{level}", phase, bootstrap(coverage, seed=seed)))
    for attention in shown["attention"].values:
        gate = shown["gate_published"].sel(attention=attention).dropna("stimulus").values
        rows.append(_row(f"gate_published_{attention}", 0, bootstrap(gate, seed=seed)))
    return pd.DataFrame(rows)


def _mean_phase(correct: xr.DataArray) -> np.ndarray:
    return correct.mean("phase").values


def _proportion(yes: xr.DataArray) -> Estimate:
    return wilson(int(yes.sum()), yes.size)


def _row(measure: str, phase: int, estimate: Estimate) -> dict[str, Any]:
    return {
        "measure": measure,
        "phase": int(phase),
        "estimate": estimate.estimate,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "method": estimate.method,
    }


def order_bias(shown: xr.Dataset) -> pd.DataFrame:
    """Return how often each slot is attended first, against chance, and the order's entropy.

    Parameters
    ----------
    shown : xarray.Dataset
        See the module's docstring.

    Returns
    -------
    pandas.DataFrame
        A row a slot: ``slot``, ``first`` (share of scenes), ``low``, ``high`` (Wilson), ``n``,
        ``p_value`` (exact binomial against 1 / slots), ``entropy_bits`` of the first choice (0:
        always the same slot; log2 of the number of slots: no bias).

    Raises
    ------
    InvalidInput
        If a dimension is missing or there are no scenes.
    """
    check_dims("shown", shown, ["stimulus", "phase", "object"])
    first = check_not_empty("shown", shown["attended"].isel(phase=0).values)
    n_objects = shown.sizes["object"]
    counts = np.bincount(first, minlength=n_objects)
    share = counts[counts > 0] / len(first)
    entropy = float(-(share * np.log2(share)).sum()) + 0.0
    rows = []
    for slot, count in enumerate(counts.tolist()):
        interval = wilson(count, len(first))
        rows.append(
            {
                "slot": slot,
                "first": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "n": interval.n,
                "p_value": binomial_test(count, len(first), chance=1 / n_objects).p_value
                if n_objects > 1
                else 1.0,
                "entropy_bits": entropy,
            }
        )
    return pd.DataFrame(rows)


def compare_conditions(
    baseline: xr.Dataset, conditions: dict[str, xr.Dataset], *, seed: int = 0
) -> pd.DataFrame:
    """Compare what a network does under interventions with what it does without, scene by scene.

    Parameters
    ----------
    baseline : xarray.Dataset
        Scenes shown to the untouched network.
    conditions : dict of str to xarray.Dataset
        The same scenes shown under each intervention.
    seed : int
        Of the bootstrap over stimuli.

    Returns
    -------
    pandas.DataFrame
        A row a condition, the baseline first as ``"none"``: ``accuracy``, ``phase_1`` …,
        ``all_correct``, ``multiset``, ``repeated`` (in the last phase), ``left_first``,
        ``difference`` of accuracy with ``low`` and ``high`` (paired bootstrap), ``p_value``
        (McNemar on all phases right) and ``p_holm``, ``n``.

    Raises
    ------
    InvalidInput
        If a condition has other scenes than the baseline.
    """
    reference = scene_scores(baseline)
    rows = []
    for name, shown in {"none": baseline, **conditions}.items():
        if not np.array_equal(shown["stimulus"], baseline["stimulus"]):
            raise InvalidInput(f"Condition {name!r} was shown other scenes than the baseline.")
        scores = scene_scores(shown)
        change = _mean_phase(scores["correct"]) - _mean_phase(reference["correct"])
        interval = bootstrap(change, seed=seed)
        test = mcnemar(scores["all_correct"].values, reference["all_correct"].values)
        rows.append(
            {
                "condition": name,
                "accuracy": float(scores["correct"].mean()),
                **{
                    f"phase_{phase}": float(scores["correct"].sel(phase=phase).mean())
                    for phase in shown["phase"].values
                },
                "all_correct": float(scores["all_correct"].mean()),
                "multiset": float(scores["all_named"].mean()),
                "repeated": float(scores["repeated"].isel(phase=-1).mean()),
                "left_first": float((shown["attended"].isel(phase=0) == 0).mean()),
                "difference": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "p_value": test.p_value,
                "n": interval.n,
            }
        )
    table = pd.DataFrame(rows)
    table["p_holm"] = np.nan
    table.loc[1:, "p_holm"] = adjust(table["p_value"][1:].to_numpy(), "holm") if rows[1:] else []
    table.loc[0, "p_value"] = np.nan
    return table


def convergence(gate_steps: xr.DataArray) -> xr.DataArray:
    """Return how far a state still moves at each step: the root mean square of its change.

    Parameters
    ----------
    gate_steps : xarray.DataArray
        A gate with dimension ``step`` and any others; without ``stimulus`` and ``phase`` those
        others are averaged over.

    Returns
    -------
    xarray.DataArray
        Without the cells' dimensions; ``step`` starts at the second.
    """
    check_dims("gate_steps", gate_steps, ["step"])
    change = gate_steps.diff("step")
    kept = [dim for dim in ("stimulus", "phase", "step") if dim in change.dims]
    cells = [dim for dim in change.dims if dim not in kept]
    moved = (change**2).mean(cells) ** 0.5
    return moved.rename("rms_change").assign_attrs(long_name="root mean square change of the gate")
