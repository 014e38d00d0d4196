"""The variance that fits a layer: fans, golden scales, and the distributions that have it."""

import numpy as np
import pytest
from scipy import stats

from minidl import initializers
from minidl.errors import ArgumentError, ShapeError, UnknownNameError
from minidl.initializers import GlorotUniform, HeNormal, LecunNormal, VarianceScaling
from minidl.initializers.scaling import compute_fans

SEED = 20_240


class Extremes:
    """A stand-in for a generator: one standard deviation, or the upper limit, in the place of chance."""

    def standard_normal(self, shape):
        return np.ones(shape)

    def uniform(self, low, high, shape):
        assert low == -high
        return np.full(shape, high)


def width(initializer, shape):
    """The σ before the cut or the limit that `initializer` takes for a weight of `shape`."""
    return initializer.sample(Extremes(), shape).flat[0]


class TestFans:
    # As Keras 3 has them: a dense kernel, then convolution kernels of one, two and three dimensions.
    @pytest.mark.parametrize(
        ("shape", "fans"),
        [
            ((), (1, 1)),
            ((5,), (5, 5)),
            ((4, 6), (4, 6)),
            ((3, 4, 6), (12, 18)),
            ((2, 3, 4, 6), (24, 36)),
            ((2, 2, 3, 4, 6), (48, 72)),
            ((0, 3), (0, 3)),
        ],
    )
    def test_of_a_shape(self, shape, fans):
        assert compute_fans(shape) == fans

    def test_of_given_axes(self):
        assert compute_fans((2, 3, 5), input_axes=(0,), output_axes=(1, -1)) == (2, 15)

    def test_change_the_scale(self):
        # A kernel of attention: (features, heads, size of a head) has 64 inputs a unit, not 8·64.
        initializer = LecunNormal(input_axes=(0,), output_axes=(1, 2))
        assert width(initializer, (64, 8, 16)) == width(LecunNormal(), (64, 128))

    def test_an_axis_the_shape_does_not_have(self):
        with pytest.raises(ShapeError, match=r"fans over the axes \(2,\): the shape \(3, 4\) has only 2"):
            HeNormal(input_axes=(2,), output_axes=(0,))((3, 4))

    def test_one_without_the_other(self):
        with pytest.raises(ArgumentError, match="HeNormal: input_axes and output_axes go together"):
            HeNormal(input_axes=(0,))

    @pytest.mark.parametrize("axes", [0, (0.5,), "a"])
    def test_what_is_no_tuple_of_axes(self, axes):
        with pytest.raises(ArgumentError, match="HeNormal: output_axes must be a tuple of integers"):
            HeNormal(input_axes=(0,), output_axes=axes)


class TestGoldenScales:
    """The limit of the uniform ones and the σ before the cut of the normal ones, as Keras 3.15 passes them on."""

    SHAPES = [(), (300,), (784, 300), (5, 16, 32), (3, 3, 64, 128), (2, 3, 3, 16, 32)]

    @pytest.mark.parametrize(
        ("name", "golden"),
        [
            ("GlorotUniform", [1.732050808, 0.1, 0.0743979526, 0.158113883, 0.0589255651, 0.08333333333]),
            ("GlorotNormal", [1.136847234, 0.06563590568, 0.04883176999, 0.1037794791, 0.03867632833, 0.05469658806]),
            ("HeUniform", [2.449489743, 0.1414213562, 0.08748177653, 0.2738612788, 0.1020620726, 0.1443375673]),
            ("HeNormal", [1.607744777, 0.09282318799, 0.05741945633, 0.1797513306, 0.06698936571, 0.09473726953]),
            ("LecunUniform", [1.732050808, 0.1, 0.06185895741, 0.1936491673, 0.07216878365, 0.1020620726]),
            ("LecunNormal", [1.136847234, 0.06563590568, 0.04060168694, 0.1271033848, 0.04736863476, 0.06698936571]),
        ],
    )
    def test_named_schemes(self, name, golden):
        widths = [width(getattr(initializers, name)(), shape) for shape in self.SHAPES]
        np.testing.assert_allclose(widths, golden, rtol=1e-9)  # they have ten digits

    @pytest.mark.parametrize(
        ("mode", "distribution", "golden"),
        [
            ("fan_in", "truncated_normal", 0.0820448821),
            ("fan_in", "untruncated_normal", 0.07216878365),
            ("fan_in", "uniform", 0.125),
            ("fan_out", "truncated_normal", 0.05801449249),
            ("fan_out", "untruncated_normal", 0.05103103631),
            ("fan_out", "uniform", 0.08838834765),
            ("fan_avg", "truncated_normal", 0.06698936571),
            ("fan_avg", "untruncated_normal", 0.0589255651),
            ("fan_avg", "uniform", 0.1020620726),
        ],
    )
    def test_modes_and_distributions(self, mode, distribution, golden):
        initializer = VarianceScaling(3.0, mode, distribution)
        np.testing.assert_allclose(width(initializer, (3, 3, 64, 128)), golden, rtol=1e-9)


