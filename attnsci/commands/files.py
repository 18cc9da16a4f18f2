"""Where scanpaths and their pictures come from: the flags that commands on gaze share."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attnsci.errors import InvalidInput
from attnsci.geometry import Viewing

if TYPE_CHECKING:
    import xarray as xr

Dataset = Literal["osie", "eyecrowd"]
PICTURE_SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".bmp", ".tif")
Unit = Literal["s", "ms"]


@dataclasses.dataclass(frozen=True)
class FileOptions:
    """How files of fixations are read."""

    image_size: str | None = None
    """WIDTHxHEIGHT of the images in pixels, such as 800x600; some formats hold it themselves."""
    px_per_deg: float | None = None
    """Pixels in one degree of visual angle; some metrics and all radii need it."""
    format: str | None = None
    """Format of the files (attnsci gaze formats); found out by looking, if not given."""
    columns: tuple[str, ...] = ()
    """For tables, our column and yours: x=CURRENT_FIX_X y=CURRENT_FIX_Y observer=SUBJECT."""
    duration_unit: Unit | None = None
    """For tables, unit of duration and onset: s (the default) or ms."""

    def read(self, path: Path) -> "xr.Dataset":
        """Return the scanpaths of a file."""
        from attnsci.scanpaths.formats.io import read_scanpaths

        options: dict[str, Any] = {}
        if self.columns:
            options["columns"] = dict(_pair(text) for text in self.columns)
        if self.duration_unit:
            options["duration_unit"] = self.duration_unit
        return read_scanpaths(path, self.viewing(), self.format, **options)

    def viewing(self) -> Viewing | None:
        """Return the geometry that the flags give, if they do."""
        if self.image_size is None:
            return None
        width, _, height = self.image_size.lower().partition("x")
        try:
            return Viewing(float(width), float(height), px_per_deg=self.px_per_deg)
        except ValueError as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(
                f"--image-size must be WIDTHxHEIGHT such as 800x600; got {self.image_size!r}."
            ) from None


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise InvalidInput(f"--columns takes OURS=YOURS such as x=CURRENT_FIX_X; got {text!r}.")
    return ours, theirs


def read_people(
    file: Path | None, dataset: str | None, files: FileOptions, split: str = "all"
) -> "xr.Dataset":
    """Return people's scanpaths, of a file or of a data set.

    Raises
    ------
    InvalidInput
        If a split is asked for that the data set does not have.
    """
    if split != "all" and dataset != "osie":
        raise InvalidInput(f"--split {split} is of --dataset osie.")
    if dataset is None:
        assert file is not None
        return files.read(file)
    from attnsci.data import load_eyecrowd, load_osie

    return (
        load_osie(split=None if split == "all" else split) if dataset == "osie" else load_eyecrowd()
    )


def chosen_scanpaths(
    file: Path | None,
    dataset: str | None,
    files: FileOptions,
    images: Sequence[str],
    observers: Sequence[str],
) -> "xr.Dataset":
    """Return the scanpaths that a command asks for."""
    if (file is None) == (dataset is None):
        raise InvalidInput("Give a file of scanpaths, or --dataset.")
    from attnsci.scanpaths.edit import select

    scanpaths = read_people(file, dataset, files)
    wanted = {"image": list(images), "observer": list(observers)}
    return select(scanpaths, **{name: each for name, each in wanted.items() if each})


def pictures_of(
    scanpaths: "xr.Dataset", folder: Path | None, dataset: str | None
) -> dict[str, Path] | None:
    """Return the picture of every image, None without a folder.

    Raises
    ------
    InvalidInput
        If the folder lacks one.
    """
    names = sorted(set(scanpaths["image"].to_numpy().tolist()))
    if folder is None and dataset == "osie":
        from attnsci.data.gaze import osie_stimulus_paths

        known = osie_stimulus_paths()
        missing = [name for name in names if name not in known]
        if missing:
            raise InvalidInput(
                f"The picture of {missing[0]!r} is not at hand ({len(known)} are). Choose others "
                "by --image, or give a folder by --images."
            )
        return {name: known[name] for name in names}
    if folder is None:
        return None
    found = {}
    for name in names:
        places = [folder / f"{name}{suffix}" for suffix in PICTURE_SUFFIXES]
        there = [place for place in places if place.is_file()]
        if not there:
            raise InvalidInput(
                f"{folder} has no picture {name} ({', '.join(PICTURE_SUFFIXES[1:])})."
            )
        found[name] = there[0]
    return found
