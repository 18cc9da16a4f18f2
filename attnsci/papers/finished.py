"""The steps that a killed run had finished: the same command goes on after them."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attnsci.errors import AttnsciError
from attnsci.experiments.outcome import Outcome
from attnsci.files import atomic_path
from attnsci.recording.datasets import open_dataset

FOLDER = ".unfinished"


@dataclasses.dataclass(frozen=True)
class Finished:
    """What the steps of one run left, kept beside its files until the run is whole.

    Attributes
    ----------
    out : Path
        The run's folder.
    key : str
        Of everything that numbers depend on; what another key left is thrown away.
    """

    out: Path
    key: str

    def __post_init__(self) -> None:
        mark = self._folder / "key"
        if mark.exists() and mark.read_text("utf-8") != self.key:
            self.clear()
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(mark) as temporary:
            temporary.write_text(self.key, "utf-8")

    @property
    def _folder(self) -> Path:
        return self.out / FOLDER

    def keep(self, step: str, outcome: Outcome | None, written: list[Path]) -> None:
        """Mark a step as finished; its recordings stand among the files that it has `written`."""
        content: dict[str, Any] = {
            "written": [path.relative_to(self.out).as_posix() for path in written]
        }
        if outcome is not None:
            content["data"] = list(outcome.data)
            content["estimates"] = {
                name: column.tolist() for name, column in outcome.estimates.items()
            }
        with atomic_path(self._folder / f"{step}.json") as temporary:
            temporary.write_text(json.dumps(content), "utf-8")

    def read(self, step: str) -> tuple[Outcome | None, list[Path]] | None:
        """Return what a finished step left; None if it is not finished, or its files are gone."""
        file = self._folder / f"{step}.json"
        if not file.exists():
            return None
        try:
            content: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
            written = [self.out / name for name in content["written"]]
            if not all(path.exists() for path in written):
                return None
            if "estimates" not in content:
                return None, written
            data = {
                name: open_dataset(self.out / "recordings" / f"{name}.zarr")
                for name in content["data"]
            }
            return Outcome(pd.DataFrame(content["estimates"]), data), written
        except (AttnsciError, ValueError, KeyError, TypeError):  # damaged: measure it again
            return None

    def clear(self) -> None:
        """Forget all steps, the run being whole."""
        shutil.rmtree(self._folder, ignore_errors=True)
