"""Files: config and named arrays to bytes and back. What they belong to is not known here."""

from minidl.saving import safetensors
from minidl.saving.archive import kind_of, read_archive, write_archive
from minidl.saving.history_csv import write_history_csv

__all__ = ["kind_of", "read_archive", "safetensors", "write_archive", "write_history_csv"]
