"""Layers that make one tensor of several."""

import json

import numpy as np
import pytest

from minidl import Input, Model, grad, layers, ops
from minidl.autodiff import gradcheck
from minidl.errors import ArgumentError, ShapeError
from minidl.layers import Add, Average, Concatenate, Dot, Subtract

RNG = np.random.default_rng(0)


def cosines(xs):
    """Of the angles between the columns of the first and the rows of the second."""
    a, b = (x / np.linalg.norm(x, axis=axis, keepdims=True) for x, axis in zip(xs, (1, -1), strict=True))
    return np.einsum("bkj,bik->bji", a, b)


# Each with what NumPy says, and shapes of inputs.
TABLE = [
    ("Add", {}, lambda xs: sum(xs), [(2, 3), (2, 3), (2, 3)]),
    ("Add", {}, lambda xs: xs[0] + xs[1], [(2, 3, 4), (2, 1, 4)]),
    ("Add", {}, lambda xs: xs[0] + xs[1][:, None], [(2, 3, 4), (2, 4)]),
    ("Subtract", {}, lambda xs: xs[0] - xs[1], [(2, 3), (2, 3)]),
    ("Subtract", {}, lambda xs: xs[0][:, None, None] - xs[1], [(2, 4), (2, 3, 1, 4)]),
    ("Multiply", {}, lambda xs: xs[0] * xs[1] * xs[2], [(2, 3), (2, 1), (2, 3)]),
    ("Average", {}, lambda xs: np.mean(xs, axis=0), [(2, 3)] * 3),
    ("Maximum", {}, lambda xs: np.max(xs, axis=0), [(2, 3)] * 3),
    ("Minimum", {}, lambda xs: np.min(xs, axis=0), [(2, 3)] * 3),
    ("Concatenate", {}, lambda xs: np.concatenate(xs, axis=-1), [(2, 3), (2, 1), (2, 4)]),
    ("Concatenate", {"axis": 1}, lambda xs: np.concatenate(xs, axis=1), [(2, 3, 2), (2, 1, 2)]),
    ("Concatenate", {"axis": 0}, lambda xs: xs[0], [(2, 3)]),
    ("Dot", {"axes": 1}, lambda xs: np.sum(xs[0] * xs[1], axis=1, keepdims=True), [(2, 3), (2, 3)]),
    ("Dot", {"axes": -1}, lambda xs: np.einsum("bijk,blk->bijl", *xs), [(2, 3, 1, 4), (2, 5, 4)]),
    ("Dot", {"axes": [1, 2]}, lambda xs: np.einsum("bkj,bik->bji", *xs), [(2, 3, 5), (2, 4, 3)]),
    ("Dot", {"axes": [1, -1], "normalize": True}, cosines, [(2, 3, 5), (2, 4, 3)]),
]
every_layer = pytest.mark.parametrize(
    ("name", "arguments", "reference", "shapes"), TABLE, ids=[f"{name}-{k}" for k, (name, *_) in enumerate(TABLE)]
)


def test_the_table_lists_every_merging_layer():
    public = {name for name in layers.__all__ if getattr(layers, name).__module__ == "minidl.layers.merging"}
    assert {name for name in public if name[0].isupper()} == {name for name, *_ in TABLE}
    assert {name for name in public if name[0].islower()} == {name.lower() for name, *_ in TABLE}


@every_layer
def test_is_the_reference(name, arguments, reference, shapes):
    xs = [RNG.normal(size=shape) for shape in shapes]
    layer = getattr(layers, name)(**arguments, dtype="float64")
    # Sums of three or four products may be added in another order.
    np.testing.assert_allclose(layer(xs), reference(xs), rtol=1e-15, atol=1e-15 if name == "Dot" else 0)


@every_layer
def test_announces_its_shape(name, arguments, reference, shapes):
    layer = getattr(layers, name)(**arguments)
    y = layer([np.zeros(shape, "float32") for shape in shapes])
    assert y.dtype == "float32"
    assert layer.compute_output_shape(shapes) == y.shape
    known = [(None, *shape[1:]) for shape in shapes]
    assert layer.compute_output_shape(known) == (None, *y.shape[1:])


@every_layer
def test_gradients(name, arguments, reference, shapes):
    layer = getattr(layers, name)(**arguments, dtype="float64")
    gradcheck(lambda *xs: layer(list(xs)), *[RNG.normal(size=shape) for shape in shapes])


@every_layer
def test_can_be_made_again_from_its_configuration(name, arguments, reference, shapes):
    layer = getattr(layers, name)(**arguments, name="merge")
    copy = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert copy.get_config() == layer.get_config()
    assert copy.name == "merge"


@every_layer
def test_in_a_model_for_any_number_of_samples(name, arguments, reference, shapes):
    if arguments.get("axis") == 0:
        pytest.skip("merges samples")
    inputs = [Input(shape[1:]) for shape in shapes]
    model = Model(inputs, getattr(layers, name)(**arguments)(inputs))
    for batch in (1, 5):
        xs = [RNG.normal(size=(batch, *shape[1:])).astype("float32") for shape in shapes]
        np.testing.assert_allclose(model(xs), reference(xs), rtol=1e-6, atol=1e-6 if name == "Dot" else 0)
    assert model.output_shape == (None, *reference([np.ones(shape) for shape in shapes]).shape[1:])


