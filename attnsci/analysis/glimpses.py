"""What each glimpse brings: errors, information, where the glimpses fall, what gaze is worth.

Logits are (stimulus, glimpse, class), one readout after each glimpse, whoever made it: the
model's own head (which may be trained for the last glimpse only, and then says little of what
the earlier ones brought), a head for each, or a probe.
"""

import numpy as np
import xarray as xr

from attnsci.analysis.eccentricity import xy_of
from attnsci.analysis.gaze_fields import Size, frame_of, gaze_cells
from attnsci.checks import check_dims, check_finite, check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import bootstrap_mean, check_confidence
from attnsci.statistics.proportions import accuracy, base_rate, check_answers
from attnsci.statistics.significance import mcnemar

LN2 = float(np.log(2))


def right(logits: xr.DataArray, label: xr.DataArray) -> xr.DataArray:
    """Return whether the class of the largest logit is the label.

    Parameters
    ----------
    logits : xarray.DataArray
        Dimensions ``stimulus``, ``class`` and any others. Classes are named by the coordinate
        ``class``, or count from 0.
    label : xarray.DataArray
        Class of each stimulus.

    Returns
    -------
    xarray.DataArray, bool
        Without ``class``.

    Raises
    ------
    InvalidInput
        If dimensions differ, a logit is not finite, or a label is no class.

    Examples
    --------
    >>> logits = xr.DataArray([[0.0, 2.0], [1.0, 0.0]], dims=("stimulus", "class"))
    >>> right(logits, xr.DataArray([1, 1], dims="stimulus")).values
    array([ True, False])
    """
    codes = _codes(logits, label)
    return (logits.argmax("class") == codes).drop_attrs().rename("correct")


def _codes(logits: xr.DataArray, label: xr.DataArray) -> xr.DataArray:
    """Return the place along ``class`` of each stimulus's label."""
    check_dims("logits", logits, ["stimulus", "class"])
    check_shape("label", label, (logits.sizes["stimulus"],))
    check_finite("logits", logits)
    n = logits.sizes["class"]
    names = logits["class"].values if "class" in logits.coords else np.arange(n)
    same = label.values[:, None] == names
    if not same.any(1).all():
        stray = label.values[~same.any(1)][0].item()
        raise InvalidInput(
            f"label {stray!r} is none of the {n} classes {names.tolist()}; name them by the "
            "coordinate class, or count labels from 0."
        )
    return xr.DataArray(same.argmax(1), dims="stimulus")


def error_by_glimpse(
    logits: xr.DataArray, label: xr.DataArray, *, confidence: float = 0.95
) -> xr.Dataset:
    """Return the share of wrong answers after each glimpse.

    Parameters
    ----------
    logits, label
        As `right`; dimensions other than ``stimulus`` and ``class`` (glimpse, model) stay.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``error``, ``low``, ``high`` (Wilson), ``n``; ``attrs["chance"]`` is the error of always
        naming the most frequent class.

    Raises
    ------
    InvalidInput
        As `right`.

    Examples
    --------
    >>> logits = xr.DataArray([[[0.0, 2.0], [1.0, 0.0]]], dims=("stimulus", "glimpse", "class"))
    >>> error_by_glimpse(logits, xr.DataArray([0], dims="stimulus"))["error"].values
    array([1., 0.])
    """
    found = accuracy(~right(logits, label), confidence=confidence)
    renamed = found.rename(accuracy="error")
    return renamed.assign_attrs(chance=1 - base_rate(label))


