"""Functions on tensors, named as in `keras.ops`.

Each takes what `minidl.Tensor` takes, checks it, and applies the kernel that has the mathematics. A symbolic tensor
among the arguments records the call instead: it becomes a layer of a model.
"""

from minidl.ops import clipping, convolution, math, nn, pooling, reductions, shapes, symbolic
from minidl.ops.clipping import *  # noqa: F403
from minidl.ops.convolution import *  # noqa: F403
from minidl.ops.math import *  # noqa: F403
from minidl.ops.nn import *  # noqa: F403
from minidl.ops.pooling import *  # noqa: F403
from minidl.ops.reductions import *  # noqa: F403
from minidl.ops.shapes import *  # noqa: F403

__all__ = [
    *clipping.__all__, *convolution.__all__, *math.__all__, *nn.__all__, *pooling.__all__, *reductions.__all__,
    *shapes.__all__,
]  # fmt: skip

globals().update({name: symbolic.recorded(globals()[name]) for name in __all__})
