"""The house's arrows: who may import whom, and what must stay cheap. See DESIGN.md."""

import ast
import dataclasses
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import attnsci

PACKAGE = Path(attnsci.__file__).parent

# Each room and the rooms it may import, besides itself and the ground floor.
GROUND = {
    "errors", "checks", "provenance", "seeds", "files", "interrupts", "contents", "numerals",
    "devices", "_torchvision",
}  # fmt: skip
ARROWS: dict[str, set[str]] = {
    "statistics": set(),
    "geometry": set(),
    "gaze": {"geometry"},
    "sensors": {"geometry"},
    "recording": set(),
    "data": {"geometry", "gaze"},
    "scanpaths": {"statistics", "geometry", "gaze", "data"},
    "analysis": {"statistics", "scanpaths", "geometry", "gaze"},
    "plotting": {"geometry", "gaze"},
    "models": {"sensors", "geometry", "gaze"},
    "training": {"models", "data", "sensors", "plotting", "geometry", "gaze"},
    "experiments": {
        "recording", "analysis", "statistics", "scanpaths", "data", "geometry", "gaze",
    },
    "papers": {"experiments", "plotting", "recording", "training", "statistics"},
}  # fmt: skip
BELOW = set(ARROWS)
ARROWS["families"] = BELOW
ARROWS["reproduction"] = {*BELOW, "families"}
ARROWS["commands"] = {*BELOW, "families", "reproduction"}
ARROWS["cli"] = {"families", "commands", "training"}
ARROWS["__main__"] = {"cli"}
ARROWS["__init__"] = {*BELOW, "families", "reproduction"}
NO_TORCH = ("analysis", "scanpaths", "plotting")


@dataclasses.dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    relative: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


def is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


class Walk(ast.NodeVisitor):
    """Collects the imports of one file, at any depth, those under TYPE_CHECKING apart."""

    def __init__(self, importer: str) -> None:
        self.importer, self.for_types = importer, False
        self.found: list[Import] = []
        self.at_import: list[str] = []
        self.depth = 0

    def add(self, name: str, relative: bool = False) -> None:
        self.found.append(Import(self.importer, name, relative, self.for_types))
        if self.depth == 0 and not self.for_types:
            self.at_import.append(name)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.add(f"{node.module or ''}.{alias.name}", relative=node.level > 0)

    def visit_If(self, node: ast.If) -> None:
        outer, self.for_types = self.for_types, self.for_types or is_type_checking(node.test)
        for child in node.body:
            self.visit(child)
        self.for_types = outer
        for child in node.orelse:
            self.visit(child)

    def visit_FunctionDef(self, node: ast.AST) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def walk(module: str) -> Walk:
    visitor = Walk(module)
    visitor.visit(ast.parse(FILES[module].read_text(encoding="utf-8")))
    return visitor


WALKS = {module: walk(module) for module in FILES}
IMPORTS = [found for visitor in WALKS.values() for found in visitor.found]
OURS = [found for found in IMPORTS if found.imported.split(".")[0] == "attnsci"]


def resolved(name: str) -> str:
    """Return the module of ours that ``from a.b import c`` reads."""
    while name not in FILES:
        name = name.rpartition(".")[0]
    return name


def test_every_room_is_on_the_map():
    assert {room(module) for module in FILES} <= {*ARROWS, *GROUND}


def test_no_arrow_points_the_wrong_way():
    wrong = []
    for found in OURS:
        here, there = room(found.importer), room(resolved(found.imported))
        allowed = {here, *GROUND} if here not in GROUND else GROUND
        allowed = allowed | ARROWS.get(here, set())
        if there not in allowed:
            wrong.append(str(found))
    assert not wrong


def test_imports_are_absolute():
    assert not [str(found) for found in IMPORTS if found.relative]


def test_there_are_no_circles():
    # At any depth: an import inside a function or for types alone is an arrow, too.
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in OURS:
        if resolved(found.imported) != found.importer:
            graph[found.importer].add(resolved(found.imported))
    list(graphlib.TopologicalSorter(graph).static_order())


def folder_of_family(module: str) -> str | None:
    """Return the family that a module belongs to, by its folder."""
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["families"] and len(parts) > 3 else None


def test_no_family_imports_another():
    wrong = [
        str(found)
        for found in OURS
        if (here := folder_of_family(found.importer))
        and (there := folder_of_family(resolved(found.imported)))
        and here != there
    ]
    assert not wrong


def test_the_registry_imports_no_family():
    assert not walk("attnsci.families.registry").at_import or not any(
        name.startswith("attnsci.families.") for name in walk("attnsci.families.registry").at_import
    )


@pytest.mark.parametrize("name", NO_TORCH)
def test_arrays_only_no_torch(name):
    heavy = {"torch", "torchvision", "lightning_fabric"}
    users = [
        str(found)
        for found in IMPORTS
        if room(found.importer) == name
        and found.imported.split(".")[0] in heavy
        and not found.for_types
    ]
    assert not users


def test_only_the_loader_imports_torchvision():
    users = {f.importer for f in IMPORTS if f.imported.split(".")[0] == "torchvision"}
    assert users <= {"attnsci._torchvision"}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh process has after `code`."""
    code += "\nimport sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = {
    "torch", "lightning_fabric", "torchvision", "xarray", "pandas", "matplotlib", "seaborn",
    "dask", "zarr", "scipy", "statsmodels", "h5py", "mlxtend", "skimage",
}  # fmt: skip


def test_import_attnsci_is_light():
    # By name, which is stable, and not by the clock.
    assert not loaded_by("import attnsci; dir(attnsci)") & HEAVY


@pytest.mark.skipif("attnsci.cli" not in FILES, reason="there is no command line yet")
def test_help_is_light():
    code = (
        "import contextlib, io, sys\n"
        "from attnsci.cli import main\n"
        "sys.argv = ['attnsci', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main()\n"
    )
    assert not loaded_by(code) & (HEAVY - {"scipy", "pandas"})


@pytest.mark.parametrize("name", NO_TORCH)
def test_arrays_only_in_a_fresh_process(name):
    modules = [module for module in FILES if room(module) == name]
    if not modules:
        pytest.skip(f"there is no {name} yet")
    loaded = loaded_by("".join(f"import {module}\n" for module in modules))
    assert not loaded & {"torch", "lightning_fabric", "torchvision"}


def test_loading_digits_needs_no_torch():
    assert "torch" not in loaded_by(
        "from attnsci.data import load_mnist, load_published\nload_mnist('test')"
    )


def test_settings_of_training_need_no_torch():
    assert "torch" not in loaded_by("import attnsci.training.configs")


@pytest.mark.parametrize("name", ["analysis", "data", "experiments", "recording", "scanpaths",
                                  "statistics"])  # fmt: skip
def test_no_module_hides_a_public_name_of_its_room(name):
    import importlib

    public = set(importlib.import_module(f"attnsci.{name}").__all__)
    modules = {path.stem for path in (PACKAGE / name).glob("*.py")}
    hidden = {
        each for each in public & modules
        if not isinstance(getattr(importlib.import_module(f"attnsci.{name}"), each), type(ast))
    }  # fmt: skip
    assert not hidden
    assert not set(attnsci.__all__) & {path.stem for path in PACKAGE.glob("*.py")}
