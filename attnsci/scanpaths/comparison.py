"""A model's scanpaths against people's, beside the human ceiling and every baseline."""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_known, check_positive, nearest
from attnsci.errors import InvalidInput
from attnsci.gaze import look_alikes, validate, viewing_of
from attnsci.scanpaths.baselines import BASELINES, Candidates, Humans, make
from attnsci.scanpaths.map_scores import MAP_METRICS, MapSettings, map_settings, score_on_maps
from attnsci.scanpaths.measures.base import get_metric, registered
from attnsci.scanpaths.pairs import CHUNK, plain_paths
from attnsci.scanpaths.scores import Scores, column, score
from attnsci.statistics.crossed import holm, interval, mean, sign_flips, two_way_bootstrap

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Choice = tuple[str, Mapping[str, Any]]

HEADLINE: dict[str, Choice] = {
    "multimatch": ("multimatch", {}),
    "scanmatch": ("scanmatch", {"n_columns": 16, "n_rows": 12}),
    "scanmatch 50 ms": ("scanmatch", {"n_columns": 16, "n_rows": 12, "bin_ms": 50.0}),
    "scaled_time_delay_embedding": ("scaled_time_delay_embedding", {}),
    "edit_distance": ("edit_distance", {}),
    "nss": ("nss", {}),
    "auc": ("auc", {}),
    "ig": ("ig", {}),
}
"""The default: metrics of where, of when, and of order, and fixations on the people's map."""

WEAK = 0.5
"""Same-image people must exceed cross-image people by this many standard deviations of a pair."""


def compare(
    model: "xr.Dataset | Mapping[str, xr.Dataset] | None",
    human: "xr.Dataset",
    metrics: Sequence[str] | Mapping[str, Choice] | None = None,
    *,
    seed: int = 0,
    n_permutations: int = 10_000,
    n_bootstrap: int = 2_000,
    confidence: float = 0.95,
    chunk: int = CHUNK,
    progress: bool | None = None,
) -> "xr.Dataset":
    """Compare a model's scanpaths with people's on the same images.

    Parameters
    ----------
    model : xarray.Dataset, mapping of str to xarray.Dataset, or None
        Scanpaths of a model, one or more an image; several models by name, on the same images;
        None: the ceiling and the baselines alone.
    human : xarray.Dataset
        Scanpaths of people in the same frame. Images that the model did not see serve the
        cross-image baselines only.
    metrics : sequence of str, or mapping of str to (str, mapping), optional
        Names of metrics, or labels with (name, settings): those that
        `attnsci.scanpaths.metrics` lists, and "nss", "auc", "ig" (settings: `MapSettings`), a
        path's fixations on the map of the people, made without one observer at a time. Default:
        `HEADLINE`, without the metrics of time where the model has no durations, and without
        those on maps where the Viewing has no px_per_deg.
    seed : int
        Of baselines and resampling.
    n_permutations, n_bootstrap : int
        Sign flips over images; resamples of images and observers.
    confidence : float
        Of the intervals.
    chunk : int
        Pairs computed at a time.
    progress : bool, optional
        Show a bar. Default: only on a terminal.

    Returns
    -------
    xarray.Dataset
        Dims ``image``, ``observer``, ``metric``, ``source`` (model, human, cross-image,
        shuffled, centre, uniform) and ``against``:

        - ``score``, ``best``, ``reached`` (image, metric, source): mean over observers; the
          observer that a path is most like, where every source chooses from one observer less
          than there are; and for each observer the path of the source that is most like it;
        - ``observer_score`` (image, observer, metric, source);
        - ``mean``, ``low``, ``high``, ``best_mean``, ``reached_mean``, ``pair_mean``,
          ``pair_sd``, ``n_undefined`` (metric, source), ``n_pairs`` (source): the intervals
          resample images and observers;
        - ``difference`` with ``difference_low``, ``difference_high``, ``p``, ``p_holm``
          (metric, against): model minus human and minus cross-image; p by sign flips over
          images, adjusted over metrics;
        - ``normalised`` with interval (metric): (model − cross-image) / (human − cross-image):
          0 is what any path scores on any image, 1 is a person; of several models these and
          the differences have the dim ``model`` first;
        - ``separation`` and ``separation_p`` (metric): by how many standard deviations of a
          pair people on one image exceed people on different images.

    Raises
    ------
    InvalidInput
        If images of the model have no people, an image has fewer than two people, there are
        fewer than two images, or frames differ.

    Warns
    -----
    UserWarning
        If a metric hardly separates people on one image from people on different images, or is
        undefined for some pairs.

    Notes
    -----
    Pairs share images and observers and are no sample: all inference is over images and
    observers.

    Examples
    --------
    >>> import numpy as np
    >>> from attnsci.scanpaths import Viewing, from_arrays
    >>> rng = np.random.default_rng(0)
    >>> spot = rng.uniform(10, 70, (4, 1, 6))  # where each of 4 images has something to see
    >>> x = (spot + rng.normal(0, 2, (4, 5, 6))).reshape(20, 6)
    >>> people = from_arrays(x, x * 0.75, image=np.repeat(list("abcd"), 5),
    ...                      observer=np.tile(list("12345"), 4), viewing=Viewing(80, 60))
    >>> result = compare(None, people, ["scanmatch"], n_permutations=99, n_bootstrap=99)
    >>> bool(result["mean"].sel(metric="scanmatch", source="human") > 0.8)
    True
    """
    check_positive("n_permutations", n_permutations, integer=True)
    check_positive("n_bootstrap", n_bootstrap, integer=True)
    human = _by_image(validate(human))
    humans, images, observers = _humans(human)
    models = _named_models(model)
    judged, sources = _candidates(models, human, images)
    choices = _choices(metrics, list(models.values()), viewing_of(human).px_per_deg)
    rows = np.flatnonzero(np.isin(humans.image, judged))
    sources |= {name: make(name, humans, rows, seed) for name in BASELINES}
    found = _scores(sources, humans, human, judged, choices, chunk, progress)
    result = _result(
        found, list(sources), list(models), images[judged], judged, observers, human,
        seed=seed, n_permutations=n_permutations, n_bootstrap=n_bootstrap, confidence=confidence,
    )  # fmt: skip
    # A Dataset is a mapping too, of its variables.
    return result.isel(model=0, drop=True) if hasattr(model, "data_vars") else result


