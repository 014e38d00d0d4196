"""What holds of every initializer, and how `get` finds one."""

import copy
import json

import numpy as np
import pytest

import minidl.config
from minidl import initializers
from minidl.errors import ArgumentError, DTypeError, MiniDLError, ShapeError, UnknownNameError
from minidl.initializers import Initializer
from minidl.random import set_random_seed

# String, class name, older names, and arguments other than the defaults.
TABLE = [
    ("zeros", "Zeros", ["zero"], {}),
    ("ones", "Ones", ["one"], {}),
    ("constant", "Constant", [], {"value": 2.5}),
    ("identity", "Identity", ["IdentityInitializer"], {"gain": 3.0}),
    ("orthogonal", "Orthogonal", ["OrthogonalInitializer"], {"gain": 0.5, "seed": 3}),
    ("random_normal", "RandomNormal", ["normal"], {"mean": 1.0, "stddev": 2.0, "seed": 3}),
    ("random_uniform", "RandomUniform", ["uniform"], {"minval": 1.0, "maxval": 2.0, "seed": 3}),
    ("truncated_normal", "TruncatedNormal", [], {"mean": 1.0, "stddev": 2.0, "seed": 3}),
    (
        "variance_scaling",
        "VarianceScaling",
        [],
        {
            "scale": 2.0,
            "mode": "fan_out",
            "distribution": "uniform",
            "seed": 3,
            "input_axes": (0,),
            "output_axes": (-1,),
        },
    ),
    *[
        (f"{name.lower()}_{kind.lower()}", f"{name}{kind}", [], {"seed": 3, "input_axes": (1,), "output_axes": (0,)})
        for name in ("Glorot", "He", "Lecun")
        for kind in ("Normal", "Uniform")
    ],
]
STRINGS = [row[0] for row in TABLE]
RANDOM = [row[0] for row in TABLE if "seed" in row[3]]


@pytest.fixture
def float64_by_default():
    minidl.config.set_floatx("float64")
    yield
    minidl.config.set_floatx("float32")


def test_the_table_lists_every_public_initializer():
    classes = {value for value in vars(initializers).values() if isinstance(value, type)}
    public = {cls.__name__ for cls in classes if issubclass(cls, Initializer) and cls is not Initializer}
    assert public == {row[1] for row in TABLE}


class TestEveryInitializer:
    @pytest.mark.parametrize("string", STRINGS)
    @pytest.mark.parametrize("shape", [(3, 4), (4, 3), (0, 3), (3, 0), (0, 0), (1, 1)])
    @pytest.mark.parametrize("dtype", ["float16", "float32", np.float64, np.dtype("float32")])
    def test_returns_an_array_of_the_shape_and_dtype_it_is_asked_for(self, string, shape, dtype):
        array = initializers.get(string)(shape, dtype=dtype)
        assert type(array) is np.ndarray
        assert array.shape == shape
        assert array.dtype == np.dtype(dtype)
        assert array.flags.c_contiguous
        assert array.flags.writeable

    @pytest.mark.parametrize("string", [s for s in STRINGS if s not in ("identity", "orthogonal")])
    @pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4), (3, 3, 2, 4), (2, 0, 3), [2, 3], (np.int64(2), 3)])
    def test_takes_shapes_of_any_rank(self, string, shape):
        array = initializers.get(string)(shape)
        assert isinstance(array, np.ndarray)
        assert array.shape == tuple(shape)

    @pytest.mark.parametrize("string", STRINGS)
    def test_without_a_dtype_it_takes_the_default_one(self, string):
        assert initializers.get(string)((2, 3)).dtype == np.float32

    @pytest.mark.parametrize("string", STRINGS)
    def test_follows_a_change_of_the_default_dtype(self, string, float64_by_default):
        assert initializers.get(string)((2, 3)).dtype == np.float64

    @pytest.mark.parametrize("string", STRINGS)
    def test_two_calls_share_no_memory(self, string):
        initializer = initializers.get(string)
        first = initializer((2, 3))
        first[...] = 99.0
        assert not (initializer((2, 3)) == 99.0).any()

    @pytest.mark.parametrize("string", STRINGS)
    @pytest.mark.parametrize("shape", [(-1, 3), (2.0, 3), (None, 3), 3, "ab", None])
    def test_rejects_what_is_no_shape(self, string, shape):
        with pytest.raises(ShapeError, match=r"expected a shape, a tuple of integers ≥ 0, got"):
            initializers.get(string)(shape)

    @pytest.mark.parametrize("string", STRINGS)
    @pytest.mark.parametrize("dtype", ["complex64", "str", "nonsense", object])
    def test_rejects_what_is_no_dtype_of_weights(self, string, dtype):
        with pytest.raises(DTypeError, match="expected a float"):
            initializers.get(string)((2, 3), dtype)


