"""Experiments on a gated network, the paper's and the controls that it lacks, one call each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from attnsci.analysis.selection import compare_conditions, convergence, scene_scores
from attnsci.data.bars import BarScenes
from attnsci.data.digit_scenes import DigitScenes, SceneConfig, spread
from attnsci.data.digits import Digits
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.measure import BATCH, show_scenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.objective import nearest_object
from attnsci.models.weights import Pretrained
from attnsci.seeds import numpy_generator
from attnsci.statistics.plans import bootstrap_hierarchical
from attnsci.statistics.significance import wilson

ABLATIONS: dict[str, dict[str, Any]] = {
    "no inhibition of return": {"inhibition": False},
    "inhibition on pixels only": {"inhibition": (True, False)},
    "inhibition on features only": {"inhibition": (False, True)},
    "feature gate off": {"gates_off": (2,)},
    "pixel gate off": {"gates_off": (1,)},
    "1 step (feed-forward)": {"n_steps": 1},
    "2 steps": {"n_steps": 2},
    "3 steps": {"n_steps": 3},
    "8 steps": {"n_steps": 8},
    "half the strength": {"strength": 0.1},
    "threshold 0": {"threshold": 0.0},
    "threshold 0.9": {"threshold": 0.9},
}
"""Interventions of the ablation table."""


def ablation_table(
    model: ObjectAttention,
    scenes: DigitScenes,
    n: int,
    *,
    ablations: Mapping[str, Mapping[str, Any]] = ABLATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Take the mechanism apart, one intervention at a time, on the same `n` scenes.

    Returns
    -------
    pandas.DataFrame
        See `attnsci.analysis.selection.compare_conditions`.
    """
    baseline = show_scenes(model, scenes.batches(BATCH, n))
    conditions = {
        name: show_scenes(model, scenes.batches(BATCH, n), progress=name, **intervention)
        for name, intervention in ablations.items()
    }
    return compare_conditions(baseline, conditions, seed=seed)


def lone_digit_sweep(
    model: ObjectAttention,
    digits: Digits,
    n: int,
    *,
    offsets: Sequence[int] | None = None,
    noise_levels: Sequence[float] = (0.0, 0.3),
    seed: int = 0,
) -> pd.DataFrame:
    """Show single digits at every place along the row and ask in which phase they are read.

    A network that attends to objects reads a lone digit in its first phase wherever it is; one
    that scans places reads it only in the phase of its side.

    Parameters
    ----------
    model : ObjectAttention
        The network.
    digits : Digits
        Of which `n` are shown at each offset.
    n : int
        Digits at each offset.
    offsets : sequence of int, optional
        Columns of the digit's left edge; every one that fits by default.
    noise_levels : sequence of float
        Noise on empty pixels, as trained and without.
    seed : int
        Of the noise.

    Returns
    -------
    pandas.DataFrame
        ``noise``, ``offset_px``, ``phase``, ``accuracy`` with ``low``, ``high`` (Wilson),
        ``gate_on_digit``, ``n``.
    """
    config = model.config
    if offsets is None:
        offsets = range(config.width - SceneConfig(1).canvas[1] + 1)
    rows = []
    for noise in noise_levels:
        for offset in offsets:
            scenes = DigitScenes(
                digits.subset(spread(n, len(digits))),
                seed=seed,
                n_objects=1,
                noise=noise,
                slots=((0, offset),),
                size=(config.height, config.width),
            )
            shown = show_scenes(model, scenes.batches(BATCH))
            for phase in shown["phase"].values:
                right = shown["prediction"].sel(phase=phase) == shown["label"].isel(object=0)
                interval = wilson(int(right.sum()), right.size)
                rows.append(
                    {
                        "noise": noise,
                        "offset_px": offset,
                        "phase": int(phase),
                        "accuracy": interval.estimate,
                        "low": interval.low,
                        "high": interval.high,
                        "gate_on_digit": float(
                            shown["gate"].sel(phase=phase, region="selected").mean()
                        ),
                        "n": interval.n,
                    }
                )
    return pd.DataFrame(rows)


