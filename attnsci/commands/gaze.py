"""``attnsci compare``, ``attnsci gaze`` and ``attnsci scanpath``: a frozen dataclass each.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from attnsci.commands.files import Dataset, FileOptions, chosen_scanpaths, pictures_of
from attnsci.files import claim


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
        from attnsci.commands.comparison import compare_files

        with claim(self.out):
            print(compare_files(**vars(self)).read_text(encoding="utf-8"))
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
        with claim(self.target):
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
        from attnsci.plotting.player import write_player

        scanpaths = chosen_scanpaths(self.file, self.dataset, self.files, self.image, self.observer)
        pictures = pictures_of(scanpaths, self.images, self.dataset)
        title = f"Scanpaths: {self.dataset or self.file}"
        with claim(self.out):
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
        from attnsci.commands.comparison import draw_image

        scanpaths = chosen_scanpaths(
            self.file, self.dataset, self.files, (self.image,), self.observer
        )
        pictures = pictures_of(scanpaths, self.images, self.dataset)
        with claim(self.out):
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
        from attnsci.commands.returns import measure_returns

        with claim(self.out):
            print(measure_returns(**vars(self)).read_text(encoding="utf-8"))
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
