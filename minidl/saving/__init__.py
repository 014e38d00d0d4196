"""Files: config and named arrays to bytes and back. What they belong to is not known here."""

from typing import Any as _Any

from minidl.errors import RemovedNameError as _RemovedNameError
from minidl.saving import safetensors
from minidl.saving.archive import kind_of, read_archive, write_archive
from minidl.saving.history_csv import write_history_csv

__all__ = ["kind_of", "read_archive", "safetensors", "write_archive", "write_history_csv"]

_OWN = "there is no register of classes: hand yours over by their names, load_model(path, custom_objects={…})"
_ELSEWHERE = {
    "load_model": "it is minidl.models.load_model",
    "save_model": "it is minidl.models.save_model, or model.save(path)",
    "load_weights": "it is model.load_weights(path)",
    "save_weights": "it is model.save_weights(path)",
    "custom_object_scope": "it is minidl.utils.custom_object_scope",
    **dict.fromkeys(("get_custom_objects", "get_registered_object", "register_keras_serializable"), _OWN),
}


def __getattr__(name: str) -> _Any:
    """The error for what Keras has here."""
    if name in _ELSEWHERE:
        raise _RemovedNameError(f"minidl.saving has no {name!r}: {_ELSEWHERE[name]}")
    raise AttributeError(f"module 'minidl.saving' has no attribute {name!r}")
