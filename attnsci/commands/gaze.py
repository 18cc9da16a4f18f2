"""``attnsci compare``, ``attnsci gaze`` and ``attnsci scanpath``: a frozen dataclass each.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from attnsci.errors import InvalidInput
from attnsci.files import claim
from attnsci.geometry import Viewing

if TYPE_CHECKING:
    import xarray as xr

Dataset = Literal["osie", "eyecrowd"]
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


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare a model's fixations with people's, beside the human ceiling and four baselines.

    Both files are tables (image, observer, fixation, x, y, duration in seconds) or any other
    format that attnsci reads. Writes results.md, the table, scores by image and figures.
    """

    model: tyro.conf.Positional[Path | None] = None
    """The model's scanpaths."""
    human: tyro.conf.Positional[Path | None] = None
    """The people's scanpaths; or --dataset."""
    dataset: Dataset | None = None
    """Compare with these people in place of a file."""
    split: Literal["all", "test70"] = "all"
    """Images of OSIE: all 700, or the 70 that scanpath-prediction papers test on."""
    baseline_only: bool = False
    """No model: print the ceiling and the baselines of the people."""
    metrics: tuple[str, ...] = ()
    """Metrics (attnsci scanpath metrics lists them); those of the protocol, if not given."""
    protocol: Literal["headline", "chen2021"] = "headline"
    """Published settings; chen2021 also brings coordinates to 320x240."""
    files: Annotated[FileOptions, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=FileOptions
    )
    max_fixations: int | None = None
    """Cut all scanpaths to this length."""
    drop_first: int = 0
    """Leave out as many first fixations, 1 where the first was forced to the centre."""
    outside: Literal["keep", "drop", "clip"] = "keep"
    """What to do with fixations outside their image."""
    out: Path = Path("comparison")
    """Receives results.md, tables, figures and the scores."""
    seed: int = 0
    """Decides baselines and resampling."""
    n_permutations: int = 10_000
    """Sign flips over images, for p."""
    n_bootstrap: int = 2_000
    """Resamples of images and observers, for intervals."""

    def run(self) -> None:
        """Compare, write everything and print the table."""
        from attnsci.commands.comparison import run_comparison

        with claim(self.out):
            print(run_comparison(self).read_text(encoding="utf-8"))
        print(f"Figures, numbers and scores: {self.out}")


@dataclasses.dataclass(frozen=True)
class GazeInfo:
    """Say what a file of fixations holds, and what looks wrong in it."""

    file: tyro.conf.Positional[Path]
    """File or folder."""
    files: Annotated[FileOptions, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=FileOptions
    )

    def run(self) -> None:
        """Print the report."""
        from attnsci.scanpaths.report import describe

        scanpaths = self.files.read(self.file)
        print(f"{self.file}: {scanpaths.attrs.get('format', 'unknown format')}")
        print(describe(scanpaths).to_string())


@dataclasses.dataclass(frozen=True)
class GazeConvert:
    """Write a file of fixations in another format, which the new name's ending tells."""

    file: tyro.conf.Positional[Path]
    """What to read."""
    target: tyro.conf.Positional[Path]
    """What to write."""
    to: str | None = None
    """Format to write; by the ending of the name, if not given."""
    files: Annotated[FileOptions, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=FileOptions
    )

    def run(self) -> None:
        """Convert it and say what was written."""
        from attnsci.scanpaths.formats.io import write_scanpaths

        scanpaths = self.files.read(self.file)
        written = write_scanpaths(scanpaths, self.target, self.to)
        print(
            f"{self.target}: {scanpaths.sizes['scanpath']} scanpaths, "
            f"{int(scanpaths['n_fixations'].sum())} fixations, as {written}"
        )


@dataclasses.dataclass(frozen=True)
class GazeFormats:
    """List the formats that are read and written."""

    def run(self) -> None:
        """Print the table."""
        from attnsci.scanpaths.formats.io import formats

        print(formats().to_string(index=False))


GAZE = {"info": GazeInfo, "convert": GazeConvert, "formats": GazeFormats}
"""Under ``attnsci gaze``."""


