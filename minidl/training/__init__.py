"""Training: data in batches, one gradient step, and the loops around it."""

from minidl.training.data import Data, as_data, as_inputs, pack_x_y_sample_weight, unpack_x_y_sample_weight
from minidl.training.loop import evaluate, fit, predict, rehearse
from minidl.training.objective import Objective, Objectives, objective_for
from minidl.training.run import Run
from minidl.training.step import Steps, Trainer

__all__ = [
    "Data", "Objective", "Objectives", "Run", "Steps", "Trainer", "as_data", "as_inputs", "evaluate", "fit",
    "objective_for", "pack_x_y_sample_weight", "predict", "rehearse", "unpack_x_y_sample_weight",
]  # fmt: skip
