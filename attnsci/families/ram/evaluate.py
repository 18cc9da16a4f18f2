"""What ``attnsci evaluate ram`` does: errors with intervals, and pictures of what was seen."""

from pathlib import Path

import pandas as pd
import xarray as xr

from attnsci.analysis.glimpses import right
from attnsci.data.exposure import UNSEEN, exposure, warn_of_exposure
from attnsci.data.stimuli import some
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.experiments.answers import glimpses
from attnsci.experiments.outcome import Estimated, percent_wrong
from attnsci.families.ram.looks import Looks
from attnsci.families.ram.networks import load_network, scenes_for
from attnsci.families.ram.pictures import probabilities, write_pictures
from attnsci.papers.output import save_table
from attnsci.provenance import state_hash
from attnsci.recording.datasets import save_dataset
from attnsci.recording.responses import collect
from attnsci.statistics.estimates import bootstrap
from attnsci.statistics.significance import wilson


def evaluate_glimpses(
    model: str,
    *,
    task: str | None = None,
    source: str = "bundled",
    split: str = "test",
    n: int | None = None,
    policy: str = "mean",
    n_samples: int = 1,
    n_glimpses: int | None = None,
    pictures: int = 0,
    seed: int = 0,
    device: str = "auto",
    out: Path | None = None,
) -> str:
    """Measure a network's error after each glimpse; return what to tell the user.

    Parameters
    ----------
    model : str
        Name or file of its weights.
    task, source, split, n
        Scenes to show; by default all of the task that it was trained for.
    policy, n_samples, n_glimpses
        See `GlimpseModel.rollout`.
    pictures : int
        Scenes to draw into `out`.
    seed : int
    device : str
    out : Path, optional
        Folder for error.csv, glimpses.zarr and pictures.

    Raises
    ------
    InvalidInput
        If there are fewer scenes than `n`.
    """
    where, network = pick_device(device), load_network(model)
    scenes = scenes_for(network, task=task, source=source, split=split, seed=seed, device=where)
    n = len(scenes) if n is None else n
    if n > len(scenes):
        raise InvalidInput(
            f"n is {n}, but the {source} {split} digits make {len(scenes)} scenes, one for each. "
            "Choose a smaller --n or another --source."
        )
    digits = exposure(network.record, source, split)
    if digits != UNSEEN:
        warn_of_exposure(digits, model, source, split)
    stimuli = some(scenes, n, n_samples)
    looks = Looks(
        network.model.to(where), len(stimuli), policy=policy, n_glimpses=n_glimpses,
        state=pictures > 0, seed=seed,
    )  # fmt: skip
    responses = collect(looks, stimuli, progress="scenes")
    table = error_table(responses, seed=seed)
    lines = [
        f"{model}: {n} scenes of {source} {split} digits ({digits}), policy {policy}, {n_samples} "
        "look(s) at each. Error in %, 95 % intervals.",
        "",
        table.to_string(index=False, float_format=lambda value: f"{value:.2f}"),
    ]
    if network.model.config.readout == "last":
        lines += ["", "Only the readout after the last glimpse was trained."]
    if out is not None:
        facts = {
            "weights": model,
            "weights_hash": state_hash(network.model.state_dict()),
            "trained": network.record,
            "stimuli": scenes.provenance(),
            "policy": policy,
            "digits": digits,
            "seed": seed,
        }
        behaviour = responses.drop_vars(["hidden", "seen"], errors="ignore")
        written = [
            save_table(table, out / "error.csv"),
            save_dataset(behaviour, out / "glimpses.zarr", facts),
            *write_pictures(responses, scenes, network.model.config, pictures, out, model),
        ]
        lines += ["", *map(str, written)]
    return "\n".join(lines)


def error_table(responses: xr.Dataset, seed: int = 0) -> pd.DataFrame:
    """Return the error after each glimpse, in per cent, with its interval over scenes.

    Parameters
    ----------
    responses : xarray.Dataset
        Of `collect`, asked by `Looks`. With several looks at a scene there is a row more, "all
        looks": of their mean probability.
    seed : int
        Of the bootstrap, needed where scenes were looked at several times.

    Returns
    -------
    pandas.DataFrame
        Columns glimpse, error, low, high, n (scenes).
    """
    counted = glimpses(responses)
    several = int(counted["sample"].max()) > 0
    correct = right(counted["logits"], counted["label"])
    if several:
        correct = correct.groupby("index").mean()
    rows: list[tuple[str, Estimated]] = []
    for glimpse, answers in zip(
        counted["glimpse"].values, correct.transpose("glimpse", ...), strict=True
    ):
        sample = answers.to_numpy().astype(float)
        wrong = bootstrap(sample, seed=seed) if several else wilson(int(sample.sum()), len(sample))
        rows.append((str(glimpse), wrong))
    if several:
        mean = probabilities(counted["logits"].isel(glimpse=-1)).groupby("index").mean()
        label = counted["label"].groupby("index").first()
        called = (mean.argmax("class") == label).to_numpy()
        rows.append(("all looks", wilson(int(called.sum()), len(called))))
    errors = [(name, percent_wrong(accuracy)) for name, accuracy in rows]
    return pd.DataFrame(
        [
            {"glimpse": name, "error": e.estimate, "low": e.low, "high": e.high, "n": e.n}
            for name, e in errors
        ]
    )
