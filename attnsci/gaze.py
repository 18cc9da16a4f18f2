"""The scanpath container: built from tables, arrays and dictionaries, and checked.

An `xarray.Dataset` of dims ``scanpath`` and ``fixation`` with ``x`` and ``y`` in stimulus
pixels and ``duration`` in seconds (NaN where there is none), padded with NaN after
``n_fixations``; coordinates ``image`` and ``observer`` (text) on ``scanpath``; the `Viewing` as
JSON in the attributes. Coordinates stay as the source has them: every correction is a call of
its own, and is remembered in ``attrs["steps"]``.
"""

import json
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci import numerals
from attnsci.checks import check_option
from attnsci.errors import InvalidInput
from attnsci.geometry import Viewing

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

KEYS = ("image", "observer", "task", "sample")
"""Coordinates that name a scanpath, the last two optional."""
TAKEN_OUT = " If fixations were taken out on purpose, give gaps='renumber'."
FARTHEST_PX = 1e6
"""Farther from the image, or than ten times its sides, no display reaches."""
DAY_S = 86_400.0
MOST_CELLS = 2**27
"""Scanpaths times the longest of them: a gigabyte an array."""
NO_NUMBERS = (bool, np.bool_, str, bytes, complex, np.complexfloating)
UNITS = {"s": 1.0, "ms": 1e-3}
SIDES = ("width_px", "height_px")
COLUMNS = (
    *KEYS, "fixation", "x", "y", "duration", "onset", "duration_ms", "onset_ms", *SIDES,
)  # fmt: skip


def from_frame(
    frame: "pd.DataFrame",
    viewing: Viewing,
    *,
    columns: Mapping[str, str] | None = None,
    duration_unit: str = "s",
    gaps: str = "raise",
) -> "xr.Dataset":
    """Return scanpaths from a table with one row a fixation.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``image``, ``observer``, ``fixation`` (consecutive within a scanpath), ``x``,
        ``y``; optional ``duration``, ``onset``, ``task``, ``sample`` and, on every row of a
        scanpath, ``width_px``, ``height_px``. ``duration_ms`` and ``onset_ms`` are read as
        milliseconds.
    viewing : Viewing
        Geometry.
    columns : mapping of str to str, optional
        Our name to the table's: ``{"x": "CURRENT_FIX_X"}``.
    duration_unit : {"s", "ms"}
        Of the columns ``duration`` and ``onset``.
    gaps : {"raise", "renumber"}
        What to do where numbers of fixations are left out, as when blinks were taken out:
        "renumber" counts them anew and says in how many scanpaths.

    Returns
    -------
    xarray.Dataset
        Scanpaths in the order in which the table first names them.

    Raises
    ------
    InvalidInput
        If a column is missing, a cell is not a number, a fixation is doubled or left out, or a
        value cannot be; the message names the row.

    Warns
    -----
    UserWarning
        If fixations are numbered anew.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image": "a", "observer": 1, "fixation": [0, 1],
    ...                       "x": [10.0, 20.0], "y": [5.0, 5.0], "duration": [0.2, 0.3]})
    >>> from_frame(table, Viewing(80, 60)).sizes["fixation"]
    2
    """
    import pandas as pd

    check_option("duration_unit", duration_unit, UNITS)
    check_option("gaps", gaps, ("raise", "renumber"))
    named = _renamed(frame, columns or {})
    if named.empty:
        raise InvalidInput("The table of fixations has no rows.")
    keys = [key for key in KEYS if key in named]
    for key in keys:
        _no_missing(named, key)
    scale = {"duration": UNITS[duration_unit], "onset": UNITS[duration_unit]}
    for name in ("duration", "onset"):
        if f"{name}_ms" in named:
            if name in named:
                raise InvalidInput(f"The table has both {name} and {name}_ms; keep one of them.")
            named = named.rename(columns={f"{name}_ms": name})
            scale[name] = UNITS["ms"]
    numbers = [n for n in ("fixation", "x", "y", "duration", "onset") if n in named]
    values = {name: _numbers(named, name) for name in numbers}
    for name in set(numbers) & {name for name, factor in scale.items() if factor != 1}:
        # Rounded, since 246 ms times .001 is not the double nearest to .246.
        values[name] = np.round(values[name] * scale[name], 12)

    text = {key: as_text(named[key].to_numpy()) for key in keys}
    groups = pd.DataFrame(text).groupby(keys, sort=False).ngroup().to_numpy()
    order = np.lexsort((values["fixation"], groups))
    groups = groups[order]
    lengths = np.bincount(groups)
    starts = np.cumsum(lengths) - lengths
    index = values["fixation"][order]
    steps: list[str] = []
    if gaps == "renumber":
        index = _renumbered(index, groups, starts, steps)
    _check_index(named, index, groups, starts, order)
    _check_padding(len(lengths), int(lengths.max()), len(order))
    column = np.arange(len(order)) - np.repeat(starts, lengths)

    def padded(name: str) -> np.ndarray:
        out = np.full((len(lengths), lengths.max()), np.nan)
        out[groups, column] = values[name][order]
        return out

    first = order[starts]
    coords = {key: text[key][first] for key in keys}
    for side in SIDES:
        if side in named:
            coords[side] = _of_scanpath(named, side, groups, order)[starts]
    arrays = {name: padded(name) for name in numbers if name != "fixation"}
    arrays.setdefault("duration", np.full_like(arrays["x"], np.nan))
    found = validate(_dataset(arrays, lengths, coords, viewing))
    return found.assign_attrs(steps=json.dumps(steps))


