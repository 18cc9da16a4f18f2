"""The ``attnsci`` command: parse, call the library, turn errors into one line."""

import argparse
import dataclasses
import functools
import importlib.metadata
import math
import os
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

import tyro

from attnsci.commands.datasets import DATASETS
from attnsci.commands.gaze import GAZE, SCANPATH, Compare
from attnsci.commands.info import Info
from attnsci.commands.reproduce import Reproduce
from attnsci.errors import AttnsciError, InvalidInput
from attnsci.families.registry import commands, entries, load
from attnsci.interrupts import exit_status, raised
from attnsci.training.command import train_command

BUG = 70  # EX_SOFTWARE of sysexits.h
_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Storage size calculation overflowed",
)


_DEBUG = Annotated[bool, tyro.conf.arg(help="Show the traceback of an error.")]


def training_commands(preset: str | None = None) -> dict[str, Any]:
    """Return the commands under ``attnsci train``, by recipe.

    Parameters
    ----------
    preset : str, optional
        Whose values become the flags' defaults, so that ``--help`` shows them; where a recipe has
        none of that name, tyro will say so, with the choices.
    """
    return {
        name: train_command(
            name,
            load(recipe.presets),
            functools.partial(load, recipe.objective),
            load(recipe.flags),
            preset,
        )
        for name, recipe in entries("recipes").items()
    }


def _one_of(classes: Mapping[str, Any]) -> Any:
    """Return the type of a field that is one of several commands, by name."""
    named = [Annotated[cls, tyro.conf.subcommand(name)] for name, cls in classes.items()]
    # A union needs two members; the second is not shown.
    padding = [Annotated[None, tyro.conf.Suppress]] if len(named) == 1 else []
    return Union[(*named, *padding)]


def _verb(purpose: str, classes: Mapping[str, Any]) -> Any:
    """Return the command that runs one of several.

    Parameters
    ----------
    purpose : str
        What ``--help`` says of it.
    classes : mapping of str to class with ``run()``
    """

    def run(self: Any) -> int | None:
        return self.choice.run()

    fields = [("choice", _one_of(classes))]
    namespace = {"run": run, "__doc__": purpose}
    return dataclasses.make_dataclass("Verb", fields, frozen=True, namespace=namespace)


def parse(argv: Sequence[str]) -> Any:
    """Return the command that the arguments ask for: an object with ``command`` and ``debug``.

    Raises
    ------
    SystemExit
        After ``--help`` (0), or if the arguments cannot be understood (2).
    InvalidInput
        If a setting is out of range.
    """
    presets = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    presets.add_argument("--preset")
    preset = presets.parse_known_args(argv)[0].preset
    verbs = {
        "reproduce": Reproduce,
        "train": _verb(
            "Train a network, or a sweep of them. The same command again resumes.",
            training_commands(preset),
        ),
        "evaluate": _verb(
            "Measure what a network can do, with n and intervals.", commands("evaluate")
        ),
        "record": _verb(
            "Record what the layers of a network do; without --layers, list them.",
            commands("record"),
        ),
        "compare": Compare,
        "gaze": _verb("Read, check and convert files of fixations.", GAZE),
        "scanpath": _verb(
            "Make scanpaths, replay and draw them, measure returns, list the metrics.",
            {**commands("scanpath"), **SCANPATH},
        ),
        "datasets": _verb("Find, download, verify and delete data sets.", DATASETS),
        "info": Info,
    }
    flags = dataclasses.field(default=False)
    attnsci = dataclasses.make_dataclass(
        "Attnsci",
        [("command", _one_of(verbs)), ("debug", _DEBUG, flags)],
        frozen=True,
        namespace={
            "__doc__": "Trained models of visual attention: record, analyse and compare with "
            "brains and eyes."
        },
    )
    return tyro.cli(
        attnsci,
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
