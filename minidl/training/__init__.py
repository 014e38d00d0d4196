"""Training: data in batches, one gradient step, and the loops around it."""

from minidl.training.data import Data, as_data, as_inputs
from minidl.training.loop import evaluate, fit, predict, rehearse
from minidl.training.objective import Objective, Objectives, objective_for
from minidl.training.run import Run
from minidl.training.step import Steps

__all__ = [
    "Data", "Objective", "Objectives", "Run", "Steps", "as_data", "as_inputs", "evaluate", "fit", "objective_for",
    "predict", "rehearse",
]  # fmt: skip