def from_arrays(
    x: Any,
    y: Any,
    duration: Any = None,
    *,
    image: Sequence[Any],
    observer: Sequence[Any],
    viewing: Viewing,
    n_fixations: Any = None,
    **coords: Sequence[Any],
) -> "xr.Dataset":
    """Return scanpaths from arrays.

    Parameters
    ----------
    x, y : array-like (N, F), or N sequences of any lengths
        Stimulus pixels; in an array NaN stands after the end of a scanpath.
    duration : the same, optional
        Seconds.
    image, observer : sequence of length N
        Names; one text serves all.
    viewing : Viewing
        Geometry.
    n_fixations : array-like (N,), optional
        Lengths, where rows of the arrays are padded with something else than NaN.
    **coords
        More coordinates of length N: ``task``, ``sample``, ``width_px``, ``height_px`` …

    Raises
    ------
    InvalidInput
        If lengths differ, or a value cannot be.

    Examples
    --------
    >>> paths = from_arrays([[10, 20], [30]], [[5, 5], [9]], image=["a", "b"], observer="model",
    ...                     viewing=Viewing(80, 60))
    >>> paths.n_fixations.values.tolist()
    [2, 1]
    """
    arrays = {"x": _padded("x", x), "y": _padded("y", y)}
    shape = arrays["x"].shape
    none = np.full(shape, np.nan)
    arrays["duration"] = none if duration is None else _padded("duration", duration)
    for name, values in arrays.items():
        if values.shape != shape:
            raise InvalidInput(f"x is {shape} and {name} {values.shape}; they must agree.")
    if n_fixations is None:
        given = ~(np.isnan(arrays["x"]) & np.isnan(arrays["y"]))
        lengths = (given * np.arange(1, shape[1] + 1)).max(axis=1, initial=0)
    else:
        lengths = np.asarray(n_fixations)
        if lengths.shape != shape[:1] or (lengths != np.floor(lengths)).any():
            raise InvalidInput(f"n_fixations must be {shape[0]} whole numbers; got {lengths}.")
        tail = np.arange(shape[1]) >= lengths[:, None]
        arrays = {name: np.where(tail, np.nan, values) for name, values in arrays.items()}
    names = {"image": image, "observer": observer, **coords}
    columns = {name: _column(name, values, shape[0]) for name, values in names.items()}
    return validate(_dataset(arrays, lengths, columns, viewing))


