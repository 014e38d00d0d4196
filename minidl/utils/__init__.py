"""Small helpers under the names they have in Keras."""

from minidl.layers.naming import reset_names as clear_session
from minidl.models.files import custom_object_scope
from minidl.random import set_random_seed
from minidl.training import pack_x_y_sample_weight, unpack_x_y_sample_weight
from minidl.utils.arrays import to_categorical
from minidl.utils.drawing import model_to_dot, plot_model

__all__ = [
    "clear_session", "custom_object_scope", "model_to_dot", "pack_x_y_sample_weight", "plot_model", "set_random_seed",
    "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip
