"""Convolutions: channels first beside PyTorch, how large the output is, and arguments that make no sense."""

import json
from pathlib import Path

import numpy as np
import pytest

from minidl import Tensor, Variable, config, kernels, ops, vjp
from minidl.errors import ArgumentError, MiniDLError, ShapeError, UnknownNameError
from minidl.ops.convolution import margins, output_size, transposed_size

with np.load(Path(__file__).parents[1] / "golden" / "convolution.npz") as file:
    GOLDEN = dict(file)
TORCH = json.loads(str(GOLDEN["torch"]))

rng = np.random.default_rng(0)
X1, X2 = rng.normal(size=(2, 9, 4)), rng.normal(size=(2, 9, 8, 4))
W1, W2 = rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 2, 4, 6))


@pytest.mark.parametrize("case", [case for case, a in TORCH.items() if a.get("padding", "same") == "same"])
def test_channels_first_is_pytorch(case):
    arguments = TORCH[case]
    keywords = {"strides": arguments.get("stride", 1), "dilation_rate": arguments.get("dilation", 1)}
    keywords |= {"padding": arguments.get("padding", "valid"), "data_format": "channels_first"}
    x, w, y, c, dx, dw = (GOLDEN[f"{case}__{key}"] for key in ("x", "w", "y", "c", "dx", "dw"))
    function = ops.conv_transpose if "transpose" in case else ops.conv
    if "transpose" in case:
        # By default PyTorch's output ends with the last window; that of Keras would be longer if strides were larger.
        keywords["output_padding"] = 0
    if "transpose" in case and arguments.get("groups", 1) > 1:
        pytest.skip("conv_transpose has no groups")

    def turned(weights):
        return np.moveaxis(weights, (0, 1), (-1, -2))

    result, pull = vjp(lambda x, w: function(x, w, **keywords), x, turned(w))
    for ours, theirs in zip((result, *pull(c)), (y, dx, turned(dw)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


def test_depthwise_is_a_convolution_with_as_many_groups_as_channels():
    w = rng.normal(size=(3, 2, 4, 2))
    y = ops.depthwise_conv(X2, w, strides=2, padding="same")
    np.testing.assert_allclose(
        y, ops.conv(X2, w.reshape(3, 2, 1, 8), strides=2, padding="same"), rtol=1e-13, atol=1e-13
    )


def test_separable_is_depthwise_then_pointwise():
    depthwise, pointwise = rng.normal(size=(3, 2, 4, 2)), rng.normal(size=(1, 1, 8, 5))
    y = ops.separable_conv(X2, depthwise, pointwise, strides=2, padding="same")
    np.testing.assert_array_equal(y, ops.conv(ops.depthwise_conv(X2, depthwise, 2, "same"), pointwise))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 2, 3, 4])
def test_conv_transpose_is_the_gradient_of_conv(padding, stride, window):
    small = rng.normal(size=(2, 4, 3))
    w = rng.normal(size=(window, 2, 3))
    large = ops.conv_transpose(small, w, stride, padding)
    y, pull = vjp(lambda x: ops.conv(x, w, stride, padding), np.zeros(large.shape))
    assert y.shape == small.shape
    np.testing.assert_allclose(large, pull(small)[0], rtol=1e-13, atol=1e-13)


def test_causal_outputs_do_not_see_what_comes_later():
    changed = X1.copy()
    changed[:, 5:] += 1
    for dilation in (1, 2):
        before, after = (ops.conv(x, W1, padding="causal", dilation_rate=dilation).data for x in (X1, changed))
        assert before.shape == (2, 9, 6)
        np.testing.assert_array_equal(before[:, :5], after[:, :5])
        assert (before[:, 5:] != after[:, 5:]).all()


def test_images_of_bytes_become_floats():
    y = ops.conv(np.full((1, 2, 2, 1), 200, "uint8"), np.ones((2, 2, 1, 1), "float32"))
    assert y.dtype == "float32"
    assert y.item() == 800


def test_float32_stays_float32():
    for function, w in [(ops.conv, W1), (ops.depthwise_conv, W1), (ops.conv_transpose, W1.swapaxes(1, 2))]:
        assert function(X1.astype("float32"), w.astype("float32")).dtype == "float32"
    assert ops.conv(Tensor(X1), W1).dtype == "float64"


