"""The distributions, measured on a million numbers of a fixed seed.

With n = 10⁶ numbers of standard deviation σ and kurtosis κ ≤ 3, the sample mean has a standard error of σ/√n and the
sample variance one of σ²·√((κ − 1)/n) ≤ σ²·√(2/n). Five standard errors are allowed: a right implementation fails such
a bound once in two million seeds, and the seeds are fixed. A variance that is wrong by 1 % is 7 standard errors away.
"""

import numpy as np
import pytest
from scipy import stats

from minidl.errors import ArgumentError, ShapeError
from minidl.initializers import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal

N = 1_000_000
SEED = 20_240

DISTRIBUTIONS = [
    (RandomNormal(seed=SEED), stats.norm(0.0, 0.05)),
    (RandomNormal(1.5, 2.0, seed=SEED), stats.norm(1.5, 2.0)),
    (TruncatedNormal(seed=SEED), stats.truncnorm(-2, 2, 0.0, 0.05)),
    (TruncatedNormal(1.5, 2.0, seed=SEED), stats.truncnorm(-2, 2, 1.5, 2.0)),
    (RandomUniform(seed=SEED), stats.uniform(-0.05, 0.1)),
    (RandomUniform(1.0, 4.0, seed=SEED), stats.uniform(1.0, 3.0)),
]


@pytest.mark.parametrize(("initializer", "law"), DISTRIBUTIONS)
class TestDistribution:
    def test_mean_and_variance(self, initializer, law):
        w = initializer((N,), "float64")
        assert abs(w.mean() - law.mean()) < 5 * law.std() / np.sqrt(N)
        assert abs(w.var() - law.var()) < 5 * law.var() * np.sqrt(2 / N)

    def test_shape_of_the_distribution(self, initializer, law):
        # Kolmogorov and Smirnov: a right implementation falls below this once in a thousand seeds.
        assert stats.kstest(initializer((N // 10,), "float64"), law.cdf).pvalue > 1e-3

    def test_neighbours_are_independent(self, initializer, law):
        w = initializer((N // 2, 2), "float64")
        # A correlation of n independent pairs has a standard error of 1/√n.
        assert abs(np.corrcoef(w, rowvar=False)[0, 1]) < 5 / np.sqrt(N // 2)


class TestLimits:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_truncated_normal_is_cut_at_two_sigma(self, dtype):
        w = TruncatedNormal(stddev=0.25, seed=SEED)((N,), dtype)
        # 0.5 is exact in both precisions. The density there is 0.11/σ, so the largest of n falls short by some σ/n.
        assert 0.4999 < w.max() <= 0.5
        assert -0.5 <= w.min() < -0.4999

    def test_uniform_fills_its_interval(self):
        w = RandomUniform(-1.0, 3.0, seed=SEED)((N,))
        assert -1.0 <= w.min() < -0.9999
        assert 2.9999 < w.max() <= 3.0

    def test_normal_has_tails(self):
        # One in 15,800 lies beyond 4σ: 63 are expected, with a standard error of 8.
        assert 23 < np.count_nonzero(np.abs(RandomNormal(stddev=1.0, seed=SEED)((N,))) > 4.0) < 103

    @pytest.mark.parametrize("make", [RandomNormal, TruncatedNormal, lambda mean, _: RandomUniform(mean, mean)])
    def test_no_width_means_a_constant(self, make):
        assert (make(1.5, 0.0)((100,)) == 1.5).all()


class TestArguments:
    @pytest.mark.parametrize("cls", [RandomNormal, TruncatedNormal])
    @pytest.mark.parametrize("name", ["mean", "stddev"])
    @pytest.mark.parametrize("value", [np.nan, np.inf, "0.1", None, True])
    def test_mean_and_stddev_are_finite_numbers(self, cls, name, value):
        with pytest.raises(ArgumentError, match=f"{cls.__name__}: {name} must be a finite number, got {value!r}"):
            cls(**{name: value})

    @pytest.mark.parametrize("cls", [RandomNormal, TruncatedNormal])
    def test_stddev_is_not_negative(self, cls):
        with pytest.raises(ArgumentError, match=rf"{cls.__name__}: stddev must be ≥ 0, got -0\.1"):
            cls(stddev=-0.1)

    @pytest.mark.parametrize("name", ["minval", "maxval"])
    def test_the_ends_are_finite_numbers(self, name):
        with pytest.raises(ArgumentError, match=f"RandomUniform: {name} must be a finite number, got inf"):
            RandomUniform(**{name: np.inf})

    def test_the_ends_are_in_order(self):
        with pytest.raises(ArgumentError, match="RandomUniform: minval must be ≤ maxval, got 1 and 0"):
            RandomUniform(1, 0)


class TestOrthogonal:
    @pytest.mark.parametrize("gain", [1.0, 2.0, -0.5])
    @pytest.mark.parametrize("shape", [(5, 5), (300, 100), (100, 300), (3, 3, 8, 16), (3, 3, 2, 64), (1, 7), (7, 1)])
    def test_columns_or_rows_are_orthogonal(self, shape, gain):
        w = Orthogonal(gain, seed=SEED)(shape).reshape(-1, shape[-1]).astype("float64")
        product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        # Rounding the weights to float32 alone moves a product of unit vectors by up to 6e-8.
        np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-6 * gain**2)

    def test_is_orthogonal_to_double_precision_in_float64(self):
        w = Orthogonal(seed=SEED)((50, 50), "float64")
        np.testing.assert_allclose(w @ w.T, np.eye(50), atol=1e-13)

    def test_is_uniform_over_all_orthogonal_matrices(self):
        # The first entry is as often negative as positive, while QR alone makes it always negative. Of 2,000 signs
        # 1,000 are expected, with a standard error of 22.
        rng = np.random.default_rng(SEED)
        first = [Orthogonal(seed=rng)((3, 3), "float64")[0, 0] for _ in range(2000)]
        assert abs(np.count_nonzero(np.array(first) > 0) - 1000) < 5 * 22
        # A coordinate of a uniform point on the sphere in three dimensions is itself uniform (Archimedes).
        assert stats.kstest(first, stats.uniform(-1, 2).cdf).pvalue > 1e-3

    @pytest.mark.parametrize("shape", [(), (5,)])
    def test_needs_two_axes(self, shape):
        with pytest.raises(ShapeError, match="Orthogonal: expected a shape of two axes or more, got"):
            Orthogonal()(shape)

    def test_rejects_a_gain_that_is_no_finite_number(self):
        with pytest.raises(ArgumentError, match="Orthogonal: gain must be a finite number, got nan"):
            Orthogonal(np.nan)
