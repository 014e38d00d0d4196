"""Models: layers that can be trained."""

from minidl.models.files import load_model, read_weights
from minidl.models.functional import Functional
from minidl.models.model import Model
from minidl.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "load_model", "read_weights"]
