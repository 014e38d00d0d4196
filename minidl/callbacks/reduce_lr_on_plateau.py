"""`ReduceLROnPlateau`: performance scheduling; the learning rate goes down when the model gets no better."""

from __future__ import annotations

from minidl.callbacks.callback import Logs
from minidl.callbacks.monitor import Monitor
from minidl.callbacks.rates import check_rate_can_be_set, log_rate
from minidl.checks import count, number
from minidl.errors import ArgumentError, warn_old_name


class ReduceLROnPlateau(Monitor):
    """`η ← max(η·factor, min_lr)` when `monitor` has not got better by more than `min_delta` for `patience` epochs.

    - `mode`: "min", "max", or "auto", which asks the metric.
    - `cooldown`: so many epochs after a reduction are not counted.
    - `verbose`: 1 says what the rate becomes.

    The rate of the epoch that ends, before a reduction, is added to its logs as "learning_rate". `epsilon` is an old
    spelling of `min_delta`.
    """

    remembers = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        epsilon: float | None = None,
    ) -> None:
        if epsilon is not None:
            warn_old_name("ReduceLROnPlateau: epsilon", "min_delta")
            min_delta = epsilon
        super().__init__(monitor, mode, min_delta)
        self.factor = number(self, "factor", factor, "≥ 0")
        if self.factor >= 1:
            raise ArgumentError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.patience = count(self, "patience", patience, least=0)
        self.verbose = verbose
        self.cooldown = count(self, "cooldown", cooldown, least=0)
        self.min_lr = number(self, "min_lr", min_lr, "≥ 0")
        self.reset()

    def reset(self) -> None:
        """Forget what was seen in another training."""
        super().reset()
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out which way is better, and whether there is a rate to set."""
        check_rate_can_be_set(self)
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judge the epoch."""
        log_rate(self, logs)
        value = self.current(logs)
        if value is None:
            self.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}."
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that epochs are not counted."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        before = float(optimizer.learning_rate)
        if before <= self.min_lr:
            return
        after = max(before * self.factor, self.min_lr)
        optimizer.learning_rate = after
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {after}.")
        self.cooldown_counter, self.wait = self.cooldown, 0