def _by_image(human: "xr.Dataset") -> "xr.Dataset":
    """Return the scanpaths sorted by image."""
    return human.isel(scanpath=np.argsort(human["image"].to_numpy(), kind="stable"))


def _humans(human: "xr.Dataset") -> tuple[Humans, np.ndarray, np.ndarray]:
    images, image = np.unique(human["image"].to_numpy(), return_inverse=True)
    observers, observer = np.unique(human["observer"].to_numpy(), return_inverse=True)
    if len(images) < 2:
        raise InvalidInput(
            f"The human scanpaths are all on image {str(images[0])!r}. Cross-image baselines and "
            "inference over images need at least two images."
        )
    return Humans(plain_paths(human), image, observer), images, observers


def _named_models(model: "xr.Dataset | Mapping[str, xr.Dataset] | None") -> "dict[str, xr.Dataset]":
    if model is None:
        return {}
    models = {"model": model} if hasattr(model, "data_vars") else dict(model)
    taken = [name for name in models if name in BASELINES]
    if taken or not models:
        raise InvalidInput(
            f"Models need names of their own; got {list(models)}, and {list(BASELINES)} are the "
            "baselines."
        )
    return models  # type: ignore[return-value]


def _candidates(
    models: "Mapping[str, xr.Dataset]", human: "xr.Dataset", images: np.ndarray
) -> tuple[np.ndarray, dict[str, Candidates]]:
    """Return the numbers of the images judged, and the models' scanpaths."""
    judged, found = np.arange(len(images)), {}
    for name, model in models.items():
        seen, found[name] = _one_model(model, human, images)
        if len(found) > 1 and not np.array_equal(seen, judged):
            raise InvalidInput(
                f"{name!r} looked at {len(seen)} images and the models before it at "
                f"{len(judged)}, or at others. Models are compared on the same images: select()."
            )
        judged = seen
    names, counts = np.unique(human["image"].to_numpy(), return_counts=True)
    few = [str(name) for name in names[judged][counts[judged] < 2]]
    if few:
        raise InvalidInput(
            f"Image {few[0]!r} was seen by 1 observer; the human ceiling needs two on every image "
            f"({len(few)} have fewer). Leave them out by select()."
        )
    return judged, found


def _one_model(
    model: "xr.Dataset", human: "xr.Dataset", images: np.ndarray
) -> tuple[np.ndarray, Candidates]:
    validate(model)
    a, b = viewing_of(model), viewing_of(human)
    if (a.width_px, a.height_px) != (b.width_px, b.height_px):
        raise InvalidInput(
            f"The model's fixations are in a frame of {a.width_px:g}×{a.height_px:g} pixels, "
            f"the people's in {b.width_px:g}×{b.height_px:g}. Bring one into the other's by "
            "attnsci.scanpaths.rescale()."
        )
    seen, known = model["image"].to_numpy(), images.tolist()
    missing = sorted(set(seen.tolist()) - set(known))
    if missing:
        alike = look_alikes([*known, *missing])
        if alike:
            raise InvalidInput(
                f"The people's image {alike[0][0]!a} and the model's {alike[0][1]!a} look the same "
                f"and are not; {len(alike)} such in all. Write one of them in both files."
            )
        raise InvalidInput(
            f"Nobody's fixations are known for {len(missing)} of the model's images, the "
            f"first {missing[0]!r}; the people saw e.g. {nearest(missing[0], known, 3)}. "
            "Images are matched by name."
        )
    number = np.searchsorted(images, seen)
    return np.unique(number), Candidates(plain_paths(model), number, np.full(len(number), -1))


