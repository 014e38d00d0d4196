"""The mathematics: NumPy arrays in, NumPy arrays out, forward and backward side by side."""

from minidl.kernels.activations import (
    Elu,
    Gelu,
    GeneralRelu,
    HardSigmoid,
    LeakyRelu,
    LogSoftmax,
    Mish,
    PRelu,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    TanhGelu,
    TanhShrink,
)
from minidl.kernels.arithmetic import Add, Divide, Maximum, Minimum, Multiply, Power, Subtract, Where
from minidl.kernels.convolution import Convolution, ConvolutionTranspose, DepthwiseConvolution
from minidl.kernels.crossentropy import (
    SigmoidCrossentropy,
    SoftmaxCrossentropy,
    SparseCrossentropy,
    SparseSoftmaxCrossentropy,
)
from minidl.kernels.elementary import (
    Absolute,
    Arccos,
    Arccosh,
    Arcsin,
    Arcsinh,
    Arctan,
    Arctanh,
    Clip,
    Cos,
    Cosh,
    Erf,
    Exp,
    Expm1,
    Log,
    Log1p,
    Negative,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Square,
    Tan,
    Tanh,
)
from minidl.kernels.images import AffineSampling, Crop, FlipSome
from minidl.kernels.indexing import GetItem, NonDifferentiable, OneHot, Sort, Take
from minidl.kernels.kernel import Kernel
from minidl.kernels.linalg import Affine, Einsum, MatMul
from minidl.kernels.noise import AlphaDropout, Drawn, Dropout, RandomNormal, RandomUniform
from minidl.kernels.normalization import BatchNormalization, GroupNormalization, LayerNormalization, Standardization
from minidl.kernels.pooling import AveragePooling, MaxPooling
from minidl.kernels.reductions import CumSum, LogSumExp, Max, Mean, Min, Prod, StandardDeviation, Sum, Variance
from minidl.kernels.shapes import (
    BroadcastTo,
    Cast,
    Concatenate,
    Flip,
    Pad,
    Repeat,
    Reshape,
    Split,
    Stack,
    Tile,
    Transpose,
)
from minidl.kernels.sparse import SparseAffine
from minidl.kernels.winograd import WinogradConvolution

__all__ = [
    "Absolute", "Add", "Affine", "AffineSampling", "AlphaDropout", "Arccos", "Arccosh", "Arcsin", "Arcsinh", "Arctan",
    "Arctanh", "AveragePooling", "BatchNormalization", "BroadcastTo", "Cast", "Clip", "Concatenate", "Convolution",
    "ConvolutionTranspose", "Cos", "Cosh", "Crop", "CumSum", "DepthwiseConvolution", "Divide", "Drawn", "Dropout",
    "Einsum", "Elu", "Erf", "Exp", "Expm1", "Flip", "FlipSome", "Gelu", "GeneralRelu", "GetItem", "GroupNormalization",
    "HardSigmoid", "Kernel", "LayerNormalization", "LeakyRelu", "Log", "Log1p", "LogSoftmax", "LogSumExp", "MatMul",
    "Max", "MaxPooling", "Maximum", "Mean", "Min", "Minimum", "Mish", "Multiply", "Negative", "NonDifferentiable",
    "OneHot", "PRelu", "Pad", "Power", "Prod", "RandomNormal", "RandomUniform", "Relu", "Repeat", "Reshape", "Selu",
    "Sigmoid", "SigmoidCrossentropy", "Sign", "Silu", "Sin", "Sinh", "Softmax", "SoftmaxCrossentropy", "Softplus",
    "Softsign", "Sort", "SparseAffine", "SparseCrossentropy", "SparseSoftmaxCrossentropy", "Split", "Sqrt", "Square",
    "Stack", "StandardDeviation",
    "Standardization", "Subtract", "Sum", "Take", "Tan", "Tanh", "TanhGelu", "TanhShrink", "Tile", "Transpose",
    "Variance", "Where",
    "WinogradConvolution",
]  # fmt: skip
