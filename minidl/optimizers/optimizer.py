"""`Optimizer`: everything about taking a step except the mathematics of it.

An optimizer is three short methods. `slots` names what it remembers about each variable, such as a momentum.
`coefficients` computes, once a step, the numbers that depend on the learning rate and the step alone. `update` is the
rule itself: on plain NumPy arrays, in place and strictly element by element, so that it may be run on whole variables
or on any piece of them. All the rest is here, written once: checking, clipping, weight decay, learning rates, configs.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypedDict

import numpy as np

from minidl.autodiff.graph import new_generation, no_grad
from minidl.autodiff.tape import GradientTape
from minidl.autodiff.tensor import Tensor, perform
from minidl.checks import number
from minidl.configurable import Configurable
from minidl.errors import AbstractMethodError, ArgumentError, unknown_name, warn_old_name
from minidl.layers.variable import Variable
from minidl.memory import Array
from minidl.optimizers import clipping, schedules
from minidl.optimizers.flat import Block, Run, runs
from minidl.optimizers.gradients import fitting
from minidl.optimizers.schedules import InverseTimeDecay, LearningRateSchedule
from minidl.threads import division, in_parallel

Rate = Variable | LearningRateSchedule | Callable[[], Any]


class Common(TypedDict, total=False):
    """Arguments that every optimizer has besides its own; `lr` and `decay` are old spellings."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    name: str | None
    lr: float
    decay: float


class Options(Common, total=False):
    """All arguments that an optimizer has besides its own."""

    weight_decay: float | None


