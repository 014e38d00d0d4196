"""`Variable`: a tensor with a name that can be assigned to: a weight, a moving average, an optimizer's slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minidl import config
from minidl.autodiff.graph import new_generation, no_grad, tracing
from minidl.autodiff.tensor import Tensor, TensorLike, as_tensor, check_broadcast, perform, plain
from minidl.errors import DTypeError, MiniDLError, ShapeError
from minidl.memory import Array, Shape


class Variable(Tensor):
    """A tensor with a name, that can be assigned to.

    `initializer` is its first value, or a function `f(shape, dtype)` that makes it. A `trainable` variable is tracked:
    every operation on it is recorded, and optimizers change it. A moving average is not trainable. `path` says where in
    a model it stands: "dense_1/kernel".
    """

    __slots__ = ("_constraint", "_regularizer", "_trainable", "name", "path")
    assignable = True

    def __init__(
        self,
        initializer: TensorLike | Callable[..., TensorLike],
        shape: Shape | None = None,
        dtype: npt.DTypeLike | None = None,
        trainable: bool = True,
        name: str = "variable",
    ) -> None:
        if callable(initializer):
            if shape is None:
                raise ShapeError(f"Variable {name!r}: an initializer needs a shape")
            dtype = np.dtype(dtype or config.floatx())
            value = np.asarray(plain(initializer(shape, dtype.name)))
        else:
            value = initializer
        super().__init__(value, dtype)
        if shape is not None and self.shape != tuple(shape):
            raise ShapeError(f"Variable {name!r}: expected a value of shape {tuple(shape)}, got {self.shape}")
        # The variable owns its array: assigning to it must not write into the caller's.
        self.data = np.array(self.data, order="C")
        self.name = name
        self.path = name
        self._regularizer: Callable[[TensorLike], TensorLike] | None = None
        self._constraint: Callable[[TensorLike], TensorLike] | None = None
        self._trainable = bool(trainable)
        self.trainable = trainable

    @property
    def trainable(self) -> bool:
        """Whether operations on the variable are recorded and optimizers change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        # A new variable is in no recorded step yet.
        if value != self._trainable:
            new_generation()
        self._trainable = bool(value)
        self.output = None
        if self._trainable and self.dtype.kind in "fc":
            self.track()

    @property
    def regularizer(self) -> Callable[[TensorLike], TensorLike] | None:
        """A function of the variable that is added to the loss of the model it belongs to, as long as it is trained."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, function: Callable[[TensorLike], TensorLike] | None) -> None:
        self._regularizer = self._tried("regularizer", function)

    @property
    def constraint(self) -> Callable[[TensorLike], TensorLike] | None:
        """A function that makes an allowed value of any; optimizers apply it after each step."""
        return self._constraint

    @constraint.setter
    def constraint(self, function: Callable[[TensorLike], TensorLike] | None) -> None:
        self._constraint = self._tried("constraint", function, self.accept)

    def _tried(
        self, role: str, function: Callable[[TensorLike], TensorLike] | None, check: Callable[[Any], Any] = as_tensor
    ) -> Callable[[TensorLike], TensorLike] | None:
        """The function, if it works on this variable: better known now than in the middle of a step."""
        new_generation()
        if function is None:
            return None
        if not callable(function):
            raise DTypeError(f"{role} of {self.path!r}: expected a function of the variable, got {function!r}")
        try:
            with no_grad(), tracing(None):
                check(function(self))
        except MiniDLError as error:
            raise type(error)(f"{role} of {self.path!r}: {error}") from error
        return function

    @property
    def value(self) -> Tensor:
        """The variable itself; Keras code reads its tensor here."""
        return self

    def numpy(self) -> Array:
        """A copy of the value: what is assigned later does not change it."""
        return super().numpy().copy()

    def accept(self, value: TensorLike) -> Array:
        """`value` as an array that can be assigned: of the variable's shape and of a dtype that it can hold."""
        array = np.asarray(plain(value))
        if array.shape != self.shape:
            raise ShapeError(f"assign to {self.path!r}: expected shape {self.shape}, got {array.shape}")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise DTypeError(f"assign to {self.path!r}: cannot turn {array.dtype} into {self.dtype} without loss")
        return array

    def assign(self, value: TensorLike) -> Variable:
        """Give the variable a new value of its shape; it keeps its dtype."""
        perform(self._write, value)
        return self

    def assign_add(self, value: TensorLike) -> Variable:
        """Add to the value; what is added may be of a smaller shape that broadcasts."""
        perform(self._add, value)
        return self

    def assign_sub(self, value: TensorLike) -> Variable:
        """Subtract from the value; what is subtracted may be of a smaller shape that broadcasts."""
        perform(self._subtract, value)
        return self

    def _write(self, value: TensorLike) -> None:
        np.copyto(self.data, self.accept(value), casting="same_kind")
        self.version += 1

    def _add(self, value: TensorLike) -> None:
        self._write(self.data + self._broadcastable(value))

    def _subtract(self, value: TensorLike) -> None:
        self._write(self.data - self._broadcastable(value))

    def _broadcastable(self, value: TensorLike) -> Array:
        array = np.asarray(plain(value))
        if array.ndim and array.shape != self.shape:
            check_broadcast(f"assign to {self.path!r}", self.shape, array.shape)
        return array

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, trainable={self.trainable}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        copy = Variable(self.data, trainable=self.trainable, name=self.name)
        copy.path, copy._regularizer, copy._constraint = self.path, self._regularizer, self._constraint
        return copy
