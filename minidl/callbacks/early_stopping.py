"""`EarlyStopping`: training ends when the validation gets no better; the cheapest regularization there is."""

from __future__ import annotations

from minidl.callbacks.callback import Logs
from minidl.callbacks.monitor import Monitor
from minidl.checks import count, flag, number
from minidl.memory import Array


class EarlyStopping(Monitor):
    """Stops when `monitor` has not got better by more than `min_delta` for `patience` epochs.  (Prechelt 1998)

    - `patience`: 0 stops at the first epoch that is no better, but never at the very first one.
    - `mode`: "min", "max", or "auto", which asks the metric.
    - `baseline`: as long as no epoch is better than it, every epoch counts as no better.
    - `restore_best_weights`: at the end of training, also of one that went on to its last epoch, the model gets the
      weights of its best epoch back. While training runs they are kept in memory beside the others.
    - `start_from_epoch`: epochs before it are not looked at.
    - `verbose`: 1 says when it stops and what it restores.

    `stopped_epoch` is the epoch (from 0) in which it stopped, 0 if it did not; `best_epoch` that of the `best` value.
    An epoch without the monitored number is passed over with a warning.

        model.fit(x, y, epochs=100, validation_split=0.1,
                  callbacks=[EarlyStopping(patience=10, restore_best_weights=True)])
    """

    remembers = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = count(self, "patience", patience, least=0)
        self.verbose = verbose
        self.baseline = None if baseline is None else number(self, "baseline", baseline)
        self.restore_best_weights = flag(self, "restore_best_weights", restore_best_weights)
        self.start_from_epoch = count(self, "start_from_epoch", start_from_epoch, least=0)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen in another training."""
        super().reset()
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judge the epoch."""
        value = self.current(logs)
        if value is None:
            self.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}"
            )
        if value is None or epoch < self.start_from_epoch:
            return
        better = self.is_better(value, self.best)
        # An epoch is restored even if none was good enough to be called the best.
        if better or (self.restore_best_weights and self.best_weights is None):
            self._keep(epoch)
        self.wait += 1
        if better:
            self.best = value
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        """Remember the weights of the best epoch so far."""
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Give the model its best weights back."""
        if self.verbose and self.stopped_epoch:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