class Optimizer(Configurable):
    """What changes variables, given the gradients of a loss with respect to them.

    - `learning_rate` η: a number, a `LearningRateSchedule` (called with the number of steps done so far), or a function
      without arguments.
    - `weight_decay`: before each update `w −= w·weight_decay·η`, on every variable unless `exclude_from_weight_decay`.
    - `clipvalue`, `clipnorm`, `global_clipnorm`: at most one of them; see `minidl.optimizers.clipping`.
    - `name`: the first part of the paths of the optimizer's variables; the class name in lower case unless given.

    A subclass keeps each argument of its `__init__` as an attribute of the same name (`get_config`, `from_config` and
    `repr` follow from it), passes `**options` on, and defines `update`, and `slots` and `coefficients` where it needs
    them:

        class SignDescent(Optimizer):
            def __init__(self, learning_rate=0.001, **options):
                super().__init__(learning_rate, **options)

            def update(self, w, g, learning_rate):
                w -= learning_rate * np.sign(g)
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **old: Any,
    ) -> None:
        self.name = name or type(self).__name__.lower()
        self.weight_decay = None if weight_decay is None else number(self, "weight_decay", weight_decay, "≥ 0")
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {argument: number(self, argument, x, "> 0") for argument, x in limits.items() if x is not None}
        if len(given) > 1:
            raise ArgumentError(f"{type(self).__name__}: only one of {', '.join(limits)} can be set, got {given}")
        self.clipnorm, self.clipvalue, self.global_clipnorm = (given.get(argument) for argument in limits)
        self.iterations = self._state("iteration", 0, "int64")
        self._slots: dict[Variable, dict[str, Variable]] = {}
        self._blocks: dict[Variable, Block] = {}
        self._steps: dict[tuple[Variable, ...], _Step] = {}
        self._excluded: list[Variable] = []
        self._excluded_names: list[str] = []
        self._learning_rate = self._new_rate(self._in_new_spelling(learning_rate, old) if old else learning_rate)

    def slots(self) -> dict[str, float]:
        """What is remembered about each element of a variable: names, and the values to start from."""
        return {}

    def coefficients(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """The numbers that `update` needs in step t = 1, 2, ..., the same for all elements; called once a step.

        They are Python numbers, computed in float64, and do not change the dtype of arrays.
        """
        return (learning_rate,)

    def update(self, w: Array, g: Array, *coefficients: Any, **slots: Any) -> None:
        """Change `w` and the slots in place, element by element, given the gradient `g`, which is not changed."""
        raise AbstractMethodError(f"{type(self).__name__} must define update(self, w, g, ...)")

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable if it was given as a number, else the current value as a tensor.

        Assigning a number, a schedule or a function replaces it. `ArgumentError` for a number that is negative or not
        finite.
        """
        rate = self._learning_rate
        return rate if isinstance(rate, Variable) else Tensor(np.float64(self._current_rate()))

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = self._new_rate(value)
        if isinstance(self._learning_rate, Variable) and isinstance(rate, Variable):
            self._learning_rate.assign(rate)
        else:
            self._learning_rate = rate

    @property
    def lr(self) -> Any:
        """The old name of `learning_rate`."""
        warn_old_name(f"{type(self).__name__}.lr", "learning_rate")
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        warn_old_name(f"{type(self).__name__}.lr", "learning_rate")
        self.learning_rate = value

    @property
    def variables(self) -> list[Variable]:
        """The state: `iterations`, the learning rate if it is a number, then the slots, variable by variable."""
        rate = [self._learning_rate] if isinstance(self._learning_rate, Variable) else []
        return [self.iterations, *rate, *(slot for slots in self._slots.values() for slot in slots.values())]

    @property
    def slots_of(self) -> dict[Variable, dict[str, Variable]]:
        """The slots of every variable by their names, in the order in which the variables came."""
        return dict(self._slots)

    @property
    def excluded(self) -> tuple[list[Variable], list[str]]:
        """The variables, and the parts of names, that `exclude_from_weight_decay` was given."""
        return self._excluded, self._excluded_names

    @property
    def built(self) -> bool:
        """Whether there are variables that the optimizer has slots for."""
        return bool(self._slots)

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the slots of those variables that have none yet, and lay all that belongs together side by side."""
        new: dict[Any, list[Variable]] = {}
        for variable in variables:
            if variable not in self._blocks:
                new.setdefault(variable.dtype, []).append(variable)
        for together in new.values():
            block = Block(together)
            for variable in together:
                self._blocks[variable], self._slots[variable] = block, {}
        for block in dict.fromkeys(self._blocks.values()):
            self._complete(block)

    def _complete(self, block: Block) -> None:
        """Give a block the slots that it lacks: all at first, and later those of an argument that has been changed."""
        for name, start in self.slots().items():
            if name not in block.slots:
                block.add_slot(name, start)
                for variable in block.places:
                    slot = self._state(f"{variable.path.replace('/', '_')}_{name}", 0, variable.dtype)
                    slot.data = block.view(block.slots[name], variable)
                    self._slots[variable][name] = slot

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """`apply` for pairs of a gradient and a variable; returns `iterations`, the number of steps done."""
        pairs = [tuple(pair) for pair in grads_and_vars]
        if any(len(pair) != 2 for pair in pairs):
            raise ArgumentError("apply_gradients: expected pairs (gradient, variable)")
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Take one step: change the variables by their gradients, which are tensors, arrays or None.

        Without `trainable_variables` they are those that the optimizer was built with. A variable whose gradient is
        None stays as it is, with a warning. A variable not seen before gets fresh slots, so that layers can be unfrozen
        between steps; `trainable` is not asked. Without gradients nothing happens at all, not even a step is counted.
        After the update a variable that has a `constraint` is made to obey it.

        Everything is checked before anything changes: `ArgumentError` if the numbers of gradients and variables
        differ, a variable comes twice or all gradients are None; `ShapeError` and `DTypeError` for a gradient that does
        not fit its variable. NaN is no error.
        """
        if trainable_variables is None and not self.built:
            raise ArgumentError("apply: without variables the optimizer must be built: pass them, or call build first")
        variables = list(self._slots if trainable_variables is None else trainable_variables)
        pairs = fitting(type(self).__name__, list(grads), variables)
        if not pairs:
            return
        self.build(variables)
        chosen = tuple(variable for _, variable in pairs)
        step = self._steps.get(chosen)
        if step is None:
            step = self._steps[chosen] = _Step(self, chosen)
        clipped = (self.clipvalue, self.clipnorm, self.global_clipnorm) != (None, None, None)
        # Clipping writes to where the gradients are gathered, so they must not live there from the start.
        perform(step.take, *(g for g, _ in pairs), into=None if clipped else step.gradients)

    def minimize(self, loss: Callable[[], Tensor], var_list: Sequence[Variable]) -> Tensor:
        """Take one step down the gradient of `loss()` with respect to the variables; returns the loss before it."""
        with GradientTape() as tape:
            value = loss()
        self.apply(tape.gradient(value, list(var_list)), var_list)
        return value

    def clip(self, gradients: list[Array]) -> list[Array]:
        """The gradients, clipped as `clipvalue`, `clipnorm` or `global_clipnorm` says."""
        if self.clipvalue is not None:
            return [clipping.clip_by_value(g, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [clipping.clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm is not None:
            return clipping.clip_by_global_norm(gradients, self.global_clipnorm)
        return gradients

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Let weight decay spare the variables in `var_list`, and those whose name contains one of `var_names`.

        `var_names=["bias"]` spares all biases. A second call replaces the first. Configs do not hold the exclusion.
        """
        if isinstance(var_names, str):
            raise ArgumentError(f"exclude_from_weight_decay: var_names must be a list of strings, got {var_names!r}")
        self._excluded, self._excluded_names = list(var_list or []), list(var_names or [])
        self._steps.clear()
        new_generation()

    def decays(self, variable: Variable) -> bool:
        """Whether weight decay, if there is any, reaches the variable."""
        by_name = any(part in variable.name for part in self._excluded_names)
        return not by_name and all(variable is not v for v in self._excluded)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Copied one by one, the pieces of the long arrays would not be pieces any more.
        optimizer = memo[id(self)] = object.__new__(type(self))
        for name, value in vars(self).items():
            laid_out = name in ("_blocks", "_slots", "_steps")
            setattr(optimizer, name, {} if laid_out else copy.deepcopy(value, memo))
        variables = [copy.deepcopy(variable, memo) for variable in self._blocks]
        optimizer.build(variables)
        for own, slots in zip(variables, self._slots.values(), strict=True):
            for name, slot in slots.items():
                optimizer._slots[own][name].assign(slot)
        return optimizer

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__` by name, as plain data. A function as learning rate is an `ArgumentError`."""
        rate = self._learning_rate
        if not isinstance(rate, (Variable, LearningRateSchedule)):
            raise ArgumentError(
                f"{type(self).__name__}: a function as learning_rate has no config: make it a LearningRateSchedule"
            )
        described = float(rate) if isinstance(rate, Variable) else schedules.serialize(rate)
        return {**super().get_config(), "learning_rate": described}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The optimizer that `get_config` described, without its state."""
        arguments = dict(config)
        if isinstance(arguments.get("learning_rate"), Mapping):
            arguments["learning_rate"] = schedules.deserialize(arguments["learning_rate"], custom_objects)
        return super().from_config(arguments)

    @classmethod
    def arguments(cls) -> dict[str, inspect.Parameter]:
        """The arguments of `__init__`, but for the old spellings."""
        found = super().arguments()
        return {name: found[name] for name in found if name not in ("lr", "decay")}

    def shown(self, name: str) -> Any:
        """What `repr` shows of an argument: the learning rate as it was given."""
        if name == "learning_rate":
            rate = self._learning_rate
            return float(rate) if isinstance(rate, Variable) else rate
        return super().shown(name)

    def _state(self, name: str, value: Any, dtype: Any) -> Variable:
        """A variable that belongs to the optimizer."""
        variable = Variable(value, dtype=dtype, trainable=False, name=name)
        variable.path = f"{self.name}/{name}"
        return variable

    def _new_rate(self, value: Any) -> Rate:
        """A learning rate as it is kept: a schedule or a function as it is, a number as a variable."""
        if not callable(value):
            return self._state("learning_rate", number(self, "learning_rate", value, "≥ 0"), "float64")
        rate: Rate = value
        if not isinstance(rate, LearningRateSchedule):
            try:
                inspect.signature(value).bind()
            except (TypeError, ValueError):
                raise ArgumentError(
                    f"{type(self).__name__}: a function as learning_rate must take no arguments, got {value!r}: "
                    "for a function of the step derive from LearningRateSchedule"
                ) from None
        return rate

    def _current_rate(self) -> float:
        """The learning rate of the next step, checked."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return number(self, "learning_rate", rate, "≥ 0")
        done = int(self.iterations)
        value = rate(done) if isinstance(rate, LearningRateSchedule) else rate()
        return number(self, f"learning_rate (from {rate!r} after {done} steps)", value, "≥ 0")

    def _in_new_spelling(self, learning_rate: Any, old: dict[str, Any]) -> Any:
        """The learning rate that the old arguments `lr` and `decay` mean; an error for arguments that never were."""
        unknown = [argument for argument in old if argument not in ("lr", "decay")]
        if unknown:
            raise unknown_name(f"argument of {type(self).__name__}", unknown[0], self.arguments())
        if "lr" in old:
            warn_old_name(f"{type(self).__name__}(lr=…)", "learning_rate=…")
            new = inspect.signature(type(self)).parameters.get("learning_rate")
            if new is None or learning_rate is not new.default:
                raise ArgumentError(f"{type(self).__name__}: got both lr and learning_rate: leave out lr")
            learning_rate = old["lr"]
        if "decay" in old:
            warn_old_name(f"{type(self).__name__}(decay=…)", "learning_rate=InverseTimeDecay(learning_rate, 1, decay)")
            rate = number(self, "learning_rate with decay", learning_rate, "≥ 0")
            decay = number(self, "decay", old["decay"], "≥ 0")
            learning_rate = InverseTimeDecay(rate, 1, decay) if decay else rate
        return learning_rate


class _Step:
    """The steps of an optimizer on one set of variables."""

    def __init__(self, optimizer: Optimizer, variables: tuple[Variable, ...]) -> None:
        homes = [(optimizer._blocks[v], v) for v in variables]
        self._optimizer = optimizer
        self._homes = homes
        self._runs = runs(homes, optimizer.decays)
        self.gradients = [block.gradient_of[v] for block, v in homes]

    def take(self, *gradients: Array) -> None:
        """Change the variables by their gradients, which are known to fit them, and count the step."""
        optimizer = self._optimizer
        learning_rate = optimizer._current_rate()
        for own, g in zip(self.gradients, optimizer.clip(list(gradients)), strict=True):
            if g is not own:
                np.copyto(own, g)
        for block, variable in self._homes:
            block.house(variable)
            variable.version += 1
        coefficients = optimizer.coefficients(learning_rate, int(optimizer.iterations) + 1)
        for run in self._runs:
            optimizer._complete(run.block)
            self._change(run, learning_rate, coefficients)
        for _, variable in self._homes:
            if variable.constraint is not None:
                with no_grad():
                    variable.assign(variable.constraint(variable))
        optimizer.iterations.assign_add(1)

    def _change(self, run: Run, learning_rate: float, coefficients: tuple[float, ...]) -> None:
        """The rule, on one piece of a run after the other."""
        optimizer, everything = self._optimizer, slice(run.start, run.stop)
        values, gradients = run.block.values[everything], run.block.gradients[everything]
        gradients.flags.writeable = False
        slots = {name: run.block.slots[name][everything] for name in optimizer.slots()}
        decay = (optimizer.weight_decay or 0.0) * learning_rate if run.decays else 0.0

        def change(worker: int, piece: slice) -> None:
            w = values[piece]
            if decay:
                # Not w *= 1 − η·λ: in float32 that rounds the decay, typically 1e-6, to a multiple of 6e-8.
                w -= decay * w
            optimizer.update(w, gradients[piece], *coefficients, **{name: slot[piece] for name, slot in slots.items()})

        in_parallel(change, len(values), *division(len(values)))
