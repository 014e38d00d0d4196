"""`Operation`: a function on tensors as a layer, so that it can be part of a model."""

from __future__ import annotations

import re
from typing import Any

from minidl import ops
from minidl.autodiff.tensor import Tensor
from minidl.errors import look_up
from minidl.layers.layer import Layer, takes_training
from minidl.layers.naming import unique_name


class Operation(Layer):
    """y = function(…), a function of `minidl.ops` by its name, or "get_item".

    Symbolic tensors make these layers: `x + 1` of a symbolic x is `Operation("add")(x, 1)`.
    """

    def __init__(self, function: str, *, name: str | None = None, **kwargs: Any) -> None:
        self.compute = look_up("operation", function, _functions())
        super().__init__(name=unique_name(function) if name is None else name, **kwargs)
        self.function = function

    @property
    def title(self) -> str:
        """What a summary calls its type: "expand_dims" → "ExpandDims"."""
        return re.sub(r"(?:^|_)(.)", lambda match: match[1].upper(), self.function)

    def call(self, *args: Any, training: bool = False, **kwargs: Any) -> Any:
        """What the function gives; one that is random in training is told whether this is."""
        if takes_training(self.compute):
            kwargs["training"] = training
        return self.compute(*args, **kwargs)


def _functions() -> dict[str, Any]:
    return {"get_item": _get_item, **{name: getattr(ops, name) for name in ops.__all__}}


def _get_item(x: Tensor, index: Any) -> Tensor:
    return x[index]