class TestSizes:
    # Size, window, stride, dilation, padding; outputs; zeros before and after.
    CASES = [
        ((6, 3, 1, 1, "valid"), 4, (0, 0)),
        ((6, 3, 2, 1, "valid"), 2, (0, 0)),
        ((7, 3, 2, 2, "valid"), 2, (0, 0)),
        ((3, 3, 5, 1, "valid"), 1, (0, 0)),
        ((6, 3, 1, 1, "same"), 6, (1, 1)),
        ((6, 3, 2, 1, "same"), 3, (0, 1)),
        ((7, 3, 2, 1, "same"), 4, (1, 1)),
        ((6, 4, 1, 1, "same"), 6, (1, 2)),
        ((6, 2, 3, 1, "same"), 2, (0, 0)),
        ((2, 5, 1, 1, "same"), 2, (2, 2)),
        ((6, 3, 1, 2, "same"), 6, (2, 2)),
        ((6, 3, 1, 1, "causal"), 6, (2, 0)),
        ((7, 3, 2, 2, "causal"), 4, (4, 0)),
    ]

    @pytest.mark.parametrize(("arguments", "outputs", "zeros"), CASES)
    def test_of_a_convolution(self, arguments, outputs, zeros):
        size, window, stride, dilation, padding = arguments
        assert output_size(*arguments) == outputs
        assert margins(*arguments) == zeros
        y = ops.conv(np.ones((1, size, 1)), np.ones((window, 1, 1)), stride, padding, None, dilation)
        assert y.shape == (1, outputs, 1)

    def test_an_open_size_stays_open(self):
        assert output_size(None, 3, 2, 1, "same") is None
        assert transposed_size(None, 3, 2, 1, "same", None) is None

    # Size, window, stride, dilation, padding, output_padding; outputs.
    TRANSPOSED = [
        ((4, 3, 1, 1, "valid", None), 6),
        ((4, 3, 2, 1, "valid", None), 9),
        ((4, 2, 3, 1, "valid", None), 12),
        ((4, 2, 3, 1, "valid", 0), 11),
        ((4, 3, 2, 1, "valid", 1), 10),
        ((4, 3, 1, 2, "valid", None), 8),
        ((4, 3, 2, 1, "same", None), 8),
        ((4, 1, 3, 1, "same", None), 12),
        ((4, 3, 2, 1, "same", 0), 7),
        ((4, 4, 2, 1, "same", 0), 6),
        ((4, 4, 3, 1, "same", 2), 11),
    ]

    @pytest.mark.parametrize(("arguments", "outputs"), TRANSPOSED)
    def test_of_a_transposed_convolution(self, arguments, outputs):
        size, window, stride, dilation, padding, extra = arguments
        assert transposed_size(*arguments) == outputs
        y = ops.conv_transpose(np.ones((1, size, 1)), np.ones((window, 1, 1)), stride, padding, extra, None, dilation)
        assert y.shape == (1, outputs, 1)


