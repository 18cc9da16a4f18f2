"""Whether a model is right: at the end, after each moment of looking, and whoever looks for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.analysis.decoding import probe_accuracy
from attnsci.analysis.glimpses import error_by_glimpse, right
from attnsci.experiments.outcome import Outcome, Share, cells, percent_wrong, row, tabled, word
from attnsci.recording.responses import Stimuli, collect
from attnsci.statistics.estimates import bootstrap
from attnsci.statistics.significance import wilson

ERROR = "test error (%)"
WORSE = "points of error more"
RETURNS = "returns at lag 2 (%)"


def glimpses(responses: xr.Dataset) -> xr.Dataset:
    """Return responses whose ``time`` is ``glimpse``, counted from 1, as in analyses of gaze."""
    counted = responses.rename(time="glimpse")
    return counted.assign_coords(glimpse=counted["glimpse"].values + 1)


def correct(responses: xr.Dataset) -> np.ndarray:
    """Return whether each stimulus was answered rightly at the last moment, as 0 and 1.

    Parameters
    ----------
    responses : xarray.Dataset
        With ``logits`` (class) or (time, class), and ``label`` of each stimulus.
    """
    logits = word(responses, "logits")
    last = logits.isel(time=-1) if "time" in logits.dims else logits
    return right(last, word(responses, "label")).to_numpy().astype(float)


def error_rate(answers: np.ndarray) -> Share:
    """Return the error in per cent of answers right (1) or wrong (0), with Wilson's interval."""
    return percent_wrong(wilson(int(answers.sum()), len(answers)))


def error(ask: Any, stimuli: Stimuli, *, n_of: str = "stimuli", **factors: Any) -> Outcome:
    """Measure the error of a model that names classes.

    Parameters
    ----------
    ask : Ask or torch.nn.Module
        Answers ``logits`` (class), or (time, class), of which the last moment counts.
    stimuli : Stimuli
        With ``label``.
    n_of : str
        What the stimuli are.
    **factors
        Columns that tell this estimate from others.

    Returns
    -------
    Outcome
        `ERROR`.
    """
    answers = correct(collect(ask, stimuli))
    return tabled([row(ERROR, error_rate(answers), n_of, **factors)])


def by_moment(responses: xr.Dataset, *, seed: int = 0, n_of: str = "stimuli") -> Outcome:
    """Measure the error after each moment: by the head, and by a probe of the frozen state.

    Parameters
    ----------
    responses : xarray.Dataset
        Of `collect`: ``logits`` (time, class), ``hidden`` (time, unit), and ``label``.
    seed : int
        Of the probe's folds.
    n_of : str
        What the stimuli are.

    Returns
    -------
    Outcome
        `ERROR` by ``readout`` ("head", "probe") and ``glimpse``; data ``glimpses``: the
        responses without the state.
    """
    counted = glimpses(responses)
    head = error_by_glimpse(word(counted, "logits"), word(counted, "label"))
    probe = probe_accuracy(word(counted, "hidden"), counted["label"], seed=seed)
    wrong = xr.Dataset(
        {
            "error": 1 - probe["accuracy"], "low": 1 - probe["high"], "high": 1 - probe["low"],
            "n": probe["n"],
        }
    )  # fmt: skip
    tables = [
        cells(ERROR, (100 * curve).assign(n=curve["n"]), "error", n_of, readout=readout)
        for readout, curve in (("head", head), ("probe", wrong))
    ]
    state = [name for name in ("hidden", "seen") if name in responses]
    estimates = pd.concat(tables, ignore_index=True).astype({"n": int})
    return Outcome(estimates, {"glimpses": responses.drop_vars(state)})


def swapped_gaze(
    ask_with: Callable[[Any], Any],
    stimuli: Stimuli,
    policies: Mapping[str, Any],
    *,
    own: Any = "mean",
    seed: int = 0,
    n_of: str = "stimuli",
) -> Outcome:
    """Measure what a model's gaze is worth: its error when others look for it, paired by stimulus.

    Parameters
    ----------
    ask_with : callable
        From a policy to how the model is asked while that policy looks.
    stimuli : Stimuli
        With ``label``.
    policies : mapping of str to policy
        Who looks in place of the model's `own` policy.
    own : policy
    seed : int
        Of the bootstrap.
    n_of : str
        What the stimuli are.

    Returns
    -------
    Outcome
        `ERROR` by ``policy`` ("learned" is its own), and `WORSE`: by how many points an error
        exceeds the model's own; data ``policies``: ``correct`` (policy, stimulus).
    """
    responses = collect(ask_with(own), stimuli)
    answers = {"learned": correct(responses)}
    answers |= {name: correct(collect(ask_with(p), stimuli)) for name, p in policies.items()}
    rows = [row(ERROR, error_rate(a), n_of, policy=name) for name, a in answers.items()]
    for name in policies:
        worse = bootstrap(100 * (answers["learned"] - answers[name]), seed=seed)
        rate = error_rate(answers[name])
        note = f"error {rate.estimate:.2f} % [{rate.low:.2f}, {rate.high:.2f}]"
        rows.append(row(WORSE, worse, n_of, policy=name, note=note))
    kept = xr.Dataset(
        {"correct": (("policy", "stimulus"), np.stack(list(answers.values())))},
        coords={"policy": list(answers), "index": ("stimulus", responses["index"].to_numpy())},
    )
    return tabled(rows, policies=kept)


def imposed_inhibition(
    ask_with: Callable[[float], Any],
    stimuli: Stimuli,
    strengths: Sequence[float],
    *,
    radius_px: float,
    seed: int = 0,
    n_of: str = "stimuli",
) -> Outcome:
    """Measure returns and error when a model is kept from where it has been.

    Parameters
    ----------
    ask_with : callable
        From a strength to how the model is asked while it is inhibited so; answers ``logits``
        and ``location`` (time, coordinate).
    stimuli : Stimuli
        With ``label``.
    strengths : sequence of float
    radius_px : float
        Within which of the fixation two before a fixation counts as a return.
    seed : int
        Of the bootstrap.
    n_of : str
        What the stimuli are.

    Returns
    -------
    Outcome
        `ERROR` and `RETURNS` by ``strength``.
    """
    rows = []
    for strength in strengths:
        responses = collect(ask_with(strength), stimuli)
        rows.append(row(ERROR, error_rate(correct(responses)), n_of, strength=strength))
        xy = word(responses, "location").to_numpy()
        near = np.linalg.norm(xy[:, 2:] - xy[:, :-2], axis=-1) < radius_px
        back = bootstrap(100 * near.mean(1), seed=seed)
        rows.append(row(RETURNS, back, n_of, strength=strength))
    return tabled(rows)
