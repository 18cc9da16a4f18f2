"""What is asked of RAM: what a glimpse is worth, what the policy is worth, what the core knows."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from attnsci.analysis.decoding import decode_position, probe_accuracy
from attnsci.analysis.eccentricity import accuracy_by_eccentricity, eccentricity
from attnsci.analysis.gaze_fields import class_tuning, gaze_cells, gaze_map, variance_explained
from attnsci.analysis.glimpses import error_by_glimpse, right
from attnsci.analysis.inhibition import all_baselines
from attnsci.data.digit_pairs import DigitPairs
from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.families.ram.catch import CatchRAM
from attnsci.families.ram.catch_objective import evaluate_catch
from attnsci.families.ram.dram import DRAM
from attnsci.families.ram.dram_objective import evaluate_dram
from attnsci.families.ram.measure import scanpaths_of, show
from attnsci.families.ram.network import RAM
from attnsci.families.ram.networks import task_of
from attnsci.families.ram.policies import InhibitedPolicy, Policy, ReplayPolicy, SaliencyPolicy
from attnsci.families.ram.reference import load_ram
from attnsci.models.weights import Pretrained
from attnsci.statistics.estimates import bootstrap
from attnsci.statistics.significance import wilson

N_CLASSES = 10
COORDINATE = ["x", "y"]


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network and what it is called."""

    name: str
    pretrained: Pretrained

    @property
    def model(self) -> RAM:
        """The network."""
        return self.pretrained.model

    @property
    def task(self) -> str:
        """Scenes it was trained on."""
        return task_of(self.pretrained, self.name)

    @property
    def n_glimpses(self) -> int:
        """Glimpses it was trained for."""
        return self.model.config.n_glimpses

    @property
    def gaze(self) -> str:
        """Who looked in training."""
        return str(self.pretrained.record.get("training", {}).get("gaze", "learned"))

    @property
    def seed(self) -> int:
        """Of its training."""
        return int(self.pretrained.record.get("seed", 0))


def percent(estimate: Any) -> dict[str, float]:
    """Return the error in per cent of an accuracy with its interval."""
    return {
        "error": 100 * (1 - estimate.estimate),
        "low": 100 * (1 - estimate.high),
        "high": 100 * (1 - estimate.low),
        "n": estimate.n,
    }


def last_right(shown: xr.Dataset) -> np.ndarray:
    """Return whether each scene was answered rightly after the last glimpse, float."""
    return right(shown["logits"].isel(glimpse=-1), shown["label"]).to_numpy().astype(float)


def rate(correct: np.ndarray) -> dict[str, float]:
    """Return the error in per cent of answers right (1) or wrong (0), with Wilson's interval."""
    return percent(wilson(int(correct.sum()), len(correct)))


def errors(
    networks: Sequence[Network], scenes: dict[str, ClutteredScenes], n: int, seed: int
) -> pd.DataFrame:
    """Return each network's error on its own task, where it looks as it was trained to.

    Returns
    -------
    pandas.DataFrame
        Columns network, task, gaze, seed, n_glimpses, policy, error, low, high (%), n.
    """
    rows = []
    for network in networks:
        own = ["mean", "sampled"] if network.gaze == "learned" else [network.gaze]
        for policy in own:
            shown = show(network.model, scenes[network.task], n, policy=policy, seed=seed)
            about = {
                "network": network.name, "task": network.task, "gaze": network.gaze,
                "seed": network.seed, "n_glimpses": network.n_glimpses, "policy": policy,
            }  # fmt: skip
            rows.append({**about, **rate(last_right(shown))})
    return pd.DataFrame(rows)


def glimpse_curves(shown: xr.Dataset, seed: int) -> pd.DataFrame:
    """Return the error after each glimpse: by the head, and by a probe of the frozen core.

    Parameters
    ----------
    shown : xarray.Dataset
        Of `show` with its state.
    seed : int
        Of the probe's folds.

    Returns
    -------
    pandas.DataFrame
        Columns readout ("head", "probe"), glimpse, error, low, high (%), n.
    """
    head = error_by_glimpse(shown["logits"], shown["label"])
    probe = probe_accuracy(shown["hidden"], shown["label"], seed=seed)
    tables = [
        pd.DataFrame(
            {
                "readout": "head", "glimpse": head["glimpse"], "error": 100 * head["error"],
                "low": 100 * head["low"], "high": 100 * head["high"], "n": int(head["n"].max()),
            }
        ),
        pd.DataFrame(
            {
                "readout": "probe", "glimpse": probe["glimpse"],
                "error": 100 * (1 - probe["accuracy"]), "low": 100 * (1 - probe["high"]),
                "high": 100 * (1 - probe["low"]), "n": int(probe["n"].max()),
            }
        ),
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def policies(
    network: Network, scenes: ClutteredScenes, n: int, other: Network | None, seed: int
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Return the error of a network when others look for it, paired with its own.

    Parameters
    ----------
    network : Network
    scenes : ClutteredScenes
    n : int
    other : Network, optional
        Another network of the same task, whose fixations are replayed.
    seed : int

    Returns
    -------
    pandas.DataFrame
        Columns policy, error, low, high (%), n; ``worse_by`` with its interval ``worse_low`` to
        ``worse_high``: by how many points the error exceeds that of the learned policy, paired
        by scene (bootstrap).
    xarray.Dataset
        ``correct`` (policy, stimulus).
    """
    model, length = network.model, network.n_glimpses
    own = show(model, scenes, n, seed=seed)
    xy = torch.from_numpy(own["location"].to_numpy())
    kinds: dict[str, str | Policy] = {
        "sampled": "sampled",
        "saliency": SaliencyPolicy(_detail(scenes, own["scene"].to_numpy(), model)),
        "grid": "grid",
        "random": "random",
        "centre": "centre",
        "another scene's": ReplayPolicy(xy.roll(1, 0)),
    }
    if other is not None:
        theirs = show(other.model, scenes, n, seed=seed + 1)["location"].to_numpy()[:, :length]
        kinds["another network's"] = ReplayPolicy(torch.from_numpy(theirs))
    answers = {"learned": last_right(own)}
    for name, policy in kinds.items():
        answers[name] = last_right(show(model, scenes, n, policy=policy, seed=seed))
    rows = []
    for name, correct in answers.items():
        row: dict[str, Any] = {"policy": name, **rate(correct)}
        if name != "learned":
            worse = bootstrap(100 * (answers["learned"] - correct), seed=seed)
            row |= {
                "worse_by": worse.estimate, "worse_low": worse.low, "worse_high": worse.high,
            }  # fmt: skip
        rows.append(row)
    kept = xr.Dataset(
        {"correct": (("policy", "stimulus"), np.stack(list(answers.values())))},
        coords={"policy": list(answers), "scene": ("stimulus", own["scene"].to_numpy())},
    )
    return pd.DataFrame(rows), kept


def _detail(scenes: ClutteredScenes, chosen: np.ndarray, model: RAM) -> torch.Tensor:
    """Return maps (N, H, W) of how much there is in a patch about each pixel."""
    images = scenes[chosen].image[:, 0]
    side = model.config.glimpse_px + 1 - model.config.glimpse_px % 2
    summed: torch.Tensor = torch.nn.functional.avg_pool2d(images[:, None], side, 1, side // 2)
    return summed[:, 0]


def by_eccentricity(shown: xr.Dataset, step_px: float) -> dict[str, xr.Dataset]:
    """Return accuracy by how far the digit is from the middle, and from the first glimpse.

    Parameters
    ----------
    shown : xarray.Dataset
        Of `show`.
    step_px : float
        Width of the bins.

    Returns
    -------
    dict of str to xarray.Dataset
        Of `accuracy_by_eccentricity`, from the "canvas" and from the "first glimpse".
    """
    answers = right(shown["logits"].isel(glimpse=-1), shown["label"])
    digit = xr.concat([shown["x"], shown["y"]], pd.Index(COORDINATE, name="coordinate"))
    offsets = {
        "canvas": digit - shown.attrs["size_px"] / 2,
        "first glimpse": digit - shown["location"].isel(glimpse=0),
    }
    found = {}
    for name, offset in offsets.items():
        away = eccentricity(offset.reset_coords(drop=True))
        edges = [0.0]
        # Bins of 20 scenes or more: the last, with what is left, is wider.
        for edge in np.arange(step_px, float(away.max()), step_px):
            inside = int(((away >= edges[-1]) & (away < edge)).sum())
            beyond = int((away >= edge).sum())
            if inside >= 20 and beyond >= 20:
                edges.append(float(edge))
        edges.append(float(away.max()) + 1e-6)
        found[name] = accuracy_by_eccentricity(
            answers.reset_coords(drop=True), away, edges, chance=1 / N_CLASSES
        )
    return found


def core(network: Network, scenes: ClutteredScenes, n: int, seed: int) -> dict[str, Any]:
    """Return what units of the core respond to, and what can be read from them.

    Gaze fields are measured where chance looks, which covers the image evenly and tells gaze and
    digit apart; decoding where the network looks.

    Returns
    -------
    dict
        ``fields`` (`gaze_map`), ``shares`` (of variance by gaze and by class, over unit, after
        the third glimpse), ``tuning`` (`class_tuning` after the last glimpse), ``decoded``
        (`decode_position`).
    """
    size = network.pretrained.model.config.glimpse_px
    wander = show(network.model, scenes, n, policy="random", state=True, seed=seed)
    looking = show(network.model, scenes, n, state=True, seed=seed)
    frame = wander.attrs["size_px"]
    late = wander.isel(glimpse=slice(2, None))
    third = wander.isel(glimpse=2)
    cells = gaze_cells(third["location"].reset_coords(drop=True), frame, 4)
    shares = xr.concat(
        [
            variance_explained(third["hidden"].reset_coords(drop=True), cells),
            variance_explained(third["hidden"].reset_coords(drop=True), _plain(third["label"])),
        ],
        pd.Index(["gaze", "class"], name="by"),
    )
    lags = range(-min(3, network.n_glimpses - 1), 2)
    return {
        "fields": gaze_map(
            late["hidden"].reset_coords(drop=True), late["location"].reset_coords(drop=True),
            frame, max(4, round(frame / size * 2)),
        ),
        "shares": shares,
        "tuning": class_tuning(
            looking["hidden"].isel(glimpse=-1).reset_coords(drop=True), _plain(looking["label"])
        ),
        "decoded": decode_position(
            looking["hidden"].reset_coords(drop=True), looking["location"].reset_coords(drop=True),
            lags, seed=seed,
        ),
        "looking": looking,
    }  # fmt: skip


def _plain(array: xr.DataArray) -> xr.DataArray:
    return xr.DataArray(array.to_numpy(), dims=array.dims)


def returns(
    networks: Sequence[Network], scenes: ClutteredScenes, n: int, draws: int, seed: int
) -> xr.Dataset:
    """Return inhibition of return against all nine baselines, the networks being the viewers.

    The first glimpse, which is given, is left out. A return lands within half a patch.

    Parameters
    ----------
    networks : sequence of Network
        Of one task, trained from other seeds.
    scenes : ClutteredScenes
    n : int
        Scenes, the same for all.
    draws : int
        Permutations and resamples.
    seed : int
    """
    paths = [
        scanpaths_of(
            show(network.model, scenes, n, seed=seed + i).isel(glimpse=slice(1, None)),
            f"seed {network.seed}",
        )
        for i, network in enumerate(networks)
    ]
    patch = float(networks[0].model.config.glimpse_px)
    lags = range(1, networks[0].n_glimpses - 1)
    return all_baselines(
        xr.concat(paths, "scanpath", combine_attrs="override"), lags, radius_px=patch / 2,
        patch_px=patch, n_permutations=draws, n_resamples=draws, n_walks=5, seed=seed,
    )  # fmt: skip


def similarity(
    networks: Sequence[Network], scenes: ClutteredScenes, n: int, draws: int, seed: int
) -> pd.DataFrame:
    """Return how like each other the scanpaths of networks are that differ in their seed only.

    Returns
    -------
    pandas.DataFrame
        Columns metric, pair ("same network, other start", "other network", "other scene"),
        mean, low, high, n (scenes).
    """
    from attnsci.scanpaths.comparison import compare

    metrics = ["scanmatch", "dtw", "frechet", "edit_distance"]
    shown = [show(network.model, scenes, n, seed=seed + i) for i, network in enumerate(networks)]
    among = [
        scanpaths_of(each, f"seed {network.seed}")
        for each, network in zip(shown, networks, strict=True)
    ]
    starts = [
        scanpaths_of(show(networks[0].model, scenes, n, seed=seed + 100 + i), f"start {i}")
        for i in range(len(networks))
    ]
    rows = []
    for paths, pair in ((starts, "same network, other start"), (among, "other network")):
        people = xr.concat(paths, "scanpath", combine_attrs="override")
        found = compare(None, people, metrics, n_permutations=draws, n_bootstrap=draws, seed=seed)
        sources = {"human": pair}
        if pair == "other network":
            sources["cross-image"] = "other scene"
        for metric in found["metric"].values:
            for source, name in sources.items():
                at = found.sel(metric=metric, source=source)
                values = {key: float(at[key]) for key in ("mean", "low", "high")}
                rows.append({"metric": str(metric), "pair": name, **values, "n": n})
    return pd.DataFrame(rows)


def imposed_inhibition(
    network: Network, scenes: ClutteredScenes, n: int, strengths: Sequence[float], seed: int
) -> pd.DataFrame:
    """Return returns and error when the network is kept from where it has been.

    Returns
    -------
    pandas.DataFrame
        Columns strength, measure ("error, %", "returns, %"), estimate, low, high, n.
    """
    radius = network.model.config.glimpse_px / 2
    sigma = network.model.config.sigma * scenes.config.size / 2
    rows: list[dict[str, Any]] = []
    for strength in strengths:
        policy = InhibitedPolicy(strength, radius, sigma)
        shown = show(network.model, scenes, n, policy=policy, seed=seed)
        found = rate(last_right(shown))
        rows.append(
            {
                "strength": strength, "measure": "error, %", "estimate": found["error"],
                "low": found["low"], "high": found["high"], "n": n,
            }
        )  # fmt: skip
        xy = shown["location"].to_numpy()
        near = np.linalg.norm(xy[:, 2:] - xy[:, :-2], axis=-1) < radius
        back = bootstrap(100 * near.mean(1), seed=seed)
        rows.append(
            {
                "strength": strength, "measure": "returns, %", "estimate": back.estimate,
                "low": back.low, "high": back.high, "n": n,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def pairs(model: DRAM, scenes: DigitPairs, n: int, seed: int) -> pd.DataFrame:
    """Return how often a deep network misreads pairs of digits, whoever looks.

    Returns
    -------
    pandas.DataFrame
        Columns policy, error, low, high (%), n: a pair is wrong if a digit is.
    """
    rows = []
    for policy in ("mean", "sampled", "grid", "random"):
        found = evaluate_dram(model, scenes, policy=policy, n=n, seed=seed)
        right_ones = round(n * (1 - float(found["sequence_error"])))
        rows.append({"policy": policy, **percent(wilson(right_ones, n))})
    return pd.DataFrame(rows)


def catch(model: CatchRAM, n: int, seed: int) -> pd.DataFrame:
    """Return how often the ball is missed, whoever looks, and where the gaze is.

    Returns
    -------
    pandas.DataFrame
        Columns policy, error, low, high (%), n; ``gaze_to_ball_px``, a mean over the last ten
        steps of a game.
    """
    rows = []
    for policy in ("mean", "centre", "random"):
        found = evaluate_catch(model, n, seed, policy=policy)
        away = float(np.mean(found.gaze_to_ball_px[-10:]))
        scored = percent(wilson(round(n * found.caught), n))
        rows.append({"policy": policy, **scored, "gaze_to_ball_px": away})
    return pd.DataFrame(rows)


def published(
    folder: Path, scenes_of: Callable[[str, int], ClutteredScenes], seeds: Sequence[int]
) -> pd.DataFrame:
    """Return the error of the published weights in `folder`.

    Parameters
    ----------
    folder : Path
        With ``*.chainermodel`` files.
    scenes_of : callable
        From the name of a task and a seed to scenes of the same digits.
    seeds : sequence of int
        Of places, clutter and first glimpses; a digit counts once, with its mean over them.

    Returns
    -------
    pandas.DataFrame
        Columns task, error, low, high (%), n (digits).
    """
    rows = []
    for path in sorted(folder.glob("*.chainermodel")):
        model = load_ram(path)
        task = task_of(Pretrained(model, {}), path.name)
        answers = [last_right(show(model, scenes_of(task, seed), seed=seed)) for seed in seeds]
        rows.append({"task": task, **percent(bootstrap(np.mean(answers, axis=0), seed=0))})
    return pd.DataFrame(rows)
