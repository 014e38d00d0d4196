"""What minidl's proofs are made of, for layers, losses and functions of your own. Needs `pip install "minidl[test]"`.

Hypothesis draws shapes and numbers, a check proves at each of them what can be proven without knowing the formula: that
the gradient is the derivative of the value, measured to machine precision by the complex step, and that dtypes, memory
layouts and repeated calls do not matter. A file with three lines proves a function:

    @given(arrays(low=-2, high=2))
    def test_cube(x):
        check_function(lambda x: x * x * x, [x], lambda x: x**3)

"""

from minidl.testing.function import check_function
from minidl.testing.kernel import PoisonedArena, check_forward, check_kernel
from minidl.testing.measure import ProofError, proven
from minidl.testing.strategies import (
    apart,
    arrays,
    axes_of,
    axis_of,
    booleans,
    broadcastable,
    distinct,
    from_noise,
    integers,
    matrices,
    probabilities,
    shapes,
)

__all__ = [
    "PoisonedArena", "ProofError", "apart", "arrays", "axes_of", "axis_of", "booleans", "broadcastable",
    "check_forward", "check_function", "check_kernel", "distinct", "from_noise", "integers", "matrices",
    "probabilities", "proven", "shapes",
]  # fmt: skip