@every_layer
def test_as_a_function(name, arguments, reference, shapes):
    xs = [RNG.normal(size=shape).astype("float32") for shape in shapes]
    y = getattr(layers, name.lower())(xs, **arguments)
    np.testing.assert_array_equal(y, getattr(layers, name)(**arguments)(xs))


def test_a_residual_block_passes_the_gradient_through():
    x = Input((3,), dtype="float64")
    model = Model(x, Add()([x, 2 * x]))
    assert grad(lambda v: ops.sum(model(v)))(np.ones((2, 3))).tolist() == [[3.0] * 3] * 2


def test_open_sizes_may_be_any():
    assert Add().compute_output_shape([(None, None, 4), (None, 3, 4)]) == (None, 3, 4)
    assert Concatenate().compute_output_shape([(None, None, 4), (None, 3, None)]) == (None, 3, None)


class TestErrors:
    @pytest.mark.parametrize("layer", [Add(name="m"), Concatenate(name="m")], ids=["Add", "Concatenate"])
    def test_one_tensor_by_itself(self, layer):
        with pytest.raises(ArgumentError, match=r"'m' takes a list of tensors, as in .*\(\)\(\[a, b\]\), got one"):
            layer(np.ones((2, 3)))

    def test_too_few(self):
        with pytest.raises(ArgumentError, match="Add 'm' needs a list of at least 2 tensors, got 1"):
            Add(name="m")([np.ones((2, 3))])

    def test_a_difference_of_three(self):
        with pytest.raises(ArgumentError, match="Subtract 'm' takes exactly two tensors, got 3"):
            Subtract(name="m")([np.ones((2, 3))] * 3)

    def test_shapes_that_do_not_broadcast(self):
        with pytest.raises(ShapeError, match=r"Average 'm': shapes \(None, 3\), \(None, 4\) do not broadcast to one"):
            Average(name="m")([np.ones((2, 3)), np.ones((2, 4))])

    def test_symbolic_shapes_that_do_not_broadcast(self):
        with pytest.raises(ShapeError, match=r"Add 'm': shapes \(None, 3\), \(None, 4\) do not broadcast to one"):
            Add(name="m")([Input((3,)), Input((4,))])

    def test_other_sizes_than_before(self):
        layer = Add(name="m")
        layer([np.ones((2, 3)), np.ones((2, 3))])
        with pytest.raises(ShapeError, match="do not broadcast"):
            layer([np.ones((2, 3)), np.ones((2, 4))])

    @pytest.mark.parametrize(
        ("shapes", "axis", "message"),
        [
            ([(2, 3, 1), (2, 4, 1)], -1, r"'m': shapes \(None, 3, 1\), \(None, 4, 1\) may differ along axis -1 only"),
            ([(2, 3), (2, 3, 1)], -1, "have different numbers of axes"),
            ([(2, 3)], 2, r"axis 2 does not exist in \(None, 3\)"),
            ([(), ()], 0, r"needs inputs with a batch axis, got shapes \(\), \(\)"),
        ],
    )
    def test_what_cannot_stand_side_by_side(self, shapes, axis, message):
        with pytest.raises(ShapeError, match=message):
            Concatenate(axis, name="m")([np.ones(shape) for shape in shapes])

    @pytest.mark.parametrize("axis", [1.5, None, True, (0, 1)])
    def test_an_axis_is_an_integer(self, axis):
        with pytest.raises(ArgumentError, match="Concatenate: expected axis to be an integer, got"):
            Concatenate(axis)

    @pytest.mark.parametrize("axes", [1.5, (1,), (1, 2, 3), "last"])
    def test_the_axes_of_a_dot_product_are_one_or_two(self, axes):
        with pytest.raises(ArgumentError, match=r"Dot: (expected axes to be|axes must be) an integer or"):
            Dot(axes)

    @pytest.mark.parametrize(
        ("axes", "shapes", "message"),
        [
            (0, [(2, 3), (2, 3)], r"Dot 'm': expected axis 0 to be one of \(None, 3\) after the batch"),
            (2, [(2, 3), (2, 3)], r"Dot 'm': expected axis 2 to be one of \(None, 3\) after the batch"),
            (1, [(2, 3), (2, 4)], r"Dot 'm': shapes \(None, 3\), \(None, 4\) have different sizes on the axes 0 or 1"),
            ((1, 2), [(2, 3), (2, 3, 4)], r"have different sizes on the axes 0 or \(1, 2\)"),
        ],
    )
    def test_dot_products_that_do_not_exist(self, axes, shapes, message):
        with pytest.raises(ShapeError, match=message):
            Dot(axes, name="m")([np.ones(shape) for shape in shapes])

    def test_dot_products_of_other_batches(self):
        with pytest.raises(ShapeError, match="different sizes on the axes 0 or 1"):
            Dot(1, name="m")([np.ones((2, 3)), np.ones((1, 3))])

    def test_a_dot_product_of_three(self):
        with pytest.raises(ArgumentError, match="Dot 'm' takes exactly two tensors, got 3"):
            Dot(1, name="m")([np.ones((2, 3))] * 3)

    def test_vectors_of_zeros_have_the_cosine_0(self):
        assert Dot(1, normalize=True)([np.zeros((2, 3)), np.ones((2, 3))]).tolist() == [[0.0], [0.0]]
