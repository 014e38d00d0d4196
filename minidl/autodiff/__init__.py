"""Tensors that remember how they were computed, and what can be derived from that."""

from minidl.autodiff.gradcheck import GradcheckReport, gradcheck
from minidl.autodiff.graph import is_recording, no_grad, recording
from minidl.autodiff.tape import GradientTape
from minidl.autodiff.tensor import Tensor, TensorLike, apply, apply_several, as_tensor, floating
from minidl.autodiff.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "GradcheckReport", "GradientTape", "Tensor", "TensorLike", "apply", "apply_several", "as_tensor", "floating",
    "grad", "gradcheck", "hessian", "hvp", "is_recording", "jacobian", "jvp", "no_grad", "recording",
    "value_and_grad", "vjp",
]  # fmt: skip
