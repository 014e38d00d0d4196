"""Training: data in batches, one gradient step, and the loops around it."""

from minidl.training.data import Data, as_data, as_inputs
from minidl.training.loop import evaluate, fit, predict, rehearse
from minidl.training.objective import Objective
from minidl.training.step import Steps

__all__ = [
    "Data", "Objective", "Steps", "as_data", "as_inputs", "evaluate", "fit", "predict", "rehearse",
]  # fmt: skip