def from_dict(paths: Mapping[Any, Any], viewing: Viewing, observer: str = "model") -> "xr.Dataset":
    """Return scanpaths from ``{image: array}`` or ``{image: {observer: array}}``.

    Parameters
    ----------
    paths : mapping
        Arrays (F, 2) of x and y, or (F, 3) with durations in seconds.
    viewing : Viewing
        Geometry.
    observer : str
        Who looked, where the mapping does not say.

    Raises
    ------
    InvalidInput
        If an array has another shape, or a value cannot be.

    Examples
    --------
    >>> from_dict({"a": {"s1": [[10, 5, 0.2]]}}, Viewing(80, 60)).observer.values.tolist()
    ['s1']
    """
    rows = []
    for image, found in paths.items():
        each = found if isinstance(found, Mapping) else {observer: found}
        for name, values in each.items():
            array = _floats(f"The scanpath of observer {name!r} on image {image!r}", values)
            if array.size == 0:
                array = array.reshape(0, 3)
            if array.ndim != 2 or array.shape[1] not in (2, 3):
                raise InvalidInput(
                    f"The scanpath of observer {name!r} on image {image!r} has shape "
                    f"{array.shape}; it must be (fixations, 2) or (fixations, 3)."
                )
            rows.append((image, name, array))
    if not rows:
        raise InvalidInput("There are no scanpaths in the mapping.")
    none = np.nan
    return from_arrays(
        [array[:, 0] for *_, array in rows],
        [array[:, 1] for *_, array in rows],
        [array[:, 2] if array.shape[1] == 3 else [none] * len(array) for *_, array in rows],
        image=[image for image, *_ in rows],
        observer=[name for _, name, _ in rows],
        viewing=viewing,
    )


def viewing_of(scanpaths: "xr.Dataset") -> Viewing:
    """Return the geometry that the set carries.

    Raises
    ------
    InvalidInput
        If it carries none.
    """
    if "viewing" not in scanpaths.attrs:
        raise InvalidInput("The scanpaths carry no Viewing; build them with attnsci.scanpaths.")
    return Viewing.from_json(scanpaths.attrs["viewing"])


def frame_sizes(scanpaths: "xr.Dataset") -> tuple[np.ndarray, np.ndarray]:
    """Return the width and the height (N,) in pixels of the image under each scanpath."""
    viewing, n = viewing_of(scanpaths), scanpaths.sizes["scanpath"]
    if "width_px" in scanpaths.coords:
        return scanpaths["width_px"].to_numpy(), scanpaths["height_px"].to_numpy()
    return np.full(n, float(viewing.width_px)), np.full(n, float(viewing.height_px))


def validate(scanpaths: "xr.Dataset") -> "xr.Dataset":
    """Return the set if it keeps the contract of this module.

    Raises
    ------
    InvalidInput
        If something is missing, or a value cannot be; the message names image, observer and
        fixation of the first one.
    """
    for name in ("x", "y", "duration"):
        if name not in scanpaths or scanpaths[name].dims != ("scanpath", "fixation"):
            raise InvalidInput(f"Scanpaths need {name} of dims (scanpath, fixation).")
    for name in ("image", "observer", "n_fixations"):
        if name not in scanpaths.coords:
            raise InvalidInput(f"Scanpaths need the coordinate {name} on scanpath.")
    viewing_of(scanpaths)
    _check_sizes(scanpaths)
    x, y, duration = (scanpaths[name].to_numpy() for name in ("x", "y", "duration"))
    inside = np.arange(x.shape[1]) < scanpaths["n_fixations"].to_numpy()[:, None]
    has_duration = ~np.isnan(duration)
    lacking = inside & ~has_duration & has_duration.any(1, keepdims=True)
    tests = [
        ("has no finite coordinates", inside & ~(np.isfinite(x) & np.isfinite(y))),
        ("stands after the end of its scanpath", ~inside & ~np.isnan([x, y, duration]).all(0)),
        ("lies where no display is; is it a mark for missing data?", _beyond(scanpaths, x, y)),
        ("has a negative or infinite duration", (duration < 0) | np.isinf(duration)),
        ("lasts longer than a day; durations are seconds", duration > DAY_S),
        ("lacks its duration, which others of the scanpath have", lacking),
    ]
    if "onset" in scanpaths:
        onset = scanpaths["onset"].to_numpy()
        has_onset = ~np.isnan(onset)
        lacking = inside & ~has_onset & has_onset.any(1, keepdims=True)
        tests.append(("lacks its onset, which others of the scanpath have", lacking))
        tests.append(("has an infinite onset", np.isinf(onset)))
        back = np.zeros_like(inside)
        back[:, 1:] = inside[:, 1:] & (np.diff(onset, axis=1) < 0)
        tests.append(("begins before the one it follows", back))
        # Without onsets, a fixation twice is one that lasts on; with them, it is one row too many.
        twice = np.zeros_like(inside)
        fixations = np.stack([x, y, duration, onset])
        twice[:, 1:] = (np.diff(fixations, axis=2) == 0).all(0) & (duration[:, 1:] > 0)
        tests.append(("comes twice, with the same onset", twice))
    for what, bad in tests:
        if bad.any():
            row, fixation = np.argwhere(bad)[0]
            raise InvalidInput(
                f"Fixation {fixation} of {_name(scanpaths, row)} {what}: x = {x[row, fixation]}, "
                f"y = {y[row, fixation]}, duration = {duration[row, fixation]}; "
                f"{int(bad.sum())} such in all. Correct or remove them first."
            )
    _check_distinct(scanpaths)
    for key in ("image", "observer"):
        pairs = look_alikes(scanpaths[key].to_numpy())
        if pairs:
            one, other = pairs[0]
            raise InvalidInput(
                f"Two {key}s look the same and are not: {one!a} and {other!a} (an accent written "
                f"in two ways, a blank, or a sign that is not seen); {len(pairs)} such in all. "
                "Write one of them throughout."
            )
    return scanpaths


