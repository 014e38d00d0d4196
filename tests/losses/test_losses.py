"""What holds of every loss: Keras's values, exact gradients, dtypes, names."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl import losses
from minidl.autodiff import grad, gradcheck, vjp
from minidl.autodiff.tensor import Tensor
from minidl.errors import ArgumentError, ShapeError, UnknownNameError
from minidl.losses import Loss, LossFunctionWrapper
from minidl.testing import arrays, check_function, distinct, from_noise, integers, probabilities, shapes

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "losses.npz")
CASES = json.loads(str(GOLDEN["cases"]))


# ------------------------------------------------------------ targets and predictions, away from every kink


def any_numbers(shape):
    return st.tuples(arrays(shape), arrays(shape))


def differing_by(kinks, low=-3.0):
    """Targets of at least `low`, and predictions whose distance from them is away from the kinks."""

    def pairs(shape):
        both = st.tuples(arrays(shape, low=low), arrays(shape, away_from=kinks))
        return both.map(lambda drawn: (drawn[0], drawn[0] + drawn[1]))

    return pairs


def within(low, high):
    """Two arrays of one seed, never equal: at equal distributions a gradient of 0 is nothing but rounding."""
    return lambda shape: from_noise(lambda shape, rng: tuple(rng.uniform(low, high, (2, *shape))), shape)


def not_parallel(shape):
    """Vectors at an angle, on every axis: for others the gradient of the cosine is 0, nothing but rounding."""

    def draw(shape, rng):
        y = rng.uniform(0.5, 2, shape)
        return y, y * np.array([0.5, -1.5, 2.5])[np.indices(shape).sum(axis=0) % 3]

    return from_noise(draw, shape)


def signs(shape):
    y = from_noise(lambda shape, rng: rng.choice([-1.0, 1.0], shape), shape)
    return st.tuples(y, arrays(shape, away_from=[-1, 1]))


def one_hot(shape):
    return from_noise(lambda shape, rng: np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])], shape)


def scores_with_one_winner(shape):
    """No ties, and no loss near 0."""

    def clear(drawn):
        y, p = drawn
        return (abs(((1 - y) * p).max(-1) - (y * p).sum(-1) + 1) > 0.05).all()

    return st.tuples(one_hot(shape), distinct(shape).filter(lambda p: (abs(p) > 0.01).all())).filter(clear)


def distributions(shape):
    return st.tuples(probabilities(shape), arrays(shape, 0.1, 0.9))


def soft_logits(shape):
    return st.tuples(probabilities(shape), arrays(shape))


def yes_or_no(shape):
    return st.tuples(arrays(shape, 0.1, 0.9), arrays(shape))


def labels(predictions, axis=-1, ignored=False):
    def pairs(shape):
        of_labels = tuple(np.delete(shape, axis))
        return st.tuples(integers(of_labels, -1 if ignored else 0, shape[axis] - 1), predictions(shape))

    return pairs


LOGITS = arrays
PROBABILITIES = partial(arrays, low=0.1, high=0.9)

# Class, function, arguments, least number of classes or values, pairs of targets and predictions of a shape.
TABLE = [
    ("MeanSquaredError", "mean_squared_error", {}, 1, any_numbers),
    ("MeanAbsoluteError", "mean_absolute_error", {}, 1, differing_by([0])),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", {}, 1, differing_by([0], low=0.5)),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", {}, 1, within(0.2, 4)),
    ("Huber", "huber", {}, 1, differing_by([-1, 1])),
    ("Huber", "huber", {"delta": 0.7}, 1, differing_by([-0.7, 0.7])),
    ("LogCosh", "log_cosh", {}, 1, any_numbers),
    ("CosineSimilarity", "cosine_similarity", {}, 2, not_parallel),
    ("CosineSimilarity", "cosine_similarity", {"axis": -2}, 2, not_parallel),
    ("Hinge", "hinge", {}, 1, signs),
    ("SquaredHinge", "squared_hinge", {}, 1, signs),
    ("CategoricalHinge", "categorical_hinge", {}, 2, scores_with_one_winner),
    ("KLDivergence", "kl_divergence", {}, 1, within(0.1, 0.9)),
    ("Poisson", "poisson", {}, 1, within(0.2, 4)),
    ("BinaryCrossentropy", "binary_crossentropy", {}, 1, within(0.1, 0.9)),
    ("BinaryCrossentropy", "binary_crossentropy", {"label_smoothing": 0.2, "axis": -2}, 1, within(0.1, 0.9)),
    ("BinaryCrossentropy", "binary_crossentropy", {"from_logits": True, "label_smoothing": 0.2}, 1, yes_or_no),
    ("CategoricalCrossentropy", "categorical_crossentropy", {}, 2, distributions),
    ("CategoricalCrossentropy", "categorical_crossentropy", {"label_smoothing": 0.2, "axis": -2}, 2, distributions),
    ("CategoricalCrossentropy", "categorical_crossentropy", {"from_logits": True}, 2, soft_logits),
    ("CategoricalCrossentropy", "categorical_crossentropy", {"from_logits": True, "axis": -2}, 2, soft_logits),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", {}, 2, labels(PROBABILITIES)),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", {"axis": -2}, 2, labels(PROBABILITIES, -2)),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", {"from_logits": True}, 2, labels(LOGITS)),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        {"from_logits": True, "axis": -2, "ignore_class": -1},
        2,
        labels(LOGITS, -2, ignored=True),
    ),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        {"ignore_class": -1},
        2,
        labels(PROBABILITIES, ignored=True),
    ),
]
few = settings(max_examples=8)
every_loss = pytest.mark.parametrize(("cls", "function", "arguments", "least", "pairs"), TABLE)
# Labels that are all 0 or 1 mean another thing than labels close by.
LABELS_ARE_SIGNS = ("Hinge", "SquaredHinge")
# Short names, such as mse, are names of the same things.
PUBLIC = {name for name in losses.__all__ if getattr(losses, name).__name__ == name}
PUBLIC -= {"Loss", "LossFunctionWrapper", "get", "serialize", "deserialize"}
CLASSES = sorted(name for name in PUBLIC if isinstance(getattr(losses, name), type))


def shapes_for(least, arguments):
    """Shapes with sizes from 0, but from `least` on the axis of the classes, which may be the last but one."""
    axis = arguments.get("axis", -1)

    def with_room(shape):
        sizes = list(shape)
        sizes[axis] += least
        sizes[-1] = max(sizes[-1], 1)
        return tuple(sizes)

    return shapes(min_dims=-axis, max_side=2).map(with_room)


def test_the_table_lists_every_public_loss():
    assert {name for row in TABLE for name in row[:2]} == PUBLIC


class TestGradients:
    @every_loss
    @given(data=st.data())
    def test_of_every_function_are_exact(self, cls, function, arguments, least, pairs, data):
        y_true, y_pred = data.draw(shapes_for(least, arguments).flatmap(pairs))
        wrt = [1] if cls in LABELS_ARE_SIGNS else None
        check_function(partial(getattr(losses, function), **arguments), [y_true, y_pred], wrt=wrt, kind="losses")

    @every_loss
    @few
    @given(data=st.data())
    def test_of_every_class_are_too_for_all_reductions(self, cls, function, arguments, least, pairs, data):
        shape = data.draw(shapes_for(least, arguments).filter(lambda shape: 0 not in shape))
        y_true, y_pred = data.draw(pairs(shape))
        reduction = data.draw(st.sampled_from(["sum_over_batch_size", "sum", "none", "mean_with_sample_weight"]))
        loss = getattr(losses, cls)(**arguments, reduction=reduction)
        per_sample = loss.call(*map(Tensor, (y_true, y_pred)))
        weights = data.draw(arrays(per_sample.shape, low=0.5, high=2))
        assert gradcheck(lambda y, p: loss(y, p, weights), y_true, y_pred)


class TestEveryLoss:
    @every_loss
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
    @few
    @given(data=st.data())
    def test_keeps_the_dtype_of_the_predictions_and_modifies_nothing(
        self, cls, function, arguments, least, pairs, dtype, data
    ):
        shape = data.draw(shapes_for(least, arguments).filter(lambda shape: 0 not in shape))
        y_true, y_pred = data.draw(pairs(shape))
        y_pred = y_pred.astype(dtype)
        before = y_true.copy(), y_pred.copy()
        loss = getattr(losses, cls)(**arguments)
        for y in (y_true, Tensor(y_true), y_true.tolist()):
            value, pull = vjp(partial(loss, y), y_pred)
            (dy_pred,) = pull(np.ones((), dtype))
            assert value.shape == ()
            assert dy_pred.shape == shape
            assert value.dtype == dy_pred.dtype == dtype
        np.testing.assert_array_equal(before[0], y_true)
        np.testing.assert_array_equal(before[1], y_pred)

    @every_loss
    @few
    @given(data=st.data())
    def test_is_the_mean_of_its_function(self, cls, function, arguments, least, pairs, data):
        shape = data.draw(shapes_for(least, arguments).filter(lambda shape: 0 not in shape))
        y_true, y_pred = data.draw(pairs(shape))
        per_sample = getattr(losses, function)(y_true, y_pred, **arguments)
        ignored = np.sum(y_true == arguments.get("ignore_class", np.nan))
        expected = per_sample.data.sum() / max(per_sample.size - ignored, 1)
        np.testing.assert_allclose(getattr(losses, cls)(**arguments)(y_true, y_pred), expected, rtol=1e-13, atol=1e-15)

    @pytest.mark.parametrize("cls", CLASSES)
    def test_of_an_empty_batch_is_an_error(self, cls):
        with pytest.raises(ShapeError, match=rf"{cls}: expected at least one sample, got y_pred of shape \(0, 3\)"):
            getattr(losses, cls)()(np.zeros((0, 3)), np.zeros((0, 3)))

    @pytest.mark.parametrize("cls", sorted(set(CLASSES) - {"SparseCategoricalCrossentropy"}))
    @pytest.mark.parametrize(
        ("y_true", "y_pred"), [((3,), (3, 4)), ((3, 1), (3, 4)), ((3, 4), (3, 1)), ((3,), (4,)), ((2, 3, 4), (3, 4))]
    )
    def test_never_broadcasts(self, cls, y_true, y_pred):
        with pytest.raises(ShapeError, match=rf"{cls}: expected"):
            getattr(losses, cls)()(np.full(y_true, 0.5), np.full(y_pred, 0.5))

    @pytest.mark.parametrize(
        "cls", sorted(set(CLASSES) - {"SparseCategoricalCrossentropy", "CategoricalCrossentropy", "CosineSimilarity"})
    )
    def test_takes_n_and_n_1_for_the_same(self, cls):
        loss = getattr(losses, cls)(reduction="none")
        y, p = np.array([0.2, 0.5, 0.9]), np.array([0.6, 0.7, 0.1])
        expected = loss(y[:, None], p[:, None])
        assert expected.shape == (3,)
        np.testing.assert_array_equal(loss(y, p[:, None]), expected)
        np.testing.assert_array_equal(loss(y[:, None], p), expected)

    @pytest.mark.parametrize("function", sorted(PUBLIC - set(CLASSES) - {"sparse_categorical_crossentropy"}))
    @pytest.mark.parametrize("shape", [(), (3, 0)])
    def test_needs_values_to_compare(self, function, shape):
        with pytest.raises(ShapeError, match="expected at least one value a sample"):
            getattr(losses, function)(np.zeros(shape), np.zeros(shape))


class TestAgainstKeras:
    """Values and gradients of Keras 3 in float64, from tests/golden."""

    def loss(self, case, **more):
        arguments = dict(CASES[case])
        return getattr(losses, arguments.pop("class_name"))(**arguments, **more)

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize(
        "key",
        [
            *("sum_over_batch_size", "sum", "none", "sum_over_batch_size_weighted", "sum_weighted", "none_weighted"),
            "mean_with_sample_weight_weighted",
        ],
    )
    def test_values(self, case, key):
        weights = GOLDEN[f"{case}__sample_weight"] if key.endswith("_weighted") else None
        loss = self.loss(case, reduction=key.removesuffix("_weighted"))
        value = loss(GOLDEN[f"{case}__y_true"], GOLDEN[f"{case}__y_pred"], weights)
        assert value.shape == GOLDEN[f"{case}__{key}"].shape
        np.testing.assert_allclose(value, GOLDEN[f"{case}__{key}"], rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("case", CASES)
    def test_gradients(self, case):
        y_true, y_pred = GOLDEN[f"{case}__y_true"], GOLDEN[f"{case}__y_pred"]
        loss = self.loss(case)
        for key, weights in (("dy_pred", None), ("dy_pred_weighted", GOLDEN[f"{case}__sample_weight"])):
            gradient = grad(lambda p, w=weights: loss(y_true, p, w))(y_pred)
            np.testing.assert_allclose(gradient, GOLDEN[f"{case}__{key}"], rtol=1e-12, atol=1e-15)

    # In float32 the largest number below 1 is 1 − 6e-8, and 1 − ε is 1 − 1.2e-7: −ln ε is 15.9 there, not 16.1.
    @pytest.mark.parametrize("case", sorted(set(CASES) - {"binary_crossentropy_certain"}))
    def test_float32_is_float64_but_for_rounding(self, case):
        y_true, y_pred = GOLDEN[f"{case}__y_true"], GOLDEN[f"{case}__y_pred"].astype(np.float32)
        loss = self.loss(case)
        single = loss(y_true, y_pred), grad(lambda p: loss(y_true, p))(y_pred)
        y_pred = y_pred.astype(np.float64)
        double = loss(y_true, y_pred), grad(lambda p: loss(y_true, p))(y_pred)
        for a, b in zip(single, double, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)

    def test_every_loss_has_golden_values(self):
        assert {config["class_name"] for config in CASES.values()} == set(CLASSES)


class TestGet:
    @pytest.mark.parametrize(
        ("cls", "names"),
        [
            ("BinaryCrossentropy", ["bce", "BCE", "binary_crossentropy"]),
            ("CategoricalCrossentropy", ["categorical_crossentropy"]),
            ("CategoricalHinge", ["categorical_hinge"]),
            ("CosineSimilarity", ["cosine_similarity"]),
            ("Hinge", ["hinge"]),
            ("Huber", ["huber", "huber_loss"]),
            ("KLDivergence", ["kld", "KLD", "kl_divergence", "kullback_leibler_divergence"]),
            ("LogCosh", ["log_cosh", "logcosh"]),
            ("MeanAbsoluteError", ["mae", "MAE", "mean_absolute_error"]),
            ("MeanAbsolutePercentageError", ["mape", "MAPE", "mean_absolute_percentage_error"]),
            ("MeanSquaredError", ["mse", "MSE", "mean_squared_error"]),
            ("MeanSquaredLogarithmicError", ["msle", "MSLE", "mean_squared_logarithmic_error"]),
            ("Poisson", ["poisson"]),
            ("SparseCategoricalCrossentropy", ["sparse_categorical_crossentropy"]),
            ("SquaredHinge", ["squared_hinge"]),
        ],
    )
    def test_finds_a_loss_by_each_of_its_names(self, cls, names):
        for name in [cls, *names]:
            assert type(losses.get(name)) is getattr(losses, cls)

    @every_loss
    def test_finds_it_by_its_class_and_by_its_function(self, cls, function, arguments, least, pairs):
        kind = getattr(losses, cls)
        assert type(losses.get(kind)) is kind
        assert type(losses.get(getattr(losses, function))) is kind

    def test_a_loss_is_returned_as_it_is(self):
        loss = losses.Huber(delta=2.0)
        assert losses.get(loss) is loss

    def test_none_stays_none(self):
        assert losses.get(None) is None

    def test_a_function_of_the_user_is_wrapped_and_gives_its_name(self):
        def fourth_power(y_true, y_pred):
            return (y_true - y_pred) ** 4

        loss = losses.get(fourth_power)
        assert type(loss) is LossFunctionWrapper
        assert loss.name == "fourth_power"
        assert loss([0.0, 1.0], [1.0, 3.0]).item() == 8.5

    def test_an_unknown_name_gets_the_nearest_ones(self):
        with pytest.raises(UnknownNameError, match="Unknown loss 'mean_square_error': did you mean 'mean_squared_err"):
            losses.get("mean_square_error")

    @pytest.mark.parametrize("thing", [3, ["mse"], Tensor(1.0), int])
    def test_what_is_no_loss_is_an_error(self, thing):
        with pytest.raises(ArgumentError, match="expected a loss: a name such as 'mse'"):
            losses.get(thing)


class TestConfig:
    @every_loss
    def test_describes_the_loss_completely(self, cls, function, arguments, least, pairs):
        loss = getattr(losses, cls)(**arguments, reduction="sum", name="mine")
        config = json.loads(json.dumps(losses.serialize(loss)))
        assert config["class_name"] == cls
        assert config["config"].items() >= {**arguments, "reduction": "sum", "name": "mine"}.items()
        again = losses.deserialize(config)
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
        assert losses.get(config).get_config() == loss.get_config()

    def test_shows_in_the_repr(self):
        assert repr(losses.Huber(2.0)) == "Huber(delta=2.0)"

    def test_has_the_defaults_of_keras(self):
        assert losses.SparseCategoricalCrossentropy().get_config() == {
            "from_logits": False,
            "ignore_class": None,
            "reduction": "sum_over_batch_size",
            "axis": -1,
            "name": "sparse_categorical_crossentropy",
        }
        assert losses.BinaryCrossentropy().get_config() == {
            "from_logits": False,
            "label_smoothing": 0.0,
            "axis": -1,
            "reduction": "sum_over_batch_size",
            "name": "binary_crossentropy",
        }
        names = {cls: getattr(losses, cls)().name for cls in CLASSES}
        assert names.pop("Huber") == "huber_loss"
        assert names == {row[0]: row[1] for row in TABLE if row[0] != "Huber"}

    def test_with_an_argument_that_does_not_exist_is_an_error(self):
        with pytest.raises(ArgumentError, match=r"Huber: cannot be made from the config .*delt"):
            losses.Huber.from_config({"delt": 2.0})

    @pytest.mark.parametrize("config", [{}, {"class_name": 3}, {"class_name": "Huber", "config": 2.0}])
    def test_that_is_none_is_an_error(self, config):
        with pytest.raises(ArgumentError, match=r"expected a loss as .*class_name.*got"):
            losses.get(config)

    def test_of_a_class_of_the_user(self):
        class Scaled(Loss):
            def __init__(self, factor=2.0, **kwargs):
                super().__init__(**kwargs)
                self.factor = factor

            def call(self, y_true, y_pred):
                return self.factor * losses.mean_squared_error(y_true, y_pred)

        loss = Scaled(factor=3.0, reduction="sum")
        config = losses.serialize(loss)
        assert config["config"] == {"factor": 3.0, "name": "scaled", "reduction": "sum"}
        again = losses.deserialize(config, custom_objects={"Scaled": Scaled})
        assert repr(again) == repr(loss) == "Scaled(factor=3.0, reduction='sum')"
        with pytest.raises(UnknownNameError, match="Unknown loss 'Scaled'"):
            losses.deserialize(config)

    def test_of_a_function_of_the_user(self):
        def power(y_true, y_pred, exponent=2):
            return (y_true - y_pred) ** exponent

        loss = LossFunctionWrapper(power, reduction="sum", exponent=4)
        config = losses.serialize(loss)
        assert config == {
            "class_name": "LossFunctionWrapper",
            "config": {"fn": "power", "reduction": "sum", "name": "power", "exponent": 4},
        }
        again = losses.deserialize(json.loads(json.dumps(config)), custom_objects={"power": power})
        assert again([0.0, 0.0], [1.0, 2.0]).item() == 17
        assert losses.deserialize("power", custom_objects={"power": power})([0.0], [2.0]).item() == 4
        with pytest.raises(UnknownNameError, match="Unknown loss function 'power'"):
            losses.deserialize(config)

    def test_is_refused_to_what_has_no_name_of_its_own(self):
        def huber(y_true, y_pred):
            return y_true - y_pred

        class Huber(Loss):
            pass

        for loss in (LossFunctionWrapper(huber), LossFunctionWrapper(lambda y, p: y - p), Huber()):
            with pytest.raises(ArgumentError, match="has no name of its own to be saved under"):
                losses.serialize(loss)

    def test_needs_an_attribute_for_each_argument(self):
        class Forgetful(Loss):
            def __init__(self, factor):
                super().__init__()

        with pytest.raises(ArgumentError, match="Forgetful: its __init__ keeps no attribute for its argument factor"):
            Forgetful(2.0).get_config()