def information_gain(
    logits: xr.DataArray,
    label: xr.DataArray,
    *,
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return how many bits each glimpse takes off surprise and off uncertainty.

    Parameters
    ----------
    logits, label
        As `right`, with dimension ``glimpse``.
    seed, n_resamples, confidence
        Of the bootstrap over stimuli.

    Returns
    -------
    xarray.Dataset
        Dimension ``measure``: "cross_entropy", the surprise at the label, and "entropy", the
        model's own uncertainty. ``bits``, ``low``, ``high`` (measure, glimpse, ...) after each
        glimpse; ``gain``, ``gain_low``, ``gain_high``: how much less than before it, paired by
        stimulus; before the first glimpse all classes are equal, log2(classes) bits. A gain in
        entropy without one in cross-entropy is confidence, not knowledge.

    Raises
    ------
    InvalidInput
        As `right`, or if ``glimpse`` is missing.

    Examples
    --------
    >>> logits = xr.DataArray([[[0.0, 0.0], [9.0, -9.0]]] * 2,
    ...                       dims=("stimulus", "glimpse", "class"))
    >>> found = information_gain(logits, xr.DataArray([0, 0], dims="stimulus"))
    >>> found["gain"].sel(measure="cross_entropy").values.round(3)
    array([0., 1.])
    """
    from scipy.special import log_softmax

    check_dims("logits", logits, ["stimulus", "glimpse", "class"])
    codes = _codes(logits, label)
    moved = logits.transpose("stimulus", "glimpse", ..., "class").astype(np.float64)
    log_p = moved.copy(data=log_softmax(moved.values, -1)).drop_attrs()
    p = moved.copy(data=np.exp(log_p.values)).drop_attrs()
    surprise = -log_p.isel({"class": codes}) / LN2
    uncertainty = -(p * log_p).sum("class") / LN2
    names = xr.DataArray(["cross_entropy", "entropy"], dims="measure", name="measure")
    bits = xr.concat(
        [surprise.drop_vars("class", errors="ignore"), uncertainty],
        names,
        coords="minimal",
        compat="override",
    ).transpose("stimulus", "measure", "glimpse", ...)
    prior = float(np.log2(logits.sizes["class"]))
    before = bits.shift(glimpse=1, fill_value=prior)
    parts = {
        name: bootstrap_mean(values, seed=seed, n_resamples=n_resamples, confidence=confidence)
        for name, values in (("bits", bits), ("gain", before - bits))
    }
    return xr.Dataset(
        {
            "bits": parts["bits"]["estimate"],
            "low": parts["bits"]["low"],
            "high": parts["bits"]["high"],
            "gain": parts["gain"]["estimate"],
            "gain_low": parts["gain"]["low"],
            "gain_high": parts["gain"]["high"],
        },
        attrs={**parts["bits"].attrs, "prior_bits": prior, "units": "bits"},
    )


def fixation_entropy(
    location: xr.DataArray, size_px: Size, n_bins: int = 8, *, confidence: float = 0.95
) -> xr.Dataset:
    """Return how widely the glimpses of each ordinal are spread over the images.

    Parameters
    ----------
    location : xarray.DataArray
        Dimensions ``stimulus``, ``coordinate`` ("x", "y") and any others (glimpse), pixels.
    size_px : float or tuple of float
        Side of the image, or width and height.
    n_bins : int
        Cells of the map along each side.
    confidence : float

    Returns
    -------
    xarray.Dataset
        Over the other dimensions: ``bits``, the entropy of the share of stimuli by cell,
        corrected for its bias in small samples (Miller & Madow: + (cells in use − 1) / 2N nats)
        and at most log2(cells); ``low``, ``high``, its interval by the normal approximation;
        ``plug_in``, without correction; ``n``; ``attrs["maximum"]``, log2(cells). Locations off
        the image count in its nearest cell.

    Raises
    ------
    InvalidInput
        If dimensions are missing or a location is not finite.

    References
    ----------
    Miller GA (1955). Note on the bias of information estimates. Information Theory in
    Psychology: Problems and Methods, 95–100.

    Examples
    --------
    >>> place = xr.DataArray([[[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [9.0, 9.0]]],
    ...                      {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate"))
    >>> fixation_entropy(place, 10, n_bins=2)["plug_in"].values
    array([0., 1.])
    """
    from scipy.special import ndtri

    width, height = frame_of(size_px)
    check_dims("location", location, ["stimulus", "coordinate"])
    x, y = xy_of("location", location)
    inside = xr.concat([x.clip(0, width), y.clip(0, height)], "coordinate", coords="minimal")
    cells = gaze_cells(inside.assign_coords(coordinate=["x", "y"]), size_px, n_bins)
    codes = cells.transpose(..., "stimulus")
    n = codes.sizes["stimulus"]
    flat = codes.values.reshape(-1, n)
    check_positive("stimuli", n)
    counts = np.bincount(
        (flat + n_bins**2 * np.arange(len(flat))[:, None]).ravel(),
        minlength=n_bins**2 * len(flat),
    ).reshape(len(flat), -1)
    share = counts / n
    log = np.log2(np.where(share > 0, share, 1))
    plug_in = np.maximum(-(share * log).sum(1), 0)
    maximum = 2 * float(np.log2(n_bins))
    corrected = np.minimum(plug_in + ((counts > 0).sum(1) - 1) / (2 * n * LN2), maximum)
    # Delta method: the variance of −log2 p over stimuli, over their number.
    error = np.sqrt(np.maximum((share * log**2).sum(1) - plug_in**2, 0) / n)
    reach = float(ndtri(0.5 + check_confidence(confidence) / 2)) * error
    template = codes.isel(stimulus=0, drop=True).astype(np.float64)
    parts = {
        "bits": corrected,
        "low": np.maximum(corrected - reach, 0),
        "high": np.minimum(corrected + reach, maximum),
        "plug_in": plug_in,
    }
    return xr.Dataset(
        {name: template.copy(data=part.reshape(template.shape)) for name, part in parts.items()},
        attrs={
            "n": n,
            "maximum": maximum,
            "confidence": confidence,
            "method": "normal approximation",
            "n_bins": n_bins,
        },
    )


def value_of_gaze(
    own: xr.DataArray,
    swapped: xr.DataArray,
    *,
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return what it is worth to look where one looks: accuracy(own) − accuracy(swapped).

    Parameters
    ----------
    own, swapped : xarray.DataArray, bool
        Whether each stimulus was answered rightly when the model looked along its own path, and
        along that of another image (or of another policy); ``stimulus`` and any others.
    seed, n_resamples, confidence
        Of the paired bootstrap over stimuli.

    Returns
    -------
    xarray.Dataset
        Over the other dimensions: ``own``, ``swapped``, ``difference`` with ``low`` and
        ``high``, ``p_value`` (exact McNemar). ``attrs["n"]`` stimuli.

    Raises
    ------
    InvalidInput
        If the two differ in dimensions or stimuli, or hold anything but right and wrong.

    Examples
    --------
    >>> own = xr.DataArray([1, 1, 1, 0], dims="stimulus")
    >>> float(value_of_gaze(own, xr.DataArray([0, 1, 0, 0], dims="stimulus"))["difference"])
    0.5
    """
    first, second = check_answers("own", own), check_answers("swapped", swapped)
    check_dims("own", first, ["stimulus"])
    if set(first.dims) != set(second.dims):
        raise InvalidInput(
            f"own has the dimensions {', '.join(map(str, first.dims))} and swapped "
            f"{', '.join(map(str, second.dims))}; they must be paired."
        )
    first, second = xr.align(first, second.transpose(*first.dims), join="exact")
    found = bootstrap_mean(
        first - second, seed=seed, n_resamples=n_resamples, confidence=confidence
    )
    p_value = xr.apply_ufunc(
        lambda a, b: mcnemar(a, b).p_value,
        first,
        second,
        input_core_dims=[["stimulus"], ["stimulus"]],
        vectorize=True,
    )
    return xr.Dataset(
        {
            "own": first.mean("stimulus"),
            "swapped": second.mean("stimulus"),
            "difference": found["estimate"],
            "low": found["low"],
            "high": found["high"],
            "p_value": p_value,
        },
        attrs=dict(found.attrs),
    )
