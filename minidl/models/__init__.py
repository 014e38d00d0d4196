"""Models: layers that can be trained."""

from minidl.models.files import load_model
from minidl.models.functional import Functional
from minidl.models.model import Model
from minidl.models.reusing import clone_model, freeze, unfreeze, variables_matching
from minidl.models.sequential import Sequential

__all__ = [
    "Functional", "Model", "Sequential", "clone_model", "freeze", "load_model", "unfreeze", "variables_matching",
]  # fmt: skip