class TestConfig:
    @pytest.mark.parametrize(("name", "arguments"), [(row[1], row[3]) for row in TABLE])
    def test_holds_every_argument(self, name, arguments):
        assert getattr(initializers, name)(**arguments).get_config() == arguments

    @pytest.mark.parametrize(("name", "arguments"), [(row[1], row[3]) for row in TABLE])
    def test_survives_json_and_makes_an_equal_initializer(self, name, arguments):
        original = getattr(initializers, name)(**arguments)
        restored = initializers.deserialize(json.loads(json.dumps(initializers.serialize(original))))
        assert type(restored) is type(original)
        assert restored == original
        np.testing.assert_array_equal(restored((3, 4)), original((3, 4)))

    @pytest.mark.parametrize(("name", "arguments"), [(row[1], row[3]) for row in TABLE])
    def test_clone_is_another_of_the_same(self, name, arguments):
        original = getattr(initializers, name)(**arguments)
        assert original.clone() is not original
        assert original.clone() == original

    def test_initializers_of_other_arguments_or_classes_are_unequal(self):
        assert initializers.HeNormal(seed=1) != initializers.HeNormal(seed=2)
        assert initializers.HeNormal(seed=1) != initializers.LecunNormal(seed=1)
        assert initializers.Constant([1.0, 2.0]) != initializers.Constant([1.0, 3.0])
        assert initializers.Zeros() != "zeros"

    def test_unknown_argument(self):
        with pytest.raises(ArgumentError, match=r"HeNormal: cannot be made from the config .*'gain'"):
            initializers.HeNormal.from_config({"gain": 1.0})

    def test_repr_shows_the_arguments(self):
        assert repr(initializers.RandomNormal(stddev=0.1, seed=3)) == "RandomNormal(stddev=0.1, seed=3)"
        assert repr(initializers.Zeros()) == "Zeros()"