@dataclasses.dataclass(frozen=True)
class ScanpathView:
    """Write one HTML page that replays scanpaths over their images; open it in a browser."""

    file: tyro.conf.Positional[Path | None] = None
    """Scanpaths; or --dataset."""
    dataset: Dataset | None = None
    """Show these people in place of a file."""
    images: Path | None = None
    """Folder with the images, named as in the file."""
    image: tuple[str, ...] = ()
    """Images to show; all, if not given."""
    observer: tuple[str, ...] = ()
    """Observers to show; all, if not given."""
    foveate: bool = False
    """Begin with the image blurred away from the fixation; the page can switch it."""
    files: Annotated[FileOptions, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=FileOptions
    )
    out: Path = Path("scanpaths.html")
    """The page."""

    def run(self) -> None:
        """Write the page and say where it is."""
        from attnsci.commands.comparison import chosen_scanpaths, pictures_of
        from attnsci.plotting.player import write_player

        scanpaths = chosen_scanpaths(self.file, self.dataset, self.files, self.image, self.observer)
        pictures = pictures_of(scanpaths, self.images, self.dataset)
        title = f"Scanpaths: {self.dataset or self.file}"
        print(write_player(scanpaths, pictures, self.out, title=title, foveate=self.foveate))


@dataclasses.dataclass(frozen=True)
class ScanpathPlot:
    """Draw the scanpaths and the fixation density of one image."""

    file: tyro.conf.Positional[Path | None] = None
    """Scanpaths; or --dataset."""
    image: Annotated[str, tyro.conf.arg(help="The image, named as in the file.")] = tyro.MISSING
    dataset: Dataset | None = None
    """Show these people in place of a file."""
    images: Path | None = None
    """Folder with the images, named as in the file."""
    observer: tuple[str, ...] = ()
    """Observers to show; all, if not given."""
    files: Annotated[FileOptions, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=FileOptions
    )
    out: Path = Path("scanpaths")
    """The figure, written as OUT.svg and OUT.png."""

    def run(self) -> None:
        """Draw it and say where it is."""
        from attnsci.commands.comparison import chosen_scanpaths, draw_image, pictures_of

        scanpaths = chosen_scanpaths(
            self.file, self.dataset, self.files, (self.image,), self.observer
        )
        pictures = pictures_of(scanpaths, self.images, self.dataset)
        for path in draw_image(scanpaths, self.image, pictures, self.out):
            print(path)


@dataclasses.dataclass(frozen=True)
class ScanpathReturns:
    """Measure returns to earlier fixations against nine baselines: the sign depends on which."""

    file: tyro.conf.Positional[Path | None] = None
    """Scanpaths; or --dataset."""
    dataset: Dataset | None = None
    """Measure these people in place of a file."""
    observer: tuple[str, ...] = ()
    """Observers to measure; all, if not given."""
    radius_px: float | None = None
    """A return lands nearer than this; one degree, if not given."""
    lags: int = 8
    """Longest lag in fixations; 1 is staying, 2 the return after one fixation elsewhere."""
    n_permutations: int = 200
    """Draws of the baselines that are permutations of saccades."""
    files: Annotated[FileOptions, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=FileOptions
    )
    out: Path = Path("returns")
    """Receives results.md, the table and the figures."""
    seed: int = 0
    """Of every draw."""

    def run(self) -> None:
        """Measure, write everything and print the table."""
        from attnsci.commands.returns import run_returns

        with claim(self.out):
            print(run_returns(self).read_text(encoding="utf-8"))
        print(f"Figures and numbers: {self.out}")


@dataclasses.dataclass(frozen=True)
class ScanpathMetrics:
    """List the metrics with what they need, their range and their settings."""

    def run(self) -> None:
        """Print the table."""
        from attnsci.scanpaths.map_scores import MAP_METRICS
        from attnsci.scanpaths.pairs import metrics

        table = metrics()
        shown = ["orientation", "shortest", "durations", "symmetric", "settings", "summary"]
        print(table[shown].to_string())
        print("\nFixations on the map of the people (similarity; need --px-per-deg):")
        for name, summary in MAP_METRICS.items():
            print(f"{name:5s} {summary}")


SCANPATH = {
    "view": ScanpathView,
    "plot": ScanpathPlot,
    "returns": ScanpathReturns,
    "metrics": ScanpathMetrics,
}
"""Under ``attnsci scanpath``, beside what the families bring."""
