"""Imports go down only: whoever reads one floor never has to look up."""

import ast
import sys
from pathlib import Path

import pytest

import minidl

ROOT = Path(minidl.__file__).parent

# From the ground up. Packages that share a floor do not import each other, but for training and models, which are told
# of callbacks and write files, and are therefore a floor of their own above those.
FLOORS = [
    {"errors"},
    {"config", "memory", "random", "files", "configurable", "checks", "scopes"},
    {"threads"},
    {"datasets"},
    {"kernels"},
    {"autodiff"},
    {"ops", "profiling"},
    {"initializers", "activations", "regularizers", "constraints", "augmentation"},
    {"layers"},
    {"optimizers", "losses", "metrics"},
    {"callbacks", "saving"},
    {"training"},
    {"models"},
    {"plots", "diagnostics", "applications", "sparse"},
    {"backend", "cli", "testing", "tf", "tuning", "utils"},
    {"__init__"},
]
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}
GROUND = FLOORS[0] | FLOORS[1]
# `minidl.__version__` stands in minidl/__init__.py and is no floor.
NOT_A_ROOM = {"__version__"}


def room_of(file: Path) -> str:
    """The package or module below minidl that a file belongs to."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    """The packages and modules below minidl that a file imports, also inside functions."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            assert not isinstance(node, ast.ImportFrom) or node.level == 0, f"{file}: relative imports hide the floor"
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("minidl.")}
    return rooms - NOT_A_ROOM


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down(file):
    room = room_of(file)
    for other in imported_rooms(file):
        assert other == room or LEVEL[other] < LEVEL[room], f"{room} must not import {other}"
        assert room != "datasets" or other in GROUND | {room}, "datasets stands beside and needs the ground floor alone"


def test_every_room_has_a_floor():
    assert {room_of(file) for file in FILES} == set(LEVEL)


# Asked for where they are used, and done without where they are missing.
OPTIONAL = {"testing": {"hypothesis"}, "config": {"threadpoolctl"}, "threads": {"threadpoolctl"}}


def test_only_numpy_scipy_and_tqdm_are_needed():
    allowed = {"numpy", "scipy", "tqdm", "minidl", *sys.stdlib_module_names}
    for file in FILES:
        extra = OPTIONAL.get(room_of(file), set())
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                assert module.partition(".")[0] in allowed | extra, f"{file.relative_to(ROOT)} imports {module}"
