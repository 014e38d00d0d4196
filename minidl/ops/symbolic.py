"""What makes the functions of `minidl.ops` take symbolic tensors, which know their shape but have no values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minidl.errors import SymbolicError


@functools.cache
def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which leaves it to an argument that has no values to note the call.

    Such an argument raises a `SymbolicError` that has it when its values are asked for. Calls on arrays and tensors,
    where there is none, pay nothing for a search.
    """

    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SymbolicError as error:
            if error.tensor is None:
                raise
            tensor = error.tensor
        # Outside the block, so that an error in there is not shown as a consequence of the other.
        return tensor.record(function.__name__, *args, **kwargs)

    return operation
