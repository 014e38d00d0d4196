"""Callbacks: hooks into every step of training."""

from minidl.callbacks.callback import Callback, CallbackList
from minidl.callbacks.history import History
from minidl.callbacks.one_cycle import OneCycle
from minidl.callbacks.progress import ProgressBar

__all__ = ["Callback", "CallbackList", "History", "OneCycle", "ProgressBar"]
