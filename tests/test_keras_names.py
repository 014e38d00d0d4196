"""Beside Keras 3: which of its public names and arguments minidl has, and why it does not have the others.

`golden/keras_names.json` has the names of Keras, `docs/left_out.md` the reasons.
"""

import importlib
import inspect
import json
from pathlib import Path

import pytest

from minidl.configurable import Configurable

ROOT = Path(__file__).parents[1]
KERAS = json.loads((ROOT / "tests" / "golden" / "keras_names.json").read_text())
MODULES = [module for module in KERAS if module != "keras"]


def table(heading):
    """The rows of the table under a heading: what stands in the first column, and the names in the second."""
    text = (ROOT / "docs" / "left_out.md").read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert all(len(row) == 3 and row[2] for row in rows), "every row has a reason"
    return [(where, names.split(", ")) for where, names, _ in rows[2:]]


LEFT_OUT = [(where, name) for where, names in table("Names") for name in names]
ARGUMENTS_LEFT_OUT = {(kind, a) for kinds, names in table("Arguments") for kind in kinds.split(", ") for a in names}


def minidl_module(module):
    return importlib.import_module(f"minidl.{module}")


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_keras_exists_or_is_left_out_for_a_reason(module):
    here = minidl_module(module)
    missing = {name for name in KERAS[module] if not hasattr(here, name)}
    left_out = {name for where, name in LEFT_OUT if where == module}
    assert missing - left_out == set()
    print(f"{module}: {len(KERAS[module]) - len(missing)} of {len(KERAS[module])} names")


def test_what_is_left_out_is_what_keras_has_and_minidl_has_not():
    assert len(set(LEFT_OUT)) == len(LEFT_OUT)
    for module, name in LEFT_OUT:
        assert name in KERAS[module], f"{module}.{name} is no name of Keras"
        assert not hasattr(minidl_module(module), name), f"{module}.{name} exists: it is not left out"


def arguments_of(thing):
    """The names of the arguments in their order; those of a class also through the classes it is derived from."""
    if inspect.isclass(thing) and issubclass(thing, Configurable):
        own = [name for name in inspect.signature(thing).parameters if name not in ("args", "kwargs", "options", "old")]
        return list(dict.fromkeys([*own, *thing.arguments()]))
    return list(inspect.signature(thing).parameters)


def positional(thing):
    """The arguments that can be given without their names."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, parameter in inspect.signature(thing).parameters.items() if parameter.kind in kinds]


def compared():
    """Each name of Keras that has arguments and that minidl has, too."""
    for module in MODULES:
        here = minidl_module(module)
        for name, arguments in KERAS[module].items():
            thing = getattr(here, name, None)
            if isinstance(arguments, list) and callable(thing):
                yield pytest.param(module, name, [a for a in arguments if a[0] != "*"], thing, id=f"{module}.{name}")


def excused(module, name, argument):
    kinds = [name, f"every {module.partition('.')[0].removesuffix('s')}".replace("losse", "loss")]
    return any((kind, argument) in ARGUMENTS_LEFT_OUT for kind in kinds)


@pytest.mark.parametrize(("module", "name", "arguments", "thing"), list(compared()))
def test_the_arguments_of_keras_are_taken_in_their_order(module, name, arguments, thing):
    here = arguments_of(thing)
    missing = [a for a in arguments if a not in here and not excused(module, name, a)]
    assert missing == []
    # Those that stand before the first that is left out can be given by position, as in Keras.
    in_order = positional(thing)
    for k, argument in enumerate(arguments):
        if argument not in in_order or excused(module, name, argument):
            break
        assert in_order[k] == argument, f"argument {k} of Keras is {argument}, of minidl {in_order[k]}"


def test_arguments_that_are_left_out_are_those_of_keras():
    known = {(name, a) for module in MODULES for name, found in KERAS[module].items() for a in found or ()}
    every = {a for _, a in known}
    for kind, argument in ARGUMENTS_LEFT_OUT:
        assert (kind, argument) in known or (kind.startswith("every ") and argument in every), f"{kind}: {argument}"
