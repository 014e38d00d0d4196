"""What minidl's proofs are made of, for layers, losses and functions of your own. Needs `pip install "minidl[test]"`.

Hypothesis draws shapes and numbers; a check proves at each of them what can be proven without knowing the formula:
that the gradient is the derivative of the value, and that dtypes, memory layouts and repeated calls make no
difference. Three lines prove a layer of your own, in training and at inference, for its inputs and all of its weights:

    @given(arrays(shapes(min_dims=2, max_dims=2)))
    def test_my_layer(x):
        check_layer(MyLayer(units=3), x)

A function of tensors is proven by `check_function(f, [x], reference)`, a loss by `check_loss(MyLoss(), y_true,
y_pred)`, a kernel by `check_kernel(MyKernel(), [x], reference)`, and an optimizer by `check_optimizer(MyOptimizer())`.

The measure of a first derivative is the complex step, ∂f/∂x = Im f(x + ih)/h with h = 10⁻²⁰: nothing is subtracted, so
that it is exact to rounding and a relative error of 1e-10 is a wrong formula. Second derivatives are measured by a
difference quotient of eighth order, to 1e-8. At a kink (relu at 0, a tie of max) there is nothing to measure:
`arrays` stays away from the points that it is told, and `distinct` and `apart` draw no ties. The head of
`minidl.testing.measure` tells more.
"""

from minidl.testing.function import check_function
from minidl.testing.kernel import PoisonedArena, check_forward, check_kernel
from minidl.testing.layer import check_layer
from minidl.testing.loss import check_loss
from minidl.testing.measure import ProofError, proven
from minidl.testing.optimizer import check_optimizer
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
    "check_forward", "check_function", "check_kernel", "check_layer", "check_loss", "check_optimizer", "distinct",
    "from_noise", "integers", "matrices", "probabilities", "proven", "shapes",
]  # fmt: skip
