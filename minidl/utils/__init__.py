"""Small helpers under the names they have in Keras."""

from minidl.layers.naming import reset_names as clear_session
from minidl.random import set_random_seed
from minidl.training import pack_x_y_sample_weight, unpack_x_y_sample_weight
from minidl.utils.arrays import to_categorical

__all__ = [
    "clear_session", "pack_x_y_sample_weight", "set_random_seed", "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip
