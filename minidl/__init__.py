"""minidl: a deep-learning framework in pure NumPy, with every derivative proven."""

__version__ = "0.1.0"
