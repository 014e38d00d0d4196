"""`check_layer`: what is proven of a layer, at one batch of inputs."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.autodiff import no_grad
from minidl.layers import Layer
from minidl.memory import Array
from minidl.testing.function import check_function
from minidl.testing.kernel import SINGLE
from minidl.testing.measure import ProofError, describe, expect, expect_close, expect_equal, generic


def check_layer(layer: Layer, *inputs: Array, twice: bool = True) -> None:
    """Prove a layer at these inputs: one float64 array, or several for a layer that is called with several.

    - In training and in inference mode, the gradient for the inputs and for every trainable weight is that of the
      complex step; forward mode and (`twice`) Hessian-vector products agree; see `check_function`.
    - float32 and float64 layers give outputs and hold weights of their dtype, and agree at inference within rounding.
    - The output has the shape that `compute_output_shape` announces.
    - Inference changes no weight.
    - `from_config(get_config())`, by way of JSON, gives an equal layer.

    The layer itself is left alone: layers of both dtypes are made from its configuration, with its weights if it has
    any, moved off special values such as 0. A layer that draws random numbers draws the same ones in each evaluation,
    for it is copied before each call. Hidden kinks, such as a relu behind a matrix product, are out of reach of the
    strategies: the complex step does not mind unless it hits them exactly, the difference quotient of the second
    derivative does, so that `twice=False` suits such a layer. Raises `ProofError`.
    """
    double, single = _remade(layer, "float64", inputs), _remade(layer, "float32", inputs)
    try:
        _check_configuration(layer, double)
        for training in (False, True):
            _check_output(double, inputs, training)
            _check_output(single, inputs, training)
            _check_gradients(double, inputs, training, twice)
        _check_inference(double, single, inputs)
    except ProofError as error:
        raise ProofError(f"{layer!r} of {describe(inputs)}: {error}") from None


def _remade(layer: Layer, dtype: str, inputs: Sequence[Array]) -> Layer:
    """A built layer of that dtype with the configuration of `layer`, its weights, and nothing at a special value."""
    remade = type(layer).from_config({**layer.get_config(), "dtype": dtype})
    with no_grad():
        copy.deepcopy(remade)(*inputs) if remade.built else remade(*inputs, training=False)
    if layer.built:
        remade.set_weights(layer.get_weights())
    for k, w in enumerate(remade.trainable_variables):
        w.assign_add(0.5 * generic(w.shape, "v", k).astype(dtype))
    return remade


def _called(layer: Layer, inputs: Sequence[Array], training: bool) -> Any:
    """The output of a copy, so that neither weights nor random generators move on."""
    with no_grad():
        return copy.deepcopy(layer)(*inputs, training=training)


def _check_configuration(layer: Layer, remade: Layer) -> None:
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config))).get_config()
    expect(again == config, f"the configuration {config} comes back as {again}")
    expect(remade.dtype == "float64", f"made with dtype 'float64', the layer has dtype {remade.dtype!r}")


def _check_output(layer: Layer, inputs: Sequence[Array], training: bool) -> None:
    y = _called(layer, inputs, training)
    expect(y.dtype == layer.dtype, f"the output of a {layer.dtype} layer has dtype {y.dtype}")
    for w in layer.variables:
        if w.dtype.kind == "f":
            expect(w.dtype == layer.dtype, f"{w.path} of a {layer.dtype} layer has dtype {w.dtype}")
    if len(inputs) == 1:
        announced = tuple(copy.deepcopy(layer).compute_output_shape(inputs[0].shape))
        expect(announced == y.shape, f"compute_output_shape announces {announced}, the output has shape {y.shape}")


def _check_gradients(layer: Layer, inputs: Sequence[Array], training: bool, twice: bool) -> None:
    """The output as a function of the inputs and the trainable weights."""
    fixed = [w.data for w in layer.non_trainable_variables]

    def output(*values: Any) -> Any:
        xs, weights = values[: len(inputs)], values[len(inputs) :]
        return copy.deepcopy(layer).stateless_call(weights, fixed, *xs, training=training)[0]

    output.__name__ = "in training" if training else "at inference"
    weights = [w.data for w in layer.trainable_variables]
    check_function(output, [*inputs, *weights], twice=twice, single=False, kind="layers")


def _check_inference(double: Layer, single: Layer, inputs: Sequence[Array]) -> None:
    """Both dtypes with the weights and inputs of float32; no weight has changed afterwards."""
    before = single.get_weights()
    double = copy.deepcopy(double)
    double.set_weights([w.astype(np.float64) for w in before])
    narrow = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in inputs]
    with no_grad():
        y, expected = single(*narrow, training=False), double(*narrow, training=False)
    expect_close(y.data.astype(np.float64), expected.data, SINGLE, "the output in float32", scale=1.0)
    for w, value in zip(single.variables, before, strict=True):
        expect_equal(w.data, value, f"{w.path} after inference")