WRONG = [
    (lambda: ops.conv(X1[0], W1), ShapeError, r"conv: expected images \(n, \*sizes, channels\) .* got \(9, 4\) and"),
    (lambda: ops.conv(X2, W1), ShapeError, r"got \(2, 9, 8, 4\) and \(3, 4, 6\)"),
    (lambda: ops.conv(X1[0], W1[0]), ShapeError, r"got \(9, 4\) and \(4, 6\)"),
    (lambda: ops.conv(X1, W1[:, :3]), ShapeError, r"conv: 4 channels are no multiple of the 3 that the kernel \("),
    (lambda: ops.conv(X1[..., :0], W1), ShapeError, "conv: 0 channels are no multiple of the 4"),
    (lambda: ops.conv(X1, W1[:, :1]), ShapeError, r"conv: the 6 filters of the kernel \(3, 1, 6\) are no .* 4 groups"),
    (lambda: ops.conv(X1[:, :2], W1), ShapeError, 'a window of 3 spans 3 .* an input of size 2: .* or padding="same"'),
    (lambda: ops.conv(X1, W1, dilation_rate=5), ShapeError, "a window of 3 with dilation 5 spans 11 elements"),
    (lambda: ops.conv(X1[:, :0], W1, padding="same"), ShapeError, "does not fit into an input of size 0"),
    (lambda: ops.conv(X1, W1, padding="full"), UnknownNameError, "Unknown padding of conv 'full': known are: causal"),
    (lambda: ops.conv(X1, W1, padding=1), UnknownNameError, "Unknown padding of conv 1"),
    (lambda: ops.conv(X2, W2, padding="causal"), UnknownNameError, "Unknown padding of conv 'causal': known are: same"),
    (lambda: ops.depthwise_conv(X2, W2, padding="causal"), UnknownNameError, "padding of depthwise_conv 'causal'"),
    (lambda: ops.conv(X1, W1, data_format="first"), UnknownNameError, "did you mean 'channels_first'"),
    (lambda: ops.conv(X2, W2, strides=(1, 2, 1)), ArgumentError, r"conv: strides must be one integer ≥ 1 or 2 of them"),
    (lambda: ops.conv(X1, W1, strides=0), ArgumentError, "conv: strides must be .* got 0"),
    (lambda: ops.conv(X1, W1, strides=()), ArgumentError, r"conv: strides must be .* got \(\)"),
    (lambda: ops.conv(X1, W1, strides=1.5), ArgumentError, "conv: strides must be an integer or several of them"),
    (lambda: ops.conv(X1, W1, dilation_rate=-1), ArgumentError, "conv: dilation_rate must be"),
    (lambda: ops.depthwise_conv(X1, W1[:, :2]), ShapeError, r"depthwise_conv: the kernel \(3, 2, 6\) takes 2 channels"),
    (
        lambda: ops.separable_conv(X1, W1, W1[:1]),
        ShapeError,
        r"separable_conv: expected a pointwise kernel \(1, …, 24, filters\), got \(1, 4, 6\)",
    ),
    (lambda: ops.separable_conv(X1, W1[..., :1], W1), ShapeError, r"\(1, …, 4, filters\), got \(3, 4, 6\)"),
    (lambda: ops.conv_transpose(X1, W1), ShapeError, r"conv_transpose: the kernel \(3, 4, 6\) takes 6 channels, .* 4"),
    (
        lambda: ops.conv_transpose(X1, W1.swapaxes(1, 2), 2, output_padding=2),
        ArgumentError,
        r"conv_transpose: output_padding must be smaller than the strides \(2,\), got 2",
    ),
    (lambda: ops.conv_transpose(X1, W1.swapaxes(1, 2), output_padding=-1), ArgumentError, "output_padding .* ≥ 0"),
    (lambda: ops.conv_transpose(X1, W1.swapaxes(1, 2), padding="causal"), UnknownNameError, "of conv_transpose"),
    (lambda: ops.conv_transpose(X1[:, :0], W1.swapaxes(1, 2)), ShapeError, "an input of size 0 has no output"),
    (
        lambda: ops.conv_transpose(X1[:, :1], W1[:2].swapaxes(1, 2), 2, "same", 0),
        ShapeError,
        "an input of size 1 has no output: take a larger input",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[str(k) for k in range(len(WRONG))])
def test_wrong_arguments(call, error, message):
    assert issubclass(error, MiniDLError)
    with pytest.raises(error, match=message):
        call()


class TestExactness:
    """Large 3×3 convolutions that keep the size go by Winograd's method unless they are to be exact."""

    X = np.random.default_rng(0).standard_normal((2, 46, 45, 8), np.float32)
    W = np.random.default_rng(1).standard_normal((3, 3, 8, 16), np.float32)
    B = np.random.default_rng(2).standard_normal(16).astype(np.float32)

    @staticmethod
    def kernel_of(y):
        return type(y.output[0].kernel)

    def conv(self, w=W, **options):
        return ops.conv(self.X, Variable(w), **{"padding": "same", **options})

    def test_both_give_the_same_to_rounding(self):
        fast, exact = self.conv(bias=self.B), self.conv(bias=self.B, exact=True)
        # 3e-6 of the largest result, see the kernel.
        np.testing.assert_allclose(fast.numpy(), exact.numpy(), rtol=0, atol=3e-6 * abs(exact.numpy()).max())
        assert self.kernel_of(fast) is kernels.WinogradConvolution

    def test_the_switch(self, monkeypatch):
        monkeypatch.setattr(config, "_exact_convolution", True)
        assert self.kernel_of(self.conv()) is kernels.Convolution
        assert self.kernel_of(self.conv(exact=False)) is kernels.WinogradConvolution

    @pytest.mark.parametrize(
        "options",
        [
            {"strides": 2}, {"padding": "valid"}, {"dilation_rate": 2}, {"w": W[:2]}, {"w": W[..., :7]},
            {"w": W[:, :, :4]},
        ],
        ids=["stride", "padding", "dilation", "window", "few filters", "groups"],
    )
    def test_other_convolutions_are_exact_anyway(self, options):
        assert self.kernel_of(self.conv(**options)) is kernels.Convolution

    @pytest.mark.parametrize(
        ("shape", "filters", "tile"),
        [
            ((1, 64, 64, 8), 8, 4),
            ((1, 64, 64, 8), 257, 2),  # many filters
            ((1024, 2, 2, 8), 8, 2),  # images smaller than a tile of 4 × 4
            ((1, 32, 32, 32), 32, 2),  # fewer tiles than it takes to pay for the larger kernel
        ],
        ids=str,
    )
    def test_how_large_the_tiles_are(self, shape, filters, tile):
        x, w = np.zeros(shape, np.float32), Variable(np.zeros((3, 3, shape[-1], filters), np.float32))
        assert ops.conv(x, w, padding="same").output[0].kernel == kernels.WinogradConvolution(tile)

    def test_little_work_is_exact_anyway(self):
        assert self.kernel_of(ops.conv(self.X[:1, :4], Variable(self.W), padding="same")) is kernels.Convolution

    def test_a_bias_that_does_not_fit(self):
        with pytest.raises(ShapeError, match=r"conv: expected a bias of shape \(16,\) for 16 filters, got \(3,\)"):
            self.conv(bias=np.zeros(3, np.float32))
