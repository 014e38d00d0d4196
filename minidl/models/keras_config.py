"""Models in the words of Keras 3: what stands in the config.json of a `.keras` file, and back.

An object is `{"module": "keras.layers", "class_name": "Dense", "config": {…}, "registered_name": None}`, and its config
has the same names and values as here. What differs is how the calls in a graph are written: with each layer stands what
it is called on, a symbolic tensor as the layer, the call and the output that it comes from. A function on tensors is an
object of a class of its own there ("ExpandDims") with arguments that are no tensors in its config.
"""

from __future__ import annotations

import inspect
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from minidl import constraints, initializers, losses, metrics, optimizers, regularizers
from minidl.autodiff.tree import leaves
from minidl.configurable import MISSING, snake_case
from minidl.errors import ArgumentError, DataFileError, look_up
from minidl.layers import Layer
from minidl.layers.images import ImageLayer
from minidl.layers.operation import Operation
from minidl.layers.symbolic import map_shapes
from minidl.models import files
from minidl.models.functional import Functional
from minidl.models.sequential import Sequential

# What a setting of Keras that does not exist here must be for it to make no difference; None and False do, too.
_WITHOUT_EFFECT = {"data_format": "channels_last", "autocast": True, "ema_momentum": ..., "renorm_momentum": ...}
# Settings that do not exist there, if they are their default.
_OWN = {
    "Cropping1D": ["data_format"], "UpSampling1D": ["data_format"],
    # Without variables, it means nothing.
    "SpatialDropout1D": ["trainable"], "SpatialDropout2D": ["trainable"],
    "FalseNegatives": ["top_k", "class_id"], "FalsePositives": ["top_k", "class_id"],
    "TrueNegatives": ["top_k", "class_id"], "TruePositives": ["top_k", "class_id"],
    "SparseTopKCategoricalAccuracy": ["from_sorted_ids"],
}  # fmt: skip
# The functions on tensors that both have: where Keras has their classes, which of their arguments belong to its config.
_OPERATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    name: (module, settings)
    for module, settings, names in (
        ("numpy", (), (
            "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "ceil", "cos",
            "cosh", "divide", "equal", "exp", "expm1", "floor", "get_item", "greater", "greater_equal", "isfinite",
            "isinf", "isnan", "less", "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or",
            "matmul", "maximum", "minimum", "multiply", "negative", "not_equal", "power", "reciprocal", "sign", "sin",
            "sinh", "sqrt", "square", "subtract", "tan", "tanh", "true_divide", "where",
        )),
        ("numpy", ("axis", "keepdims"), ("all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum",
                                         "var")),
        ("numpy", ("axis",), ("concatenate", "expand_dims", "flip", "squeeze", "stack")),
        ("numpy", ("x_min", "x_max"), ("clip",)),
        ("numpy", ("axes",), ("transpose",)),
        ("numpy", ("shape",), ("reshape",)),
        ("nn", (), ("hard_sigmoid", "relu", "selu", "sigmoid", "silu", "softplus", "softsign")),
        ("nn", ("axis",), ("log_softmax", "softmax")),
        ("nn", ("alpha",), ("elu",)),
        ("nn", ("approximate",), ("gelu",)),
        ("nn", ("negative_slope",), ("leaky_relu",)),
        ("math", (), ("erf", "rsqrt")),
        ("math", ("axis", "keepdims"), ("logsumexp",)),
        ("core", ("dtype",), ("cast",)),
    )
    for name in names
}  # fmt: skip
# The argument that Keras calls otherwise.
_SPELLINGS = {"shape": "newshape"}


# From here to there.


def to_keras(model: Layer, compiled: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration of a model, or of a layer, as Keras writes it."""
    if isinstance(model, Operation):
        return _operation_to_keras(model)
    name = type(model).__name__
    module = "keras.layers" if files.LAYERS.get(name) is type(model) else None
    if type(model) is Functional:
        module, config = "keras.src.models.functional", _graph_to_keras(model)
    elif type(model) is Sequential:
        module, config = "keras", _chain_to_keras(model)
    else:
        config = _settings_to_keras(name, model.get_config())
    described = {"module": module, "class_name": name, "config": config, "registered_name": None if module else name}
    shape = model.batch_input_shape or model.built_shape
    if shape is not None and type(model) is not Functional:
        described["build_config"] = {"input_shape": map_shapes(list, shape)}
    return described if compiled is None else {**described, "compile_config": compile_to_keras(compiled)}


def _settings_to_keras(owner: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an object, without those that do not exist there."""
    left_out = _OWN.get(owner, [])
    for name in left_out:
        if name != "trainable" and config.get(name) not in (None, False, "channels_last"):
            raise ArgumentError(f"save: Keras has no {owner} with {name}={config[name]!r}: save it as .minidl")
    return {name: _value_to_keras(value) for name, value in config.items() if name not in left_out}


def _value_to_keras(value: Any) -> Any:
    if isinstance(value, Mapping) and "class_name" in value:
        name = value["class_name"]
        kinds = {"keras.layers": files.LAYERS, "keras.initializers": vars(initializers)}
        kinds |= {"keras.regularizers": vars(regularizers), "keras.constraints": vars(constraints)}
        kinds |= {"keras.optimizers.schedules": vars(optimizers.schedules)}
        module = next((module for module, known in kinds.items() if name in known), None)
        return _object_to_keras(module, value)
    if isinstance(value, (list, tuple)):
        return [_value_to_keras(item) for item in value]
    return value


def _object_to_keras(module: str | None, described: Mapping[str, Any]) -> dict[str, Any]:
    """What `serialize` gave, as Keras has it; without a module it is a class of the user."""
    name = described["class_name"]
    config = _settings_to_keras(name, described["config"])
    return {"module": module, "class_name": name, "config": config, "registered_name": None if module else name}


def _chain_to_keras(model: Sequential) -> dict[str, Any]:
    config = model.get_config()
    shape = config["batch_input_shape"]
    first = [leaves(model.input)[0].node.layer] if shape else []
    inside = [to_keras(layer) for layer in (*first, *model.layers)]
    found = {"name": model.name, "trainable": model.trainable, "dtype": model.dtype, "layers": inside}
    return found | ({"build_input_shape": shape} if shape else {})


def _graph_to_keras(model: Functional) -> dict[str, Any]:
    graph = model.graph
    described = model.get_config()
    calls: dict[int, list[int]] = {}
    for k, call in enumerate(described["calls"]):
        calls.setdefault(call["layer"], []).append(k)
    for several in calls.values():  # as they were made: Keras makes them again in this order
        several.sort(key=lambda k: graph.nodes[k].index)
    names = [layer.name for layer in graph.layers]
    number = {k: (names[layer], j) for layer, several in calls.items() for j, k in enumerate(several)}

    def place(result: Any) -> list[Any]:
        k, position = result
        return [*number[k], position]

    def plain(x: Any) -> Any:
        """An argument: what JSON lacks is an object of a class that does not exist."""
        if isinstance(x, list):
            return [plain(item) for item in x]
        if not isinstance(x, dict):
            return x
        kind, content = next(iter(x.items()))
        if kind == "result":
            tensor = leaves(graph.nodes[content[0]].outputs)[content[1]]
            config = {"shape": list(tensor.shape), "dtype": tensor.dtype.name, "keras_history": place(content)}
            return {"class_name": "__keras_tensor__", "config": config}
        if kind == "dict":
            return {key: plain(item) for key, item in content.items()}
        if kind == "slice":
            start, stop, step = map(plain, content)
            return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}}
        if kind == "ellipsis":
            return {"class_name": "__ellipsis__", "config": {}}
        if kind == "array":
            return {"class_name": "__numpy__", "config": {"value": content, "dtype": x["dtype"]}}
        return [plain(item) for item in content]  # a tuple

    def outermost(x: Any) -> Any:
        if isinstance(x, dict) and "result" in x:
            name, call, position = place(x["result"])
            return [name, call + isinstance(graph.nodes[x["result"][0]].layer, Functional), position]
        return {k: outermost(v) for k, v in x["dict"].items()} if isinstance(x, dict) else [outermost(v) for v in x]

    layers = []
    for k, layer in enumerate(graph.layers):
        found = [described["calls"][j] for j in calls[k] if graph.nodes[j] not in graph.first]
        nodes = [_call_to_keras(layer, call) for call in found]
        inbound = [{"args": plain(args), "kwargs": plain({"dict": kwargs})} for args, kwargs, _ in nodes]
        config = to_keras(layer)
        for _, _, settings in nodes:
            config["config"] = config["config"] | {name: plain(value) for name, value in settings.items()}
        layers.append({**config, "name": layer.name, "inbound_nodes": inbound})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": outermost(described["inputs"]),
        "output_layers": outermost(described["outputs"]),
    }


