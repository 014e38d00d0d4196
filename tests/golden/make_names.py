"""Make `keras_names.json`: what Keras 3 exports, name by name, with the arguments of each in their order.

    pip install "keras>=3.15" jax
    python tests/golden/make_names.py

For each of the modules below: {name: arguments}, the arguments those of the constructor or function without `self`;
null where there are none to compare. `**kwargs` and `*args` keep their stars. A name that means the same thing as
another has {"alias": the other}.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras

MODULES = [
    "activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "optimizers",
    "optimizers.schedules", "regularizers",
]  # fmt: skip


def arguments(thing: Any) -> list[str] | None:
    """The names of the parameters in their order."""
    function = thing.__init__ if inspect.isclass(thing) else thing
    if not callable(function) or function is object.__init__:
        return None
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = inspect.signature(function).parameters.values()
    return [stars.get(p.kind, "") + p.name for p in parameters if p.name != "self"]


def names(module: Any) -> dict[str, Any]:
    """The public names of a module but for modules inside it."""
    found: dict[str, Any] = {}
    first: dict[int, str] = {}
    # The name that a thing was defined with comes before its aliases.
    own = sorted(vars(module), key=lambda name: (getattr(vars(module)[name], "__name__", "") != name, name))
    for name in own:
        thing = vars(module)[name]
        if not name.startswith("_") and not inspect.ismodule(thing):
            found[name] = {"alias": first[id(thing)]} if id(thing) in first else arguments(thing)
            first.setdefault(id(thing), name)
    return dict(sorted(found.items()))


def main() -> None:
    """Write the file anew."""
    found = {}
    for path in MODULES:
        module = keras
        for part in path.split("."):
            module = getattr(module, part)
        found[path] = names(module)
    lines = [
        f'  "{path}": {{\n' + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()) + "\n  }"
        for path, table in found.items()
    ]
    text = f'{{\n  "keras": "{keras.__version__}",\n' + ",\n".join(lines) + "\n}\n"
    (Path(__file__).parent / "keras_names.json").write_text(text)
    print({path: len(table) for path, table in found.items()})


if __name__ == "__main__":
    main()