def _choices(
    metrics: Sequence[str] | Mapping[str, Choice] | None,
    models: "Sequence[xr.Dataset]",
    px_per_deg: float | None,
) -> dict[str, Choice]:
    timeless = any(bool(np.isnan(model["duration"].to_numpy()).all()) for model in models)
    if metrics is None:
        return {
            label: (name, settings)
            for label, (name, settings) in HEADLINE.items()
            if not (timeless and "bin_ms" in settings)
            and not (name in MAP_METRICS and px_per_deg is None)
        }
    if isinstance(metrics, Mapping):
        chosen = dict(metrics)
    else:
        chosen = {name: (name, {}) for name in metrics}
    if not chosen:
        raise InvalidInput("No metric was named; attnsci.scanpaths.metrics() lists them.")
    for name, settings in chosen.values():
        check_known("scanpath metric", name, [*registered(), *MAP_METRICS])
        if name in MAP_METRICS:
            map_settings(settings)
            continue
        get_metric(name).configured(**settings)
        if timeless and get_metric(name).durations == "required":
            raise InvalidInput(f"{name} needs durations, and the model has none.")
    return chosen


def _scores(
    sources: Mapping[str, Candidates],
    humans: Humans,
    human: "xr.Dataset",
    judged: np.ndarray,
    choices: Mapping[str, Choice],
    chunk: int,
    progress: bool | None,
) -> dict[str, list[Scores]]:
    """Return the scores of every source, by label of the metric, components apart."""
    from tqdm import tqdm

    hidden = None if progress is None else not progress
    found: dict[str, list[Scores]] = {}
    on_maps: dict[MapSettings, dict[str, str]] = {}
    with tqdm(total=len(choices) * len(sources), disable=hidden, leave=False) as bar:
        for label, (name, settings) in choices.items():
            if name in MAP_METRICS:  # one pass over the maps serves all with the same settings
                on_maps.setdefault(map_settings(settings), {})[label] = name
                bar.update(len(sources))
                continue
            scores = []
            for source, candidates in sources.items():
                bar.set_description(f"{label}, {source}")
                scores.append(score(candidates, humans, name, chunk, **settings))
                bar.update()
            for at, component in enumerate(get_metric(name).components or ("",)):
                found[f"{label} {component}".strip()] = [column(each, at) for each in scores]
    for same, names in on_maps.items():
        with tqdm(total=len(judged), desc="maps", disable=hidden, leave=False) as bar:
            scored = score_on_maps(sources, humans, human, judged, names, same, bar)
        found |= {label: [column(each, 0) for each in scored[label]] for label in names}
    return found


