"""Models: layers that can be trained."""

from minidl.models.files import load_model, read_weights, save_model
from minidl.models.folding import fold_batch_norm
from minidl.models.functional import Functional
from minidl.models.matching import LoadReport, load_weights_matching
from minidl.models.model import Model
from minidl.models.reusing import clone_model, freeze, unfreeze, variables_matching
from minidl.models.sequential import Sequential

__all__ = [
    "Functional", "LoadReport", "Model", "Sequential", "clone_model", "fold_batch_norm", "freeze", "load_model",
    "load_weights_matching", "read_weights", "save_model", "unfreeze", "variables_matching",
]  # fmt: skip