def look_alikes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that are printed alike and are not the same text.

    Two Unicode forms of an accent, blanks at the ends or doubled, and signs without a width.

    Examples
    --------
    >>> look_alikes(["a", "a ", "b"])
    [('a', 'a ')]
    """
    first: dict[str, str] = {}
    pairs = []
    for name in dict.fromkeys(map(str, names)):
        plain = " ".join(name.split())
        if not plain.isascii():
            plain = unicodedata.normalize("NFC", plain)
            plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Cf")
        if first.setdefault(plain, name) != name:
            pairs.append((first[plain], name))
    return pairs


def to_frame(scanpaths: "xr.Dataset") -> "pd.DataFrame":
    """Return one row a fixation: the scanpath's coordinates, ``fixation``, x, y, duration (s)."""
    import pandas as pd

    lengths = scanpaths["n_fixations"].to_numpy()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    column = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    names = [n for n in (*KEYS, "width_px", "height_px") if n in scanpaths.coords]
    coords = {name: scanpaths[name].to_numpy()[rows] for name in names}
    values = {
        name: scanpaths[name].to_numpy()[rows, column]
        for name in ("x", "y", "duration", "onset")
        if name in scanpaths
    }
    return pd.DataFrame({**coords, "fixation": column, **values})


# --- building ----------------------------------------------------------------------------------


def _dataset(
    arrays: Mapping[str, np.ndarray],
    lengths: np.ndarray,
    coords: Mapping[str, np.ndarray],
    viewing: Viewing,
) -> "xr.Dataset":
    import xarray as xr

    on_scanpath = {name: ("scanpath", values) for name, values in coords.items()}
    return xr.Dataset(
        {name: (("scanpath", "fixation"), values) for name, values in arrays.items()},
        coords={**on_scanpath, "n_fixations": ("scanpath", lengths.astype(np.int64))},
        attrs={"viewing": viewing.to_json(), "steps": "[]"},
    )


def _renamed(frame: "pd.DataFrame", columns: Mapping[str, str]) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(frame, pd.DataFrame) or frame.columns.nlevels > 1:
        raise InvalidInput(f"A pandas table with one row of names is needed, not {type(frame)}.")
    for ours in columns:
        check_option("a name in columns", ours, COLUMNS)
    absent = [theirs for theirs in columns.values() if theirs not in frame]
    if absent:
        raise InvalidInput(f"No column is called {absent[0]!r}; there are {list(frame.columns)}.")
    if len(set(columns.values())) < len(columns):
        raise InvalidInput(f"columns= takes one column for two names: {dict(columns)}.")
    named = frame.rename(columns={theirs: ours for ours, theirs in columns.items()})
    required = ("image", "observer", "fixation", "x", "y")
    missing = [name for name in required if name not in named]
    if missing:
        raise InvalidInput(
            f"The table lacks the column(s) {', '.join(missing)}; it has {list(frame.columns)}. "
            "Name yours by columns={'x': 'CURRENT_FIX_X', ...}."
        )
    doubled = named.columns[named.columns.duplicated()]
    if len(doubled):
        raise InvalidInput(f"Two columns are called {doubled[0]!r}.")
    return named.reset_index(drop=True)