def cue_by_template(
    model: ObjectAttention, scenes: DigitScenes, n: int, *, seed: int = 0
) -> pd.DataFrame:
    """Inhibit what a lone object left inhibited, show the pair, and see what is attended first.

    If the inhibition is that of an object, the template of either object makes the network
    attend to the other one. The lone object has the scenes' noise around it, as the network was
    trained to expect.

    Parameters
    ----------
    model : ObjectAttention
        The network.
    scenes : DigitScenes
        Scenes of two objects.
    n : int
        Scenes shown.
    seed : int
        Of the noise around the lone objects.

    Returns
    -------
    pandas.DataFrame
        A row for each template's slot: ``template_slot``, ``other_first`` (share of scenes whose
        other object was attended) with ``low``, ``high`` (Wilson), ``accuracy`` on the other
        object's label, ``n``.
    """
    rows = []
    for slot in range(2):
        other_first, right, total = 0, 0, 0
        generator = numpy_generator(seed, slot)
        for batch in scenes.batches(BATCH, n):
            alone = batch.objects[:, slot]
            noise = generator.random(alone.shape, np.float32) * np.float32(scenes.config.noise)
            surrounded = torch.where(alone > 0, alone, torch.from_numpy(noise).to(alone.device))
            cue = _template(model, surrounded)
            with torch.no_grad():
                trajectory = model.run(batch.image, n_phases=1, initial_ior=cue)
            targets = batch.targets(model.config.strength)
            chosen, _ = nearest_object(trajectory.masked_input[:, 0], targets)
            other_first += int((chosen == 1 - slot).sum())
            right += int((trajectory.prediction[:, 0] == batch.labels[:, 1 - slot]).sum())
            total += len(batch)
        share, accuracy = wilson(other_first, total), wilson(right, total)
        rows.append(
            {
                "template_slot": slot,
                "other_first": share.estimate,
                "low": share.low,
                "high": share.high,
                "accuracy": accuracy.estimate,
                "accuracy_low": accuracy.low,
                "accuracy_high": accuracy.high,
                "n": total,
            }
        )
    return pd.DataFrame(rows)