def _operation_to_keras(layer: Operation) -> dict[str, Any]:
    module, title = f"keras.src.ops.{_known_operation(layer)[0]}", layer.title
    return {"module": module, "class_name": title, "config": {"name": layer.name}, "registered_name": title}


def _known_operation(layer: Operation) -> tuple[str, tuple[str, ...]]:
    """Where Keras has a function on tensors, and which of its arguments belong to its config."""
    if layer.function not in _OPERATIONS:
        raise ArgumentError(f"save: the function {layer.function!r} cannot be saved for Keras: save it as .minidl")
    return _OPERATIONS[layer.function]


def _call_to_keras(layer: Layer, call: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """The arguments of a call that are written as such, and those that belong to the configuration there."""
    args, kwargs = call["args"], call["kwargs"]
    if not isinstance(layer, Operation):
        return args, kwargs, {}
    _, settings = _known_operation(layer)
    parameters = inspect.signature(layer.compute).parameters
    given = dict(zip(parameters, args, strict=False)) | kwargs
    tensors: list[Any] = []
    found = {}
    for name, value in given.items():
        default = parameters[name].default
        if name in settings:
            found[_SPELLINGS.get(name, name)] = value
        elif default is MISSING:
            tensors.append(value)
        elif value != default:
            raise ArgumentError(f"save: Keras has no {layer.function} with {name}={value!r}: save it as .minidl")
    return tensors, {}, found


def compile_to_keras(compiled: Mapping[str, Any]) -> dict[str, Any]:
    """How a model is compiled, from `get_compile_config`, as Keras writes it."""

    def each(value: Any, module: str) -> Any:
        if isinstance(value, Mapping) and "class_name" in value:
            return _without_dtype(_object_to_keras(module if value["class_name"] in _known(module) else None, value))
        if isinstance(value, Mapping):
            return {key: each(item, module) for key, item in value.items()}
        return [each(item, module) for item in value] or None if isinstance(value, list) else value

    return {
        "optimizer": each(compiled["optimizer"], "keras.optimizers"),
        "loss": each(compiled["loss"], "keras.losses"),
        "loss_weights": compiled.get("loss_weights"),
        "metrics": each(compiled["metrics"], "keras.metrics"),
        "weighted_metrics": each(compiled["weighted_metrics"], "keras.metrics"),
        "run_eagerly": compiled["run_eagerly"],
        "steps_per_execution": 1,
    }


def _known(module: str) -> dict[str, Any]:
    return vars({"keras.optimizers": optimizers, "keras.losses": losses, "keras.metrics": metrics}[module])


def _without_dtype(described: dict[str, Any]) -> dict[str, Any]:
    """Metrics count in float64 here, and in float32 there: each in its own."""
    if described["config"].get("dtype") == "float64":
        del described["config"]["dtype"]
    return described


# And back.


def from_keras(described: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, Any]:
    """The class and configuration of a layer or model, as they are here, from what Keras wrote."""
    name, config = described["class_name"], described["config"]
    if name in ("Functional", "Model") and "layers" in config:
        return {"class_name": "Functional", "config": _graph_from_keras(config, custom)}
    if name == "Sequential":
        return {"class_name": name, "config": _chain_from_keras(config, custom)}
    if _is_operation(described):
        function = snake_case(name)
        return {"class_name": "Operation", "config": {"function": function, "name": config["name"]}}
    kind = look_up("layer", name, {**files.LAYERS, **custom})
    found = {"class_name": name, "config": _settings_from_keras(kind, config, custom)}
    shape = (described.get("build_config") or {}).get("input_shape")
    return found if shape is None else {**found, "input_shape": shape}


def _is_operation(described: Mapping[str, Any]) -> bool:
    """Whether it is a function on tensors: "Add" is one, and a layer, too."""
    return "trainable" not in described["config"] and snake_case(described["class_name"]) in _OPERATIONS


def _settings_from_keras(kind: Any, config: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those that do not exist here, if they make no difference."""
    if not hasattr(kind, "arguments"):
        raise DataFileError(f"{kind!r} is no class of a kind that a file can ask for")
    found = {}
    for key, value in config.items():
        name = "batch_shape" if key == "batch_input_shape" else key  # as it was called before Keras 3
        if name in kind.arguments():
            found[name] = _value_from_keras(value, custom)
        elif name != "batch_shape" and value not in (None, False) and _WITHOUT_EFFECT.get(name) not in (..., value):
            raise DataFileError(f"there is no {kind.__name__} with {name}={value!r:.80} here")
    axis = found.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        found["axis"] = axis[0]
    return found


def _value_from_keras(value: Any, custom: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_value_from_keras(item, custom) for item in value]
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    name, config = value["class_name"], value.get("config") or {}
    if name in ("function", "__numpy__", "__tensor__"):
        return config if name == "function" else config["value"]
    if name == "__lambda__":
        raise DataFileError("a lambda is code, which is never taken from a file: make it a function with a name")
    if name in ("DTypePolicy", "Policy"):
        return config["name"]
    if name in files.LAYERS or (isinstance(custom.get(name), type) and issubclass(custom[name], Layer)):
        return from_keras(value, custom)
    return {"class_name": name, "config": {key: _value_from_keras(x, custom) for key, x in config.items()}}


def _chain_from_keras(config: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, Any]:
    inside = [from_keras(part, custom) for part in config["layers"]]
    shape = config.get("build_input_shape")
    if inside and inside[0]["class_name"] == "InputLayer":
        shape = inside.pop(0)["config"]["batch_shape"]
    elif config["layers"] and shape is None:
        shape = config["layers"][0]["config"].get("batch_input_shape")
    trainable = config.get("trainable", True)
    return {"name": config["name"], "trainable": trainable, "batch_input_shape": shape, "layers": inside}


def _graph_from_keras(config: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, Any]:
    parts = config["layers"]
    numbers = {part["name"]: k for k, part in enumerate(parts)}
    # Among the outputs, Keras counts the calls of a graph inside from 1; before Keras 3, everywhere.
    graphs = {part["name"] for part in parts if part["class_name"] in ("Functional", "Model")}
    calls: list[dict[str, Any]] = []
    done: dict[tuple[int, int], int] = {}

    def origin(history: Sequence[Any]) -> tuple[int, int]:
        return numbers[history[0]], history[1]

    def plain(x: Any) -> Any:
        if isinstance(x, list):
            return [plain(item) for item in x]
        if not isinstance(x, Mapping):
            return x
        if "class_name" not in x:
            return {"dict": {key: plain(item) for key, item in x.items()}}
        kind, content = x["class_name"], x["config"]
        if kind == "__keras_tensor__":
            return {"result": [done[origin(content["keras_history"])], content["keras_history"][2]]}
        if kind == "__slice__":
            return {"slice": [plain(content[key]) for key in ("start", "stop", "step")]}
        if kind == "__ellipsis__":
            return {"ellipsis": None}
        if kind == "__tuple__":
            return {"tuple": [plain(item) for item in content]}
        if kind in ("__numpy__", "__tensor__"):
            return {"array": content["value"], "dtype": content["dtype"]}
        raise DataFileError(f"a layer is called with a {kind!r:.80}, which does not exist here")

    # Each call after those that it needs.
    waiting: list[tuple[int, int, Any, set[tuple[int, int]]]] = []
    for k, part in enumerate(parts):
        nodes = [_new_spelling(node, graphs) for node in part["inbound_nodes"]]
        for j, node in enumerate(nodes or [None]):
            waiting.append((k, j, node, {origin(history) for history in _histories(node)}))
    while waiting:
        ready = [item for item in waiting if item[3] <= done.keys()]
        if not ready:
            raise DataFileError("its layers wait for each other")
        for k, j, node, _ in ready:
            done[k, j] = len(calls)
            args, kwargs = _call_from_keras(parts[k], node)
            named = {name: plain(value) for name, value in kwargs.items()}
            calls.append({"layer": k, "args": [plain(x) for x in args], "kwargs": named})
        waiting = [item for item in waiting if item[:2] not in done]

    def outermost(x: Any) -> Any:
        if isinstance(x, Mapping):
            return {"dict": {key: outermost(item) for key, item in x.items()}}
        if len(x) == 3 and isinstance(x[0], str):
            return {"result": [done[origin([x[0], x[1] - (x[0] in graphs)])], x[2]]}
        return [outermost(item) for item in x]

    return {
        "name": config["name"],
        "trainable": config.get("trainable", True),
        "layers": [from_keras(part, custom) for part in parts],
        "calls": calls,
        "inputs": outermost(config["input_layers"]),
        "outputs": outermost(config["output_layers"]),
    }


def _new_spelling(node: Any, graphs: Container[str]) -> Any:
    """A call as Keras 3 writes it; before, it was [["layer", call, output, keyword arguments], …]."""
    if not isinstance(node, list):
        return node
    places = [[name, call - (name in graphs), position] for name, call, position, *_ in node]
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": place}} for place in places]
    return {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": node[0][3] if len(node[0]) > 3 else {}}


def _histories(x: Any) -> Iterator[Any]:
    """Where the symbolic tensors among the arguments of a call come from."""
    if isinstance(x, Mapping) and x.get("class_name") == "__keras_tensor__":
        yield x["config"]["keras_history"]
    elif isinstance(x, (list, Mapping)):
        for item in x.values() if isinstance(x, Mapping) else x:
            yield from _histories(item)


def _call_from_keras(part: Mapping[str, Any], node: Any) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call; those that say the usual are left out."""
    if node is None:
        return [], {}
    args, kwargs = node["args"], node["kwargs"]
    if not _is_operation(part):
        # With layers that change images, Keras writes a training that nobody asked for, and that predict overrules.
        unasked = issubclass(files.LAYERS.get(part["class_name"], Layer), ImageLayer)
        usual = {"mask": (None, False), "training": (None, False, unasked)}
        return args, {name: x for name, x in kwargs.items() if x not in usual.get(name, ())}
    settings = {_SPELLINGS.get(name, name): name for name in _OPERATIONS[snake_case(part["class_name"])][1]}
    found = {settings[name]: x for name, x in part["config"].items() if name in settings}
    if part["class_name"] == "GetItem" and isinstance(args[1], list):
        return [args[0], {"class_name": "__tuple__", "config": args[1]}], found
    return args, {**kwargs, **found}


def compile_from_keras(model: Any, compiled: Mapping[str, Any], custom: Mapping[str, Any]) -> None:
    """Compile a model as Keras says that it was."""

    def each(make: Any, value: Any) -> Any:
        """`make` of every object and every name, however they are nested."""
        if isinstance(value, Mapping) and "class_name" not in value:
            return {key: each(make, item) for key, item in value.items()}
        if isinstance(value, list):
            return [each(make, item) for item in value]
        return None if value is None else make(_value_from_keras(value, custom))

    def loss(value: Any) -> Any:
        return losses.deserialize(_filtered(losses, value, custom), custom)

    def metric(value: Any) -> Any:
        if isinstance(value, str):
            return custom.get(value, value)
        return metrics.deserialize(_filtered(metrics, value, custom), custom)

    optimizer = _filtered(optimizers, _value_from_keras(compiled["optimizer"], custom), custom)
    model.compile(
        optimizers.deserialize(optimizer, custom), each(loss, compiled["loss"]), compiled.get("loss_weights"),
            each(metric, compiled.get("metrics")), each(metric, compiled.get("weighted_metrics")),
        run_eagerly=compiled.get("run_eagerly", False) is True,
    )  # fmt: skip


def _filtered(module: Any, described: Any, custom: Mapping[str, Any]) -> Any:
    """An object without the settings that do not exist here."""
    if not isinstance(described, Mapping):
        return described
    kind = {**vars(module), **custom}.get(described["class_name"])
    if not isinstance(kind, type):
        return described  # which gets an error of its own
    config = dict(described["config"])
    if module is metrics and config.get("dtype") == "float32":
        del config["dtype"]
    return {"class_name": described["class_name"], "config": _settings_from_keras(kind, config, custom)}
