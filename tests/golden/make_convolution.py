"""Make convolution.npz: what Keras 3 and PyTorch make of convolutions in every corner, in float64.

    pip install "keras>=3.15" jax torch
    python tests/golden/make_convolution.py

`keras` is a JSON object that gives each case of a Keras layer its class name and arguments, `torch` one that gives each
case of a function of `torch.nn.functional` its name and arguments. The arrays of a case are named case__key: `x`, `y`,
a cotangent `c`, `dx`, and each weight under its name (`kernel`, `bias`, ...; PyTorch's is `w`) with its gradient
(`dkernel`, ...). PyTorch's arrays are in PyTorch's layout. What goes in are multiples of 1/16: sums of products are
then exact in any order, and the file is small.
"""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import torch
from make_golden import Arrays, Config, construct, floatx, prefixed, text, write_arrays

# Case: (shape of the input, class name, arguments).
LAYERS: dict[str, tuple[tuple[int, ...], str, Config]] = {
    "conv1d": ((2, 7, 3), "Conv1D", {"filters": 4, "kernel_size": 3}),
    "conv1d_causal": ((2, 7, 3), "Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}),
    "conv1d_causal_dilated": (
        (2, 9, 2), "Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}
    ),
    "conv1d_causal_strided": ((2, 8, 2), "Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 3}),
    "conv1d_same_even_window": ((2, 7, 2), "Conv1D", {"filters": 3, "kernel_size": 4, "padding": "same"}),
    "conv1d_first": ((2, 3, 7), "Conv1D", {"filters": 4, "kernel_size": 3, "data_format": "channels_first"}),
    "conv2d": ((2, 6, 5, 3), "Conv2D", {"filters": 4, "kernel_size": [3, 2], "activation": "tanh"}),
    "conv2d_no_bias": ((1, 5, 5, 2), "Conv2D", {"filters": 3, "kernel_size": 2, "use_bias": False}),
    "conv2d_same": ((2, 5, 6, 3), "Conv2D", {"filters": 2, "kernel_size": 3, "padding": "same"}),
    "conv2d_same_strided_even": (
        (2, 6, 8, 2), "Conv2D", {"filters": 3, "kernel_size": 3, "padding": "same", "strides": 2}
    ),
    "conv2d_same_strided_odd": (
        (2, 7, 5, 2), "Conv2D", {"filters": 3, "kernel_size": 3, "padding": "same", "strides": 2}
    ),
    "conv2d_same_strides_beyond_window": (
        (2, 7, 8, 2), "Conv2D", {"filters": 3, "kernel_size": 2, "padding": "same", "strides": [3, 4]}
    ),
    "conv2d_valid_strided": ((2, 8, 7, 2), "Conv2D", {"filters": 3, "kernel_size": 3, "strides": [2, 3]}),
    "conv2d_dilated": ((2, 8, 7, 2), "Conv2D", {"filters": 3, "kernel_size": 3, "dilation_rate": [2, 3]}),
    "conv2d_dilated_groups": (
        (2, 7, 6, 4), "Conv2D", {"filters": 6, "kernel_size": 3, "dilation_rate": 2, "groups": 2, "padding": "same"}
    ),
    "conv2d_one_by_one": ((2, 4, 3, 5), "Conv2D", {"filters": 4, "kernel_size": 1}),
    "conv2d_one_by_one_strided": ((2, 5, 4, 3), "Conv2D", {"filters": 4, "kernel_size": 1, "strides": 2}),
    "conv2d_one_by_one_groups": ((2, 4, 3, 4), "Conv2D", {"filters": 6, "kernel_size": 1, "groups": 2}),
    "conv2d_whole_input": ((3, 4, 5, 2), "Conv2D", {"filters": 3, "kernel_size": [4, 5]}),
    "conv2d_same_window_beyond_input": ((2, 2, 3, 2), "Conv2D", {"filters": 3, "kernel_size": 5, "padding": "same"}),
    "conv2d_as_many_groups_as_channels": ((2, 5, 5, 3), "Conv2D", {"filters": 6, "kernel_size": 3, "groups": 3}),
    "conv2d_first": (
        (2, 4, 7, 6), "Conv2D",
        {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "same", "groups": 2, "data_format": "channels_first"},
    ),
    "depthwise1d": ((2, 7, 3), "DepthwiseConv1D", {"kernel_size": 3}),
    "depthwise1d_multiplier": (
        (2, 8, 3), "DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same"}
    ),
    "depthwise2d": ((2, 6, 5, 3), "DepthwiseConv2D", {"kernel_size": 3, "activation": "sigmoid"}),
    "depthwise2d_multiplier": (
        (2, 7, 5, 2), "DepthwiseConv2D", {"kernel_size": [3, 2], "depth_multiplier": 3, "padding": "same"}
    ),
    "depthwise2d_strided": ((2, 7, 6, 3), "DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}),
    "depthwise2d_dilated": ((2, 7, 8, 3), "DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "use_bias": False}),
    "depthwise2d_first": (
        (2, 3, 6, 5), "DepthwiseConv2D",
        {"kernel_size": 3, "depth_multiplier": 2, "data_format": "channels_first"},
    ),
    "separable1d": ((2, 8, 3), "SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}),
    "separable2d": ((2, 6, 5, 3), "SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}),
    "separable2d_same_strided": (
        (2, 7, 6, 2), "SeparableConv2D",
        {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False, "activation": "tanh"},
    ),
    "separable2d_first": (
        (2, 3, 6, 5), "SeparableConv2D",
        {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "data_format": "channels_first"},
    ),
    "transpose1d": ((2, 5, 3), "Conv1DTranspose", {"filters": 4, "kernel_size": 3}),
    "transpose1d_strided": ((2, 5, 3), "Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}),
    "transpose1d_same": (
        (2, 5, 3), "Conv1DTranspose", {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same"}
    ),
    "transpose1d_first": (
        (2, 3, 5), "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"},
    ),
    "transpose2d": ((2, 4, 3, 3), "Conv2DTranspose", {"filters": 2, "kernel_size": [2, 3], "activation": "tanh"}),
    "transpose2d_strides_beyond_window": (
        (2, 3, 3, 2), "Conv2DTranspose", {"filters": 2, "kernel_size": [2, 1], "strides": [4, 3]}
    ),
    "transpose2d_same_strides_beyond_window": (
        (2, 3, 3, 2), "Conv2DTranspose", {"filters": 2, "kernel_size": [1, 2], "strides": [3, 5], "padding": "same"}
    ),
    "transpose2d_same_odd": (
        (2, 5, 3, 2), "Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}
    ),
    "transpose2d_same_even_window": (
        (2, 3, 4, 2), "Conv2DTranspose", {"filters": 3, "kernel_size": [4, 2], "strides": 2, "padding": "same"}
    ),
    "transpose2d_same_unstrided": (
        (2, 4, 5, 2), "Conv2DTranspose", {"filters": 3, "kernel_size": 3, "padding": "same"}
    ),
    "transpose2d_dilated": (
        (2, 4, 3, 2), "Conv2DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}
    ),
    "transpose2d_dilated_valid": (
        (2, 3, 4, 2), "Conv2DTranspose", {"filters": 2, "kernel_size": [2, 3], "dilation_rate": [2, 3]}
    ),
    "transpose2d_output_padding": (
        (2, 3, 4, 2), "Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1}
    ),
    "transpose2d_output_padding_same": (
        (2, 3, 4, 2), "Conv2DTranspose",
        {"filters": 2, "kernel_size": [3, 4], "strides": 3, "output_padding": [0, 2], "padding": "same"},
    ),
    "transpose2d_output_padding_same_small_window": (
        (2, 3, 4, 2), "Conv2DTranspose",
        {"filters": 2, "kernel_size": [1, 2], "strides": 3, "output_padding": [2, 1], "padding": "same"},
    ),
    "transpose2d_one_by_one": ((2, 3, 4, 3), "Conv2DTranspose", {"filters": 2, "kernel_size": 1}),
}  # fmt: skip

# Case: (shape of the input, shape of the weight, function, arguments).
FUNCTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], str, Config]] = {
    "torch1d": ((2, 3, 7), (4, 3, 3), "conv1d", {}),
    "torch1d_padded": ((2, 4, 8), (6, 2, 4), "conv1d", {"stride": 3, "padding": 2, "groups": 2}),
    "torch1d_same": ((2, 3, 7), (4, 3, 4), "conv1d", {"padding": "same"}),
    "torch2d": ((2, 3, 6, 5), (4, 3, 3, 2), "conv2d", {}),
    "torch2d_strided": ((2, 3, 7, 8), (4, 3, 3, 3), "conv2d", {"stride": (2, 3), "padding": (1, 0)}),
    "torch2d_dilated_strided_groups": (
        (2, 4, 9, 8), (6, 2, 3, 2), "conv2d", {"stride": 2, "padding": 2, "dilation": (2, 3), "groups": 2}
    ),
    "torch2d_depthwise": ((2, 3, 6, 5), (6, 1, 3, 3), "conv2d", {"groups": 3, "padding": 1}),
    "torch2d_same": ((2, 3, 6, 5), (4, 3, 4, 3), "conv2d", {"padding": "same", "dilation": (1, 2)}),
    "torch2d_one_by_one": ((2, 4, 3, 5), (6, 2, 1, 1), "conv2d", {"groups": 2}),
    "torch2d_whole_input": ((3, 2, 4, 5), (3, 2, 4, 5), "conv2d", {}),
    "torch1d_transpose": ((2, 4, 5), (4, 2, 4), "conv_transpose1d", {"stride": 2}),
    "torch2d_transpose": ((2, 3, 4, 5), (3, 2, 3, 2), "conv_transpose2d", {}),
    "torch2d_transpose_padded": (
        (2, 3, 4, 3), (3, 2, 3, 4), "conv_transpose2d", {"stride": 2, "padding": 1, "output_padding": (1, 0)}
    ),
    "torch2d_transpose_dilated_groups": (
        (2, 4, 3, 4), (4, 3, 3, 2), "conv_transpose2d",
        {"stride": (3, 2), "padding": (2, 1), "output_padding": (2, 1), "dilation": (2, 3), "groups": 2},
    ),
}  # fmt: skip


def numbers(rng: np.random.Generator, shape: Any) -> np.ndarray:
    """About normal, and multiples of 1/16."""
    return np.round(16 * rng.standard_normal(tuple(shape))) / 16


def of_keras(rng: np.random.Generator) -> Arrays:
    """Outputs and gradients of sum(y·c) for layers."""
    golden: Arrays = {}
    for case, (shape, name, arguments) in LAYERS.items():
        layer = construct(keras.layers, {"class_name": name, **arguments})
        layer.build(shape)
        x, weights = numbers(rng, shape), [numbers(rng, v.shape) for v in layer.weights]
        y, pull = jax.vjp(lambda x, weights, layer=layer: layer.stateless_call(weights, [], x)[0], x, weights)
        c = numbers(rng, y.shape)
        dx, gradients = pull(c)
        results: dict[str, Any] = {"x": x, "y": y, "c": c, "dx": dx}
        for variable, weight, gradient in zip(layer.weights, weights, gradients, strict=True):
            results |= {variable.name: weight, f"d{variable.name}": gradient}
        golden |= prefixed(case, results)
    return golden


def of_torch(rng: np.random.Generator) -> Arrays:
    """Outputs and gradients of sum(y·c) for functions."""
    golden: Arrays = {}
    for case, (x_shape, w_shape, name, arguments) in FUNCTIONS.items():
        x, w = (torch.tensor(numbers(rng, shape), requires_grad=True) for shape in (x_shape, w_shape))
        y = getattr(torch.nn.functional, name)(x, w, **arguments)
        c = numbers(rng, y.shape)
        y.backward(torch.tensor(c))
        arrays = {"x": x, "w": w, "y": y, "dx": x.grad, "dw": w.grad}
        golden |= prefixed(case, {"c": c, **{key: value.detach().numpy() for key, value in arrays.items()}})
    return golden


def convolution() -> Arrays:
    """Both, and what each case is."""
    layers = {case: {"class_name": name, **arguments} for case, (_, name, arguments) in LAYERS.items()}
    functions = {case: {"function": name, **arguments} for case, (_, _, name, arguments) in FUNCTIONS.items()}
    with floatx("float64"):
        golden = of_keras(np.random.default_rng(11))
    return {"keras": text(layers), "torch": text(functions), **golden, **of_torch(np.random.default_rng(12))}


if __name__ == "__main__":
    write_arrays("convolution", convolution())