class TestSeeds:
    @pytest.mark.parametrize("string", RANDOM)
    def test_an_integer_gives_the_same_values_at_every_call(self, string):
        initializer = initializers.get({"class_name": string, "config": {"seed": 42}})
        first = initializer((4, 5))
        np.testing.assert_array_equal(initializer((4, 5)), first)
        np.testing.assert_array_equal(initializers.deserialize(initializers.serialize(initializer))((4, 5)), first)

    @pytest.mark.parametrize("string", RANDOM)
    def test_another_integer_gives_other_values(self, string):
        a, b = (initializers.get({"class_name": string, "config": {"seed": seed}})((4, 5)) for seed in (1, 2))
        assert not np.array_equal(a, b)

    @pytest.mark.parametrize("string", RANDOM)
    def test_no_seed_gives_other_values_at_every_call(self, string):
        initializer = initializers.get(string)
        assert not np.array_equal(initializer((4, 5)), initializer((4, 5)))

    @pytest.mark.parametrize("string", RANDOM)
    def test_the_global_seed_fixes_the_unseeded(self, string):
        set_random_seed(7)
        first = [initializers.get(string)((4, 5)) for _ in range(2)]
        set_random_seed(7)
        again = [initializers.get(string)((4, 5)) for _ in range(2)]
        np.testing.assert_array_equal(first, again)

    @pytest.mark.parametrize("string", RANDOM)
    def test_a_seeded_initializer_leaves_the_streams_alone(self, string):
        set_random_seed(7)
        expected = initializers.HeNormal()((4, 5))
        set_random_seed(7)
        initializers.get({"class_name": string, "config": {"seed": 42}})((4, 5))
        np.testing.assert_array_equal(initializers.HeNormal()((4, 5)), expected)

    @pytest.mark.parametrize("string", RANDOM)
    def test_numpys_global_state_is_not_touched(self, string):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        initializers.get(string)((4, 5))
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    @pytest.mark.parametrize("string", RANDOM)
    def test_a_generator_advances(self, string):
        def made():
            return initializers.get({"class_name": string, "config": {"seed": np.random.default_rng(5)}})

        initializer = made()
        first, second = initializer((4, 5)), initializer((4, 5))
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(made()((4, 5)), first)

    @pytest.mark.parametrize("string", RANDOM)
    def test_the_state_of_a_generator_survives_the_config(self, string):
        initializer = initializers.get({"class_name": string, "config": {"seed": np.random.default_rng(5)}})
        initializer((4, 5))
        restored = initializers.deserialize(json.loads(json.dumps(initializers.serialize(initializer))))
        assert restored == initializer
        np.testing.assert_array_equal(restored((4, 5)), initializer((4, 5)))

    @pytest.mark.parametrize("state", [{}, {"bit_generator": "MT19937"}, {"bit_generator": "PCG64", "state": 3}])
    def test_a_state_that_is_none_is_rejected(self, state):
        with pytest.raises(ArgumentError, match="seed: not the state of a generator"):
            initializers.HeNormal.from_config({"seed": state})

    @pytest.mark.parametrize("string", RANDOM)
    def test_one_seed_gives_the_same_weights_in_every_precision(self, string):
        initializer = initializers.get({"class_name": string, "config": {"seed": 42}})
        np.testing.assert_array_equal(initializer((4, 5), "float64").astype("float32"), initializer((4, 5), "float32"))

    @pytest.mark.parametrize("string", RANDOM)
    @pytest.mark.parametrize("seed", [-1, 1.5, "one", True, [1]])
    def test_rejects_other_seeds(self, string, seed):
        with pytest.raises(ArgumentError, match=r"seed must be None, an integer ≥ 0 or a numpy\.random\.Generator"):
            initializers.get({"class_name": string, "config": {"seed": seed}})

    @pytest.mark.parametrize("string", RANDOM)
    def test_random_weights_are_floats(self, string):
        with pytest.raises(DTypeError, match="expected a float dtype, got 'int32'"):
            initializers.get(string)((2, 3), "int32")