def _no_missing(frame: "pd.DataFrame", column: str) -> None:
    bad = frame[column].isna().to_numpy()
    if bad.any():
        raise InvalidInput(f"Row {int(np.argmax(bad))} has no {column}; {int(bad.sum())} in all.")


def _numbers(frame: "pd.DataFrame", column: str) -> np.ndarray:
    kind = getattr(frame[column].dtype, "kind", "O")
    if kind in "mMcb":  # pandas would make numbers of them, in nanoseconds and of half a value
        raise InvalidInput(
            f"The column {column} holds {frame[column].dtype}; make it numbers, in the unit that "
            "you declare."
        )
    values, bad = numerals.parse(frame[column])
    if column in ("fixation", "x", "y", *SIDES):
        bad |= ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        cell = frame[column].iloc[[row]].tolist()[0]
        why = numerals.fault(cell) if np.isnan(values[row]) and isinstance(cell, str) else ""
        raise InvalidInput(
            f"Row {row} (counted from 0) has {column} = {cell!r}, which is no finite number"
            f"{why.removeprefix('no number')}; {int(bad.sum())} such rows in all."
        )
    return values


def _of_scanpath(
    frame: "pd.DataFrame", column: str, groups: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Return a column in `order`; raise if it changes within a scanpath."""
    values = _numbers(frame, column)[order]
    changed = (np.diff(groups) == 0) & (np.diff(values) != 0)
    if changed.any():
        row = order[1 + int(np.argmax(changed))]
        raise InvalidInput(
            f"Row {int(row)} (counted from 0) has another {column} than the fixation before it; a "
            "scanpath has one image."
        )
    return values


def _renumbered(
    index: np.ndarray, groups: np.ndarray, starts: np.ndarray, steps: list[str]
) -> np.ndarray:
    """Return numbers without gaps, doubled ones as they are; say how many scanpaths had gaps."""
    moves = np.diff(index, prepend=index[0])
    moves[starts] = 0
    begins = index[starts] - index[starts].min()
    with_gaps = np.unique(groups[(moves > 1) | (np.repeat(begins, np.bincount(groups)) > 0)])
    if not len(with_gaps):
        return index
    steps.append(f"numbered fixations anew in {len(with_gaps)} of {len(starts)} scanpaths")
    warnings.warn(
        f"Numbers of fixations are left out in {len(with_gaps)} of {len(starts)} scanpaths; they "
        "were counted anew.",
        UserWarning,
        stacklevel=3,
    )
    counted = np.cumsum(moves > 0)
    return counted - np.repeat(counted[starts], np.bincount(groups)).astype(float)


def _check_padding(n: int, longest: int, fixations: int) -> None:
    """Raise if one scanpath is so long that all others, padded to it, would fill the memory."""
    if n * longest > MOST_CELLS:
        raise InvalidInput(
            f"The longest of {n} scanpaths has {longest} fixations, all together {fixations}: "
            f"padded to it they would be {n * longest:,} cells. Is it one scanpath? Read what is "
            "so long apart from the others."
        )


def _check_index(
    frame: "pd.DataFrame",
    index: np.ndarray,
    groups: np.ndarray,
    starts: np.ndarray,
    order: np.ndarray,
) -> None:
    """Raise if a fixation is doubled or left out."""
    inner = np.ones(len(index), bool)
    inner[starts] = False
    step = np.diff(index, prepend=index[0] - 1)
    late = np.zeros(len(index), bool)
    late[starts] = index[starts] != index[starts].min()
    twice = inner & (step == 0)
    tests = [
        ("comes twice", twice),
        ("does not follow the one before it by 1", inner & (step != 1)),
        (f"is its first, and others begin at {index[starts].min():g}", late),
    ]
    for what, bad in tests:
        if bad.any():
            at = int(np.argmax(bad))
            row = frame.iloc[order[at]].astype(str)
            raise InvalidInput(
                f"Row {int(order[at])} (counted from 0): fixation {index[at]:g} of observer "
                f"{row['observer']!r} on image {row['image']!r} {what}; {int(bad.sum())} such "
                "rows in all. If one table holds several scanpaths of an observer on an image, "
                "number them in a column 'sample'." + ("" if bad is twice else TAKEN_OUT)
            )


def _check_sizes(scanpaths: "xr.Dataset") -> None:
    given = [side for side in SIDES if side in scanpaths.coords]
    if len(given) == 1:
        raise InvalidInput(f"The scanpaths have {given[0]} alone; both sides are needed, or none.")
    longest, n = scanpaths.sizes["fixation"], scanpaths["n_fixations"].to_numpy()
    tests = [("n_fixations", (n >= 0) & (n <= longest), f"0 to {longest}")]
    tests += [(side, scanpaths[side].to_numpy() > 0, "above 0") for side in given]
    for name, good, what in tests:
        if not good.all():
            row = int(np.argmin(good))
            raise InvalidInput(
                f"{name} is {scanpaths[name].to_numpy()[row]} under {_name(scanpaths, row)}; it "
                f"must be {what}."
            )


def _check_distinct(scanpaths: "xr.Dataset") -> None:
    import pandas as pd

    keys = {key: scanpaths[key].to_numpy() for key in KEYS if key in scanpaths.coords}
    doubled = pd.DataFrame(keys).duplicated().to_numpy()
    if doubled.any():
        raise InvalidInput(
            f"Two scanpaths are of {_name(scanpaths, int(np.argmax(doubled)))}. Tell them apart by "
            "a coordinate 'sample'."
        )


def _beyond(scanpaths: "xr.Dataset", x: np.ndarray, y: np.ndarray) -> np.ndarray:
    width, height = (np.maximum(FARTHEST_PX, 10 * side)[:, None] for side in frame_sizes(scanpaths))
    return (np.abs(x) > width) | (np.abs(y) > height)


def _name(scanpaths: "xr.Dataset", row: int) -> str:
    image, observer = (str(scanpaths[key].to_numpy()[row]) for key in ("image", "observer"))
    return f"observer {observer!r} on image {image!r}"


def _padded(name: str, values: Any) -> np.ndarray:
    if isinstance(values, np.ndarray) and values.dtype != object:
        array = _floats(name, values)
        if array.ndim != 2:
            raise InvalidInput(f"{name} must be (scanpaths, fixations); got {array.shape}.")
        return array
    rows = [_floats(f"{name} of scanpath {n}", row).ravel() for n, row in enumerate(values)]
    lengths = np.array([len(row) for row in rows], int)
    _check_padding(len(rows), int(lengths.max(initial=0)), int(lengths.sum()))
    out = np.full((len(rows), max(lengths, default=0)), np.nan)
    out[np.arange(out.shape[1]) < lengths[:, None]] = np.concatenate(rows) if rows else []
    return out


def _floats(name: str, values: Any) -> np.ndarray:
    try:
        given = isinstance(values, np.ndarray) and values.dtype != object
        array = values if given else np.asarray(values, object)
        kinds = {array.dtype.type} if given else {*map(type, array.ravel().tolist())}
        wrong = [kind for kind in kinds if issubclass(kind, NO_NUMBERS)]
        if wrong:  # numpy would take True for 1 and "1_0" for 10
            raise TypeError(f"it holds {wrong[0].__name__}")
        return np.array(array, float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} is no array of numbers: {error}.") from error


def _column(name: str, values: Any, n: int) -> np.ndarray:
    array = np.full(n, values) if np.ndim(values) == 0 else np.asarray(list(values))
    if array.shape != (n,):
        raise InvalidInput(f"{name} has {array.shape} values for {n} scanpaths.")
    return as_text(array) if name in KEYS else array


def as_text(values: np.ndarray) -> np.ndarray:
    """Return names as text, so that 1001 of one file and "1001" of another are one image."""
    if values.dtype.kind == "O" and len(values) and all(isinstance(v, int | float) for v in values):
        values = np.asarray(values.tolist())
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        whole = np.abs(values).max(initial=0) < 2**53
        values = values.astype(np.int64) if whole else values
    return values.astype(str)