class TestDistribution:
    """A million numbers, a fixed seed; five standard errors are allowed: σ/√n of a mean, σ²·√(2/n) of a variance."""

    SHAPE = (1000, 1000)
    VARIANCE = 2.5 / 1000

    @pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
    @pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
    def test_has_the_variance_that_was_asked_for(self, distribution, mode):
        w = VarianceScaling(2.5, mode, distribution, seed=SEED)(self.SHAPE).astype("float64")
        assert abs(w.mean()) < 5 * np.sqrt(self.VARIANCE / w.size)
        assert abs(w.var() - self.VARIANCE) < 5 * self.VARIANCE * np.sqrt(2 / w.size)

    def test_the_forms_are_the_three_named(self):
        sigma = np.sqrt(self.VARIANCE)
        cut = sigma / stats.truncnorm(-2, 2).std()
        laws = {
            "truncated_normal": stats.truncnorm(-2, 2, scale=cut),
            "untruncated_normal": stats.norm(scale=sigma),
            "uniform": stats.uniform(-np.sqrt(3) * sigma, 2 * np.sqrt(3) * sigma),
        }
        for distribution, law in laws.items():
            w = VarianceScaling(2.5, "fan_in", distribution, seed=SEED)((1000, 100), "float64")
            assert stats.kstest(w.ravel(), law.cdf).pvalue > 1e-3  # once in a thousand seeds

    def test_the_variance_is_kept_through_deep_layers(self):
        # 20 layers of relu, 400 wide: He keeps the mean square, which LeCun's variance halves at each of them.
        rng = np.random.default_rng(SEED)
        inputs = rng.standard_normal((200, 400))

        def mean_square_after_20_layers(initializer):
            x = inputs
            for _ in range(20):
                x = np.maximum(x @ initializer((400, 400), "float64"), 0.0)
            return np.mean(x**2) / np.mean(inputs**2)

        # Over random weights the logarithm wanders by about √(20·5/400) = 0.5: a factor of 5 is three of these.
        assert 0.2 < mean_square_after_20_layers(HeNormal(seed=rng)) < 5.0
        assert mean_square_after_20_layers(LecunNormal(seed=rng)) < 1e-4


class TestArguments:
    def test_normal_is_the_older_name_of_truncated_normal(self):
        assert VarianceScaling(distribution="normal") == VarianceScaling(distribution="truncated_normal")

    @pytest.mark.parametrize("scale", [0, -1.0])
    def test_scale_is_positive(self, scale):
        with pytest.raises(ArgumentError, match=f"VarianceScaling: scale must be > 0, got {scale}"):
            VarianceScaling(scale)

    @pytest.mark.parametrize("scale", [np.nan, np.inf, "2", None])
    def test_scale_is_a_finite_number(self, scale):
        with pytest.raises(ArgumentError, match="VarianceScaling: scale must be a finite number"):
            VarianceScaling(scale)

    def test_unknown_mode(self):
        with pytest.raises(UnknownNameError, match="Unknown mode of VarianceScaling 'fan_inn': did you mean 'fan_in'"):
            VarianceScaling(mode="fan_inn")

    def test_unknown_distribution(self):
        with pytest.raises(UnknownNameError, match="Unknown distribution of VarianceScaling 'gaussian': known are: "):
            VarianceScaling(distribution="gaussian")

    def test_named_schemes_show_what_they_scale_by(self):
        glorot = GlorotUniform()
        assert (glorot.scale, glorot.mode, glorot.distribution) == (1.0, "fan_avg", "uniform")