class Checkerboard(Initializer):
    """What a reader would write."""

    def __init__(self, value=1.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return np.where(np.indices(shape).sum(axis=0) % 2, -self.value, self.value).astype(dtype)


def halves(shape, dtype=None):
    return np.full(shape, 0.5, dtype)


class TestGet:
    @pytest.mark.parametrize(("string", "name", "older"), [row[:3] for row in TABLE])
    def test_every_spelling_of_a_name(self, string, name, older):
        cls = getattr(initializers, name)
        assert getattr(initializers, string) is cls
        for spelling in (string, name, *older):
            assert type(initializers.get(spelling)) is cls

    @pytest.mark.parametrize("name", ["IdentityInitializer", "OrthogonalInitializer"])
    def test_older_class_names_are_exported(self, name):
        assert getattr(initializers, name) is getattr(initializers, name.removesuffix("Initializer"))

    def test_all_names_of_the_module_exist(self):
        assert all(hasattr(initializers, name) for name in initializers.__all__)

    def test_none_stays_none(self):
        assert initializers.get(None) is None

    def test_an_initializer_and_a_function_are_returned_as_they_are(self):
        initializer = Checkerboard()
        assert initializers.get(initializer) is initializer
        assert initializers.get(halves) is halves

    @pytest.mark.parametrize("cls", [initializers.HeNormal, Checkerboard])
    def test_a_class_is_called(self, cls):
        assert type(initializers.get(cls)) is cls

    def test_a_config_as_keras_writes_it(self):
        config = {
            "module": "keras.initializers",
            "class_name": "HeNormal",
            "config": {"seed": 3, "input_axes": None, "output_axes": None},
            "registered_name": None,
        }
        assert initializers.get(config) == initializers.HeNormal(seed=3)

    def test_a_config_without_arguments(self):
        assert initializers.get({"class_name": "HeNormal"}) == initializers.HeNormal()

    def test_an_array_is_copied_into_the_weight(self):
        given = np.arange(6.0).reshape(2, 3)
        made = initializers.get(given)((2, 3), "float32")
        np.testing.assert_array_equal(made, given)
        assert made.dtype == np.float32

    def test_an_unknown_name_gets_the_nearest_ones(self):
        with pytest.raises(UnknownNameError, match=r"Unknown initializer 'henormal': did you mean .*'he_normal'"):
            initializers.get("henormal")

    @pytest.mark.parametrize("wrong", [3, 0.5, ["zeros"], int, object()])
    def test_what_is_no_initializer(self, wrong):
        with pytest.raises(ArgumentError, match="expected an initializer: a name such as 'he_normal'"):
            initializers.get(wrong)

    @pytest.mark.parametrize("wrong", [{}, {"class_name": 3}, {"class_name": "Zeros", "config": []}])
    def test_what_is_no_config(self, wrong):
        with pytest.raises(ArgumentError, match=r"expected an initializer as {'class_name': str, 'config': dict}"):
            initializers.get(wrong)

    def test_a_class_that_needs_arguments(self):
        class Needy(Initializer):
            def __init__(self, value):
                self.value = value

        with pytest.raises(ArgumentError, match=r"Needy: cannot be made from the config \{\}: .*'value'"):
            initializers.get(Needy)


class TestInitializersOfTheUser:
    def test_a_subclass_has_config_repr_and_equality_for_free(self):
        initializer = Checkerboard(value=2.0)
        assert initializer.get_config() == {"value": 2.0}
        assert repr(initializer) == "Checkerboard(value=2.0)"
        assert initializer == initializer.clone() != Checkerboard(value=3.0)
        np.testing.assert_array_equal(initializer((2, 2), "float32"), [[2, -2], [-2, 2]])

    @pytest.mark.parametrize("original", [Checkerboard(2.0), halves])
    def test_it_is_saved_and_found_again_by_name(self, original):
        config = json.loads(json.dumps(initializers.serialize(original)))
        with pytest.raises(UnknownNameError, match="Unknown initializer"):
            initializers.deserialize(config)
        restored = initializers.deserialize(config, {"Checkerboard": Checkerboard, "halves": halves})
        assert restored == original

    def test_none_is_saved_as_none(self):
        assert initializers.serialize(None) is None

    def test_what_has_no_name_of_its_own_cannot_be_saved(self):
        def zeros(shape, dtype=None):
            return np.full(shape, 1e-9, dtype)

        class HeNormal(Initializer):
            pass

        for nameless in (zeros, HeNormal(), lambda shape, dtype=None: np.zeros(shape, dtype)):
            with pytest.raises(ArgumentError, match="has no name of its own to be saved under"):
                initializers.serialize(nameless)

    def test_a_forgotten_attribute_is_named(self):
        class Forgetful(Initializer):
            def __init__(self, value):
                self.v = value

        with pytest.raises(ArgumentError, match="Forgetful: its __init__ keeps no attribute for its argument value"):
            Forgetful(1.0).get_config()
        assert repr(Forgetful(1.0)) == "Forgetful()"

    def test_a_forgotten_call_is_named(self):
        with pytest.raises(NotImplementedError, match="Initializer must define __call__"):
            Initializer()((2, 3))

    def test_a_subclass_of_a_random_one_only_has_to_sample(self):
        class Signs(initializers.HeNormal):
            def sample(self, rng, shape):
                return np.sign(super().sample(rng, shape))

        signs = Signs(seed=1)((100,))
        assert signs.dtype == np.float32
        assert set(signs.tolist()) == {-1.0, 1.0}

    def test_it_can_be_copied(self):
        original = initializers.HeNormal(seed=np.random.default_rng(3))
        copied = copy.deepcopy(original)
        np.testing.assert_array_equal(copied((3, 4)), original((3, 4)))


def test_errors_are_value_errors_or_type_errors_as_well():
    with pytest.raises(ValueError, match="expected a shape") as caught:
        initializers.Zeros()((-1,))
    assert isinstance(caught.value, MiniDLError)
