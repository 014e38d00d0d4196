"""Training: data in batches, one gradient step, and the loops around it."""

from minidl.training.data import Data, as_data, as_inputs
from minidl.training.loop import evaluate, fit, predict, rehearse
from minidl.training.objective import Objective
from minidl.training.step import predict_step, test_step, train_step

__all__ = [
    "Data", "Objective", "as_data", "as_inputs", "evaluate", "fit", "predict", "predict_step", "rehearse", "test_step",
    "train_step",
]  # fmt: skip