def _result(
    found: Mapping[str, list[Scores]],
    sources: list[str],
    models: list[str],
    images: np.ndarray,
    judged: np.ndarray,
    observers: np.ndarray,
    human: "xr.Dataset",
    *,
    seed: int,
    n_permutations: int,
    n_bootstrap: int,
    confidence: float,
) -> "xr.Dataset":
    import xarray as xr

    labels = list(found)

    def stacked(field: str) -> np.ndarray:
        """Return (..., metric, source)."""
        values = [np.stack([getattr(s, field) for s in found[label]], -1) for label in labels]
        return np.stack(values, -2)

    score_, best, reached = (stacked(f)[judged] for f in ("image", "best", "reached"))
    observer_score = stacked("observer")[judged]
    draws = two_way_bootstrap(observer_score, n_bootstrap, seed)
    low, high = interval(draws, confidence)
    human_at, cross_at = sources.index("human"), sources.index("cross-image")
    pair_mean, pair_sd = stacked("pair_mean"), stacked("pair_sd")
    spread = pair_sd[:, human_at]
    gap = score_[..., human_at] - score_[..., cross_at]
    with np.errstate(invalid="ignore", divide="ignore"):
        separation = np.abs(mean(gap)) / spread
    separation_p = holm(sign_flips(gap, n_permutations, seed))
    by_both = ("metric", "source")
    data: dict[str, Any] = {
        "score": (("image", *by_both), score_),
        "best": (("image", *by_both), best),
        "reached": (("image", *by_both), reached),
        "observer_score": (("image", "observer", *by_both), observer_score),
        "mean": (by_both, mean(score_)),
        "low": (by_both, low),
        "high": (by_both, high),
        "best_mean": (by_both, mean(best)),
        "reached_mean": (by_both, mean(reached)),
        "pair_mean": (by_both, pair_mean),
        "pair_sd": (by_both, pair_sd),
        "n_undefined": (by_both, stacked("n_undefined")),
        "n_pairs": ("source", [each.n_pairs for each in found[labels[0]]]),
        "separation": ("metric", separation),
        "separation_p": ("metric", separation_p),
    }
    if models:
        data |= _verdict(score_, draws, sources, len(models), n_permutations, seed, confidence)
    undefined = {
        label: {source: int(n) for source, n in zip(sources, counts, strict=True) if n}
        for label, counts in zip(labels, data["n_undefined"][1], strict=True)
        if counts.any()
    }
    if undefined:
        warnings.warn(
            f"Some pairs have no value (scanpaths too short, without durations, or off the "
            f"image); means skip them: {undefined}.",
            stacklevel=3,
        )
    weak = [label for label, d in zip(labels, separation, strict=True) if not d >= WEAK]
    if weak:
        warnings.warn(
            f"{', '.join(weak)} hardly tell(s) people on one image from people on different "
            f"images (less than {WEAK} standard deviations of a pair apart): a model's score "
            "there says little about where it looks.",
            stacklevel=3,
        )
    against = {"against": ["human", "cross-image"], "model": models} if models else {}
    return xr.Dataset(
        data,
        coords={
            "image": images,
            "observer": observers,
            "metric": labels,
            "source": sources,
            **against,
        },
        attrs={
            "viewing": human.attrs["viewing"],
            "seed": seed,
            "n_permutations": n_permutations,
            "n_bootstrap": n_bootstrap,
            "confidence": confidence,
            "weak": json.dumps(weak),
        },
    )


def _verdict(
    score_: np.ndarray,
    draws: np.ndarray,
    sources: list[str],
    n_models: int,
    n_permutations: int,
    seed: int,
    confidence: float,
) -> dict[str, Any]:
    """Return differences of models from people and cross-image, and their normalised scores.

    Arrays are (image or draw, metric, source); models are the first sources.
    """
    others = [sources.index("human"), sources.index("cross-image")]

    def minus(values: np.ndarray) -> np.ndarray:
        """Return (..., model, metric, against)."""
        own = np.moveaxis(values[..., :n_models], -1, -2)[..., None]
        return own - values[..., None, :, others]

    differences = minus(score_)
    p = sign_flips(differences, n_permutations, seed)
    low, high = interval(minus(draws), confidence)
    means = mean(score_)

    def normalised(values: np.ndarray) -> np.ndarray:
        """Return (..., model, metric)."""
        person, cross = (values[..., None, :, at] for at in others)
        own = np.moveaxis(values[..., :n_models], -1, -2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (own - cross) / (person - cross)

    n_low, n_high = interval(normalised(draws), confidence)
    dims = ("model", "metric", "against")
    return {
        "difference": (dims, mean(differences)),
        "difference_low": (dims, low),
        "difference_high": (dims, high),
        "p": (dims, p),
        "p_holm": (dims, np.stack([holm(each) for each in p])),
        "normalised": (dims[:2], normalised(means)),
        "normalised_low": (dims[:2], n_low),
        "normalised_high": (dims[:2], n_high),
    }


def comparison_table(result: "xr.Dataset") -> "pd.DataFrame":
    """Return the comparison as one row a metric, for a file or a page.

    Parameters
    ----------
    result : xarray.Dataset
        From `compare`, of one model or none; one of several is ``result.sel(model=...)``.

    Returns
    -------
    pandas.DataFrame
        Indexed by metric: the mean of every source, intervals of model and human, best
        observers, normalised score, differences with adjusted p, separation.
    """
    columns: dict[str, Any] = {}
    for source in result["source"].values.tolist():
        at = result.sel(source=source)
        columns[source] = at["mean"]
        if source in ("model", "human"):
            columns[f"{source} low"], columns[f"{source} high"] = at["low"], at["high"]
            columns[f"{source} best observer"] = at["best_mean"]
    if "normalised" in result:
        for name in ("normalised", "normalised_low", "normalised_high"):
            columns[name.replace("_", " ")] = result[name]
        for other in result["against"].values.tolist():
            columns[f"model − {other}"] = result["difference"].sel(against=other)
            columns[f"p (Holm) against {other}"] = result["p_holm"].sel(against=other)
    columns["separation"] = result["separation"]
    columns["pairs undefined"] = result["n_undefined"].max("source")
    import pandas as pd

    return pd.DataFrame(
        {name: np.asarray(values) for name, values in columns.items()},
        index=pd.Index(result["metric"].values, name="metric"),
    )
