"""Functions on tensors, named as in `keras.ops`.

Each takes what `minidl.Tensor` takes, checks it, and applies the kernel that has the mathematics.
"""

from minidl.ops import math, nn, reductions, shapes
from minidl.ops.math import *  # noqa: F403
from minidl.ops.nn import *  # noqa: F403
from minidl.ops.reductions import *  # noqa: F403
from minidl.ops.shapes import *  # noqa: F403

__all__ = [*math.__all__, *nn.__all__, *reductions.__all__, *shapes.__all__]
