"""Small helpers under the names they have in Keras."""

from minidl.layers.naming import reset_names as clear_session
from minidl.models.files import custom_object_scope
from minidl.random import set_random_seed
from minidl.utils.arrays import to_categorical

__all__ = ["clear_session", "custom_object_scope", "set_random_seed", "to_categorical"]