def _template(model: ObjectAttention, alone: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the inhibition that one phase with an object alone leaves behind."""
    with torch.no_grad():
        return tuple(mask[:, 0] for mask in model.run(alone, n_phases=1).ior)


def cue_swapped_tuning(model: ObjectAttention, bars: BarScenes) -> xr.Dataset:
    """Measure tuning on identical stimuli in the same phase, only the cue being exchanged.

    The cue is the inhibition that one object alone leaves behind: that of the digit sends
    attention to the bar, that of the bar to the digit.

    Returns
    -------
    xarray.Dataset
        ``level_1``, ``level_2`` … (attention, orientation_deg, channel, y, x): mean over the
        stimuli of an orientation, all of them, whether or not the cue worked; ``cue_worked``
        (attention, orientation_deg): share in which it did; ``n`` (orientation_deg).
    """
    sums: dict[float, list[Any]] = {}
    for batch in bars.batches(BATCH):
        orientation = float(batch.metadata["orientation_deg"][0])
        entry = sums.setdefault(orientation, [0, np.zeros(2), None])
        targets = batch.targets(model.config.strength)
        totals = []
        # Inhibiting the digit (object 1) leaves the bar to attend, and the other way round.
        for attention, slot in enumerate((1, 0)):
            cue = _template(model, batch.objects[:, slot])
            with torch.no_grad():
                trajectory = model.run(
                    batch.image, n_phases=1, initial_ior=cue, keep_activations=True
                )
            chosen, _ = nearest_object(trajectory.masked_input[:, 0], targets)
            entry[1][attention] += int((chosen == 1 - slot).sum())
            assert trajectory.activations is not None
            totals.append([a[:, 0].double().sum(0) for a in trajectory.activations])
        levels = [torch.stack(pair) for pair in zip(*totals, strict=True)]
        entry[0] += len(batch)
        entry[2] = (
            levels if entry[2] is None else [a + b for a, b in zip(entry[2], levels, strict=True)]
        )
    orientations = sorted(sums)
    variables: dict[str, Any] = {
        "n": ("orientation_deg", [sums[o][0] for o in orientations]),
        "cue_worked": (
            ("attention", "orientation_deg"),
            np.stack([sums[o][1] / sums[o][0] for o in orientations], 1),
        ),
    }
    for level in range(model.config.n_levels):
        mean = torch.stack([sums[o][2][level] / sums[o][0] for o in orientations], 1)
        cells = tuple(f"{axis}_{level + 1}" for axis in ("channel", "y", "x"))
        variables[f"level_{level + 1}"] = (
            ("attention", "orientation_deg", *cells),
            mean.float().cpu().numpy(),
        )
    coords = {"attention": ["attended", "unattended"], "orientation_deg": orientations}
    return xr.Dataset(variables, coords=coords)


def order_balanced_tuning(left: xr.Dataset, right: xr.Dataset) -> xr.Dataset:
    """Average tuning over bars on the left and on the right, channel by channel.

    A network that always attends to the same side first meets the attended bar in one phase on
    the left and in the other on the right; the average holds each phase and side in both
    conditions alike.

    Parameters
    ----------
    left, right : xarray.Dataset
        Of `show_bars`, for bars on the left and for mirrored scenes.

    Returns
    -------
    xarray.Dataset
        ``level_1`` … (side, attention, orientation_deg, channel): mean over stimuli and over the
        half of the map that holds the bar; ``bar_first`` (side): share attended in phase 1.

    Raises
    ------
    InvalidInput
        If an orientation was shown on one side only.
    """
    # Mirroring turns an orientation θ into 180° − θ.
    turned = right.assign_coords(orientation_deg=(180 - right["orientation_deg"]) % 180)
    turned = turned.sortby("orientation_deg")
    angles = left["orientation_deg"].values, turned["orientation_deg"].values
    if len(angles[0]) != len(angles[1]) or not np.allclose(*angles):
        raise InvalidInput(
            "A mirrored bar at θ stands at 180° − θ, so the angles must come in such pairs; the "
            f"left has {angles[0].tolist()}, the right, turned back, {angles[1].tolist()}."
        )
    turned = turned.assign_coords(orientation_deg=angles[0])
    variables = {}
    for level in [name for name in left.data_vars if str(name).removeprefix("level_").isdigit()]:
        number = str(level).removeprefix("level_")
        columns = left.sizes[f"x_{number}"] // 2
        halves = []
        for shown, where in ((left, slice(None, columns)), (turned, slice(-columns, None))):
            half = shown[level].sel(statistic="mean").isel({f"x_{number}": where})
            halves.append(half.mean([f"x_{number}", f"y_{number}"]))
        variables[level] = xr.concat(halves, pd.Index(["left", "right"], name="side"), join="exact")
    bar_first = [float(shown["bar_first"].mean()) for shown in (left, right)]
    return xr.Dataset({**variables, "bar_first": ("side", bar_first)})


def gate_convergence(model: ObjectAttention, scenes: DigitScenes, n: int, n_steps: int = 12) -> Any:
    """Run each phase for longer than trained and return how far the gates still move.

    Returns
    -------
    xarray.Dataset
        ``rms_change`` (stimulus, level, phase, step): root mean square change of each level's
        gate from the step before.
    """
    parts = []
    for batch in scenes.batches(BATCH, n):
        with torch.no_grad():
            steps = model.run(batch.image, n_steps=n_steps, keep_steps=True).gate_steps
        assert steps is not None
        levels = [
            convergence(
                xr.DataArray(
                    gate.cpu().numpy(),
                    dims=("stimulus", "phase", "step", "channel", "y", "x"),
                    coords={
                        "stimulus": batch.metadata["index"].numpy(),
                        "phase": np.arange(1, gate.shape[1] + 1),
                        "step": np.arange(1, gate.shape[2] + 1),
                    },
                )
            )
            for gate in steps
        ]
        index = pd.Index(range(1, len(levels) + 1), name="level")
        parts.append(xr.concat(levels, index, join="exact"))
    return xr.concat(parts, "stimulus", join="exact").to_dataset()


def accuracy_by_weight(
    networks: Iterable[Pretrained], digits: Digits, n: int, *, seed: int = 0
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Test networks trained with different Φ, several seeds each, on the same scenes.

    Returns
    -------
    scores : xarray.Dataset
        ``correct``, ``iou_selected`` (network, stimulus, phase), with ``seed`` and
        ``reconstruction_weight`` along ``network``.
    table : pandas.DataFrame
        A row for each Φ: accuracy and IoU with hierarchical bootstrap intervals (network, then
        scene); ``n`` networks.
    """
    networks = list(networks)
    scenes = DigitScenes(digits, seed=seed)
    scores = xr.concat(
        [
            scene_scores(show_scenes(network.model, scenes.batches(BATCH, n)))[
                ["correct", "iou_selected"]
            ]
            for network in networks
        ],
        "network",
        join="exact",
    ).assign_coords(
        seed=("network", [network.record["seed"] for network in networks]),
        reconstruction_weight=(
            "network",
            [network.record["training"]["reconstruction_weight"] for network in networks],
        ),
    )
    rows = []
    for weight, group in scores.groupby("reconstruction_weight"):
        for measure in ("correct", "iou_selected"):
            values = group[measure].mean("phase")
            labels = np.repeat(np.arange(values.sizes["network"]), values.sizes["stimulus"])
            interval = bootstrap_hierarchical(values.values.ravel(), labels, seed=seed)
            rows.append(
                {
                    "reconstruction_weight": float(weight),
                    "measure": measure,
                    "estimate": float(values.mean()),
                    "low": interval.low,
                    "high": interval.high,
                    "n": values.sizes["network"],
                    "n_scenes": values.sizes["stimulus"],
                }
            )
    return scores, pd.DataFrame(rows)
