"""`TerminateOnNaN`: training ends when the loss is NaN or infinite, and the layer is named that went first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.autodiff import no_grad
from minidl.autodiff.graph import HEAP, layer_path, tracing
from minidl.autodiff.replaying import Runner
from minidl.autodiff.tensor import Tensor
from minidl.autodiff.tree import leaves
from minidl.callbacks.callback import Callback, Logs
from minidl.errors import NonFiniteError
from minidl.kernels import Kernel
from minidl.layers.snapshot import Snapshot
from minidl.memory import Array, Memory


class TerminateOnNaN(Callback):
    """Stops after the first batch whose loss is NaN or infinite, and says where in the model that began.

    After that batch all weights may be NaN. So they are copied before each batch, with the states of the layers'
    random generators: that costs as much time as copying and as much memory as they take. When it has happened, the
    batch runs forward once more with the copies, kernel by kernel, and the first result that is not finite is found;
    then the model gets back what the step left it with. `reason` keeps what is printed about it.

    With `raise_error` a `NonFiniteError` ends the training instead: no other callback is told of its end.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error
        self.reason: str | None = None
        self._before: Snapshot | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Nothing has happened yet."""
        self._before, self.reason = None, None

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Remember the weights."""
        if self._before is None:
            self._before = Snapshot(self.model)
        self._before.take()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        self.reason = self._reason()
        if self.raise_error:
            raise NonFiniteError(f"NaN or Inf loss encountered at batch {batch}: {loss}. {self.reason}")
        print(f"Batch {batch}: Invalid loss, terminating training. {self.reason}")
        self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """The copies are needed no more."""
        self._before = None

    def _reason(self) -> str:
        """What went wrong first, in words."""
        assert self._before is not None
        after = Snapshot(self.model)
        self._before.restore()
        try:
            broken = [v.path for v in self.model.variables if v.dtype.kind == "f" and not np.isfinite(v.data).all()]
            if broken:
                return f"Before it {', '.join(broken[:3])} had become NaN or infinite: the step before was too large."
            return _first_in(self.model, self.model._steps.batch[0])
        finally:
            after.restore()


def _first_in(model: Any, x: Any) -> str:
    """Which layer is the first whose result for x is not finite."""
    watch = _Watch()
    with tracing(watch), no_grad(), np.errstate(all="ignore"):
        model(x, training=True)
    if watch.first is None:
        return "All layers gave finite results: the loss itself is not finite."
    path, kernel, value = watch.first
    where = f"Layer {path!r}" if path else f"Model {model.name!r}, outside of its layers,"
    return f"{where} was the first to give {value} (in {kernel})."


class _Watch(Runner):
    """Looks at every result until one is not finite."""

    def __init__(self) -> None:
        self.first: tuple[str, str, str] | None = None

    def forward(self, kernel: Kernel, inputs: Sequence[Tensor | Array], memory: Memory = HEAP) -> tuple[Any, Any]:
        """Run a kernel forward."""
        y, saved = super().forward(kernel, inputs, memory)
        if self.first is None:
            for array in leaves(y):
                if array.dtype.kind in "fc" and not np.isfinite(array).all():
                    value = "NaN" if np.isnan(array).any() else "infinity"
                    name = getattr(kernel, "name", type(kernel).__name__)
                    self.first = layer_path.get().rstrip("/"), name, value
        return y, saved
