"""Callbacks: hooks into every step of training."""

from minidl.callbacks.callback import Callback, CallbackList
from minidl.callbacks.csv_logger import CSVLogger
from minidl.callbacks.early_stopping import EarlyStopping
from minidl.callbacks.history import History
from minidl.callbacks.lambda_callback import LambdaCallback
from minidl.callbacks.learning_rate_scheduler import LearningRateScheduler
from minidl.callbacks.model_checkpoint import ModelCheckpoint
from minidl.callbacks.one_cycle import OneCycle, OneCycleScheduler
from minidl.callbacks.progress import ProgressBar
from minidl.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from minidl.callbacks.tensorboard import TensorBoard
from minidl.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "LearningRateScheduler",
    "ModelCheckpoint", "OneCycle", "OneCycleScheduler", "ProgressBar", "ReduceLROnPlateau", "TensorBoard",
    "TerminateOnNaN",
]  # fmt: skip
