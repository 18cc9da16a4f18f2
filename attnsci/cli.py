"""The ``attnsci`` command: parse, call the library, turn errors into one line."""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import math
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from attnsci.commands.gaze import Compare, GazeCommand, ScanpathCommand
from attnsci.errors import AttnsciError, InvalidInput
from attnsci.families.object_attention import coco_commands
from attnsci.families.object_attention import commands as object_attention
from attnsci.families.object_attention.coco_recipes import PRESETS as COCO_PRESETS
from attnsci.families.ram import commands as ram
from attnsci.families.ram.dram_recipes import PRESETS as DRAM_PRESETS
from attnsci.families.ram.recipes import PRESETS as RAM_PRESETS
from attnsci.families.what_where import commands as what_where
from attnsci.families.what_where.recipes import PRESETS as NOISY_PRESETS
from attnsci.families.what_where.where_recipes import PRESETS as WHERE_PRESETS
from attnsci.files import claim
from attnsci.interrupts import exit_status, raised
from attnsci.training.configs import PRESETS, Device, Source

Paper = Literal["object-attention", "neva", "ram", "what-where"]
Scale = Literal["quick", "default", "paper"]
Task = Literal["digits", "coco"]

BUG = 70  # EX_SOFTWARE of sysexits.h
_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Storage size calculation overflowed",
)


def _choices(literal: Any, form: str = "{%s}") -> Any:
    """Return how ``--help`` shows a choice that may be left out: in order, without None."""
    return tyro.conf.arg(metavar=form % ",".join(get_args(literal)), help_behavior_hint="")


_PATH = tyro.conf.arg(metavar="PATH", help_behavior_hint="")


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Draw the figures of a paper, with their numbers; of all papers if none is named."""

    paper: Annotated[tyro.conf.Positional[Paper | None], _choices(Paper, "[{%s}]")] = None
    """The paper; all of them, at quick scale, without it."""
    scale: Annotated[Scale | None, _choices(Scale)] = None
    """How much: quick (without a paper), default (with one), or paper (published sizes)."""
    out: Path = Path("results")
    """Receives OUT/PAPER/SCALE with figures, tables, recordings and results.md."""
    source: Annotated[Source | None, _choices(Source)] = None
    """Digits to show: bundled with the installation, or full MNIST, as at paper scale."""
    weights: tuple[str, ...] = ()
    """Networks to use in place of the shipped ones: names or files."""
    train: bool = False
    """Train the networks first."""
    task: Annotated[Task | None, _choices(Task)] = None
    """Half of object-attention: digits, or the photographs of the next two flags."""
    images: Annotated[Path | None, _PATH] = None
    """Folder of photographs, for the task coco."""
    annotations: Annotated[Path | None, _PATH] = None
    """Their objects, with masks, a file of COCO's format."""
    seed: int = 0
    """Decides stimuli and resampling."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""

    def run(self) -> None:
        """Call `attnsci.reproduce.reproduce` and print its tables of results."""
        from attnsci.reproduce import reproduce

        written = reproduce(
            papers=None if self.paper is None else [self.paper],
            scale=self.scale,
            out=self.out,
            seed=self.seed,
            device=self.device,
            source=self.source,
            weights=self.weights,
            train=self.train,
            task=self.task,
            images=self.images,
            annotations=self.annotations,
        )
        for table in written:
            print(table.read_text(encoding="utf-8"))
            print(f"Figures, numbers and recordings: {table.parent}")


@dataclasses.dataclass(frozen=True)
class ListDatasets:
    """List all data sets, with size, licence and where they stand."""

    def run(self) -> None:
        """Print the table."""
        from attnsci.data import list_datasets

        print(list_datasets().drop(columns="citation").to_string(index=False))


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Say what is known of one data set."""

    name: tyro.conf.Positional[str]
    """The data set."""

    def run(self) -> None:
        """Print the facts."""
        from attnsci.data import dataset_info

        print(dataset_info(self.name))


@dataclasses.dataclass(frozen=True)
class GetDataset:
    """Download a data set into the cache."""

    name: tyro.conf.Positional[str]
    """The data set."""
    force: bool = False
    """Download again what is there."""
    accept: bool = False
    """Consent to size and licence of a large data set; without it they are only shown."""

    def run(self) -> None:
        """Download it and say where it is."""
        from attnsci.data import get

        print(get(self.name, force=self.force, accept=self.accept))


@dataclasses.dataclass(frozen=True)
class WhereDataset:
    """Print the folder in which a data set stands."""

    name: tyro.conf.Positional[str]
    """The data set."""

    def run(self) -> None:
        """Print the path."""
        from attnsci.data import where

        print(where(self.name))


@dataclasses.dataclass(frozen=True)
class CheckDatasets:
    """Verify every file on this machine against its checksum; exit 1 if one differs."""

    def run(self) -> int:
        """Print the table; return the exit code."""
        from attnsci.data import check

        table = check()
        print(table[["name", "file", "status", "path", "detail"]].to_string(index=False))
        return int((table["status"] == "differs").any())


@dataclasses.dataclass(frozen=True)
class ClearDataset:
    """Delete a data set from the cache, and only from there."""

    name: tyro.conf.Positional[str]
    """The data set."""

    def run(self) -> None:
        """Delete it and say what was done."""
        from attnsci.data import clear

        print(clear(self.name))


@dataclasses.dataclass(frozen=True)
class Info:
    """Print versions, data folders and devices, for bug reports."""

    def run(self) -> None:
        """Print one fact a line."""
        import platform

        import torch

        from attnsci.data.places import data_folders, data_home
        from attnsci.devices import available_devices
        from attnsci.provenance import git_commit, versions

        facts = {
            **versions(),
            "commit": git_commit() or "none",
            "system": platform.platform(),
            "devices": ", ".join(available_devices()),
            "threads": str(torch.get_num_threads()),
            "ATTNSCI_DATA": os.pathsep.join(map(str, data_folders())) or "not set",
            "cache": str(data_home()),
        }
        width = max(map(len, facts))
        print("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))


_named = tyro.conf.subcommand


@dataclasses.dataclass(frozen=True)
class EvaluateCommand:
    """Measure what a network can do, with n and intervals."""

    family: (
        Annotated[object_attention.Evaluate, _named("object-attention")]
        | Annotated[ram.Evaluate, _named("ram")]
        | Annotated[what_where.Evaluate, _named("what-where")]
    )

    def run(self) -> None:
        """Run the family's command."""
        out = self.family.out
        with contextlib.nullcontext() if out is None else claim(out):
            self.family.run()


@dataclasses.dataclass(frozen=True)
class RecordCommand:
    """Record what the layers of a network do; without --layers, list them."""

    family: tyro.conf.Positional[Literal["object-attention"]]
    """What to record."""
    settings: Annotated[object_attention.Record, tyro.conf.arg(name="")]

    def run(self) -> None:
        """Run the family's command."""
        self.settings.run()


@dataclasses.dataclass(frozen=True)
class DatasetsCommand:
    """Find, download, verify and delete data sets."""

    action: (
        Annotated[ListDatasets, _named("list")]
        | Annotated[DatasetInfo, _named("info")]
        | Annotated[GetDataset, _named("get")]
        | Annotated[WhereDataset, _named("where")]
        | Annotated[CheckDatasets, _named("check")]
        | Annotated[ClearDataset, _named("clear")]
    )

    def run(self) -> int | None:
        """Do it; return the exit code, if there is something to say by it."""
        return self.action.run()


def parse(argv: Sequence[str]) -> Any:
    """Return the command that the arguments ask for: an object with ``command`` and ``debug``.

    Raises
    ------
    SystemExit
        After ``--help`` (0), or if the arguments cannot be understood (2).
    InvalidInput
        If a setting is out of range.
    """
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("--preset")
    preset = chosen.parse_known_args(argv)[0].preset

    def known(presets: Any) -> Any:
        """Return the preset asked for; where it is none, tyro will say so, with the choices."""
        return preset if preset in presets else next(iter(presets))

    # The preset's values become the defaults, so that --help shows them and flags replace them.
    gating = object_attention.Train(training=PRESETS[known(PRESETS)], preset=known(PRESETS))
    photographs = coco_commands.TrainCoco(
        images=tyro.MISSING,
        annotations=tyro.MISSING,
        training=COCO_PRESETS[known(COCO_PRESETS)],
        preset=known(COCO_PRESETS),
    )
    glimpses = ram.Train(training=RAM_PRESETS[known(RAM_PRESETS)], preset=known(RAM_PRESETS))
    deep = ram.TrainDRAM(training=DRAM_PRESETS[known(DRAM_PRESETS)], preset=known(DRAM_PRESETS))
    noisy = what_where.Train(
        training=NOISY_PRESETS[known(NOISY_PRESETS)], preset=known(NOISY_PRESETS)
    )
    peripheral = what_where.TrainWhere(
        training=WHERE_PRESETS[known(WHERE_PRESETS)], preset=known(WHERE_PRESETS)
    )

    @dataclasses.dataclass(frozen=True)
    class TrainCommand:
        """Train a network, or a sweep of them. The same command again resumes."""

        family: (
            Annotated[object_attention.Train, _named("object-attention", default=gating)]
            | Annotated[
                coco_commands.TrainCoco, _named("object-attention-coco", default=photographs)
            ]
            | Annotated[ram.Train, _named("ram", default=glimpses)]
            | Annotated[ram.TrainDRAM, _named("ram-dram", default=deep)]
            | Annotated[ram.TrainCatch, _named("ram-catch")]
            | Annotated[what_where.Train, _named("what-where", default=noisy)]
            | Annotated[what_where.TrainWhere, _named("where", default=peripheral)]
        )

        def run(self) -> None:
            """Run the family's command."""
            self.family.run()

    @dataclasses.dataclass(frozen=True)
    class Attnsci:
        """Trained models of visual attention: record, analyse and compare with brains and eyes."""

        command: (
            Annotated[Reproduce, _named("reproduce")]
            | Annotated[TrainCommand, _named("train")]
            | Annotated[EvaluateCommand, _named("evaluate")]
            | Annotated[RecordCommand, _named("record")]
            | Annotated[Compare, _named("compare")]
            | Annotated[GazeCommand, _named("gaze")]
            | Annotated[ScanpathCommand, _named("scanpath")]
            | Annotated[DatasetsCommand, _named("datasets")]
            | Annotated[Info, _named("info")]
        )
        debug: bool = False
        """Show the traceback of an error."""

    return tyro.cli(
        Attnsci,
        prog="attnsci",
        args=argv,
        config=(
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.OmitArgPrefixes,
            tyro.conf.CascadeSubcommandArgs,
        ),
    )


def _one_line(message: Warning | str, *place: Any) -> None:
    """Print a warning without the line of our code that raised it."""
    print(f"attnsci: warning: {message}", file=sys.stderr)


def _check_numbers(settings: Any) -> None:
    """Raise `InvalidInput` for a seed or a number that no command can use."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            _check_numbers(value)
        elif field.name == "seed" and not 0 <= value < 2**63:
            raise InvalidInput(f"seed must be a whole number from 0 to 2**63 - 1; got {value}.")
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidInput(f"{field.name} must be a finite number; got {value}.")


def _explain(error: Exception) -> tuple[str, int]:
    """Return what to print of an error, and the exit code."""
    if isinstance(error, AttnsciError):
        return str(error), 1
    reason = (str(error).splitlines() or [""])[0]
    # torch reports it as a RuntimeError on a CPU, and as its subclass on an accelerator.
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    ):
        return f"This needs more memory than there is ({reason or 'MemoryError'}). Ask for less.", 1
    return (
        f"a bug in attnsci {importlib.metadata.version('attnsci')}: {type(error).__name__}: "
        f"{reason}. Please report it on the project's issue page, with the command and what it "
        "prints with --debug.",
        BUG,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0 if all went well; 1 after an error, which is one message on stderr; 2 if the arguments
        cannot be understood; 70 after a bug of ours; 130 after Ctrl-C, 143 after SIGTERM, 129 if
        the terminal was closed.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        with warnings.catch_warnings(), raised():
            warnings.showwarning = _one_line  # type: ignore[assignment]
            command = parse(arguments).command
            _check_numbers(command)
            return command.run() or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt as stop:
        print(f"attnsci: {str(stop) or 'interrupted'}", file=sys.stderr)
        return exit_status(stop)
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        message, status = _explain(error)
        print(f"attnsci: error: {message}", file=sys.stderr)
        return status
