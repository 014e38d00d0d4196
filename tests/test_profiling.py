"""`minidl.profile()`: every call is counted where it belongs, nothing else changes, and the table says so."""

import time

import numpy as np
import pytest

import minidl as keras
from minidl import kernels, layers, ops, profiling
from minidl.autodiff.graph import active_trace
from minidl.autodiff.tensor import perform
from minidl.autodiff.tracing import function
from minidl.errors import GraphError
from minidl.memory import Heap

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3), np.float32), RNG.standard_normal((3, 4), np.float32)
X, Y = RNG.standard_normal((20, 4), np.float32), RNG.integers(0, 3, 20)
FIRST, LAST = ("outer/inner/hidden", "Affine"), ("outer/last", "Affine")


def quiet():
    return keras.profile(print_table=False)


def counts(profile):
    """Layer, kernel and direction of every row, and the number of calls."""
    return {(row.layer, row.kernel, row.direction): row.calls for row in profile.rows}


def only_row(profile):
    (row,) = profile.rows
    return row


class Counting(layers.Layer):
    """Passes its input on, and counts how often Python comes by."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def call(self, inputs):
        self.calls.append(1)
        return inputs


def make_model(**options):
    """A model in a model, compiled; always the same one."""
    keras.utils.set_random_seed(1)
    inner = keras.Sequential(
        [layers.Dense(5, activation="relu", name="hidden"), layers.BatchNormalization(name="norm")], name="inner"
    )
    model = keras.Sequential(
        [keras.Input((4,)), Counting(), inner, layers.Dense(3, activation="softmax", name="last")], name="outer"
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"], **options)
    model.layers[0].calls.clear()
    return model


def fit(model, epochs=3):
    return model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0)


class TestOperations:
    def test_what_an_operation_read_wrote_and_computed(self):
        with quiet() as profile:
            ops.matmul(A, B)
        row = only_row(profile)
        assert (row.layer, row.kernel, row.direction, row.calls) == ("", "MatMul", "forward", 1)
        assert row.nbytes == 4 * (2 * 3 + 3 * 4 + 2 * 4)
        assert row.flops == 2 * 2 * 3 * 4
        assert row.gflops == row.flops / row.seconds / 1e9

    def test_a_gradient_reads_what_was_saved_too(self):
        with quiet() as profile:
            keras.vjp(ops.exp, A)[1](np.ones_like(A))
        forward, backward = sorted(profile.rows, key=lambda row: row.direction, reverse=True)
        assert (backward.kernel, backward.direction, backward.calls) == ("Exp", "backward", 1)
        # Forward x and y; backward dy, the saved y, and dx.
        assert forward.nbytes == 2 * A.nbytes
        assert backward.nbytes == 3 * A.nbytes
        assert forward.flops == 0
        assert forward.gflops is None

    @pytest.mark.parametrize(("argnums", "products"), [(0, 1), (1, 1), ((0, 1), 2)])
    def test_the_gradient_of_each_factor_is_a_product(self, argnums, products):
        with quiet() as profile:
            keras.grad(lambda a, b: ops.sum(ops.matmul(a, b)), argnums)(A, B)
        flops = {row.direction: row.flops for row in profile.rows if row.kernel == "MatMul"}
        assert flops == {"forward": 48, "backward": 48 * products}

    def test_where_gradients_meet(self):
        with quiet() as profile:
            keras.grad(lambda x: ops.sum(ops.exp(x) * ops.sin(x)))(A)
        assert counts(profile)["", "AddGradients", "backward"] == 1
        assert ("", "AddGradients", "forward") not in counts(profile)

    def test_a_kernel_for_many_functions_has_the_name_of_the_function(self):
        with quiet() as profile:
            ops.greater(A, 0.0)
        assert only_row(profile).kernel == "greater"

    def test_several_results(self):
        with quiet() as profile:
            ops.split(A, 3, axis=1)
        assert (only_row(profile).kernel, only_row(profile).nbytes) == ("Split", 2 * A.nbytes)

    def test_forward_before_the_block_and_backward_inside(self):
        layer = layers.Dense(2, name="early")
        with keras.GradientTape() as tape:
            loss = ops.sum(layer(X))
        with quiet() as profile:
            tape.gradient(loss, layer.trainable_variables)
        assert counts(profile) == {("", "Sum", "backward"): 1, ("early", "Affine", "backward"): 1}

    def test_forward_inside_the_block_and_backward_after_it(self):
        x = keras.Tensor(A, requires_grad=True)
        with quiet() as profile:
            y = ops.sum(ops.square(x))
        y.backward()
        np.testing.assert_array_equal(x.grad.numpy(), 2 * A)
        assert counts(profile) == {("", "Square", "forward"): 1, ("", "Sum", "forward"): 1}


class TestFunctions:
    """What is done by `perform`."""

    def test_are_rows_of_their_own(self):
        with quiet() as profile:
            perform(np.copyto, keras.Tensor(np.empty_like(A)), A)
        row = only_row(profile)
        assert (row.kernel, row.direction, row.calls, row.nbytes) == ("copyto", "other", 1, 2 * A.nbytes)

    def test_are_seen_from_outside_only(self):
        """Eager, recorded and replayed: the time of what is inside would be counted twice."""

        def inside(x):
            ops.exp(x)

        @function
        def step(x):
            perform(inside, x)

        with quiet() as profile:
            perform(inside, keras.Tensor(A))
            for _ in range(4):
                step(A)
        row = only_row(profile)
        assert row.kernel.endswith("inside")
        assert row.calls == 5

    def test_an_object_has_the_name_of_its_class(self):
        class Listener:
            def __call__(self, x):
                pass

        with quiet() as profile:
            perform(Listener(), keras.Tensor(A))
        assert only_row(profile).kernel == "Listener"


class TestModels:
    STEPS = 12

    @pytest.mark.parametrize("eagerly", [False, True])
    def test_fit_counts_every_call_in_its_layer(self, eagerly):
        model = make_model(run_eagerly=eagerly)
        with quiet() as profile:
            fit(model)
        python = len(model.layers[0].calls)
        # Forward once more: `fit` first tries whether a batch goes through.
        assert python == self.STEPS + 1 if eagerly else python < self.STEPS / 2, "most steps are to be replayed"
        found = counts(profile)
        for layer, kernel in [FIRST, ("outer/inner/hidden", "Relu"), LAST, ("outer/last", "Softmax")]:
            assert found[layer, kernel, "forward"] == self.STEPS + 1
            assert found[layer, kernel, "backward"] == self.STEPS
        assert found["", "Step.take", "other"] == found["", "Steps.measure", "other"] == self.STEPS
        assert found["outer/inner/norm", "BatchNormalization._follow", "other"] == self.STEPS
        assert {layer for layer, _, _ in found} == {"outer/inner/hidden", "outer/inner/norm", "outer/last", ""}

    def test_replayed_steps_read_write_and_compute_what_eager_ones_do(self):
        both = []
        for eagerly in (False, True):
            with quiet() as profile:
                fit(make_model(run_eagerly=eagerly))
            both.append({(r.layer, r.kernel, r.direction): (r.calls, r.flops, r.nbytes) for r in profile.rows})
        assert both[0].keys() == both[1].keys()
        for key, (calls, flops, nbytes) in both[0].items():
            assert (calls, flops) == both[1][key][:2]
            assert nbytes == both[1][key][2], key

    def test_the_work_of_a_layer(self):
        with quiet() as profile:
            fit(make_model())
        flops = {row.direction: row.flops for row in profile.rows if (row.layer, row.kernel) == LAST}
        product = 2 * 5 * 5 * 3
        assert flops == {"forward": product * (self.STEPS + 1), "backward": 2 * product * self.STEPS}

    def test_the_images_that_a_network_starts_from_need_no_gradient(self):
        with quiet() as profile:
            fit(make_model())
        rows = {row.direction: row for row in profile.rows if (row.layer, row.kernel) == FIRST}
        assert rows["backward"].flops / rows["backward"].calls == rows["forward"].flops / rows["forward"].calls

    def test_predict_and_evaluate_have_no_backward(self):
        model = make_model()
        with quiet() as profile:
            model.predict(X, batch_size=5, verbose=0)
        assert counts(profile)["outer/last", "Affine", "forward"] == 4
        with quiet() as profile:
            model.evaluate(X, Y, batch_size=5, verbose=0)
        assert counts(profile)["outer/last", "Affine", "forward"] == 4 + 1
        assert {row.direction for row in profile.rows} == {"forward", "other"}

    def test_steps_recorded_before_the_block_know_their_layers(self):
        model = make_model()
        step = function(model)
        for _ in range(3):
            step(X)
        before = len(model.layers[0].calls)
        with quiet() as profile:
            for _ in range(4):
                step(X)
        assert counts(profile)["outer/inner/hidden", "Relu", "forward"] == 4
        assert len(model.layers[0].calls) == before, "the steps were not replayed"

    def test_steps_recorded_inside_the_block_are_replayed_after_it(self):
        model = make_model()
        step = function(model)
        with quiet() as profile:
            inside = [step(X).numpy() for _ in range(3)]
        python, found = len(model.layers[0].calls), counts(profile)
        np.testing.assert_array_equal(step(X).numpy(), inside[0])
        assert len(model.layers[0].calls) == python
        assert counts(profile) == found

    def test_a_recorded_function(self):
        layer = layers.Dense(2, name="mine")

        @function
        def step(x):
            with keras.GradientTape() as tape:
                loss = ops.sum(ops.square(layer(x)))
            return tape.gradient(loss, layer.trainable_variables)

        with quiet() as profile:
            for _ in range(7):
                step(X)
        assert counts(profile) == {
            ("mine", "Affine", "forward"): 7, ("", "Square", "forward"): 7, ("", "Sum", "forward"): 7,
            ("mine", "Affine", "backward"): 7, ("", "Square", "backward"): 7, ("", "Sum", "backward"): 7,
        }  # fmt: skip

    @pytest.mark.parametrize("eagerly", [False, True])
    def test_results_are_the_same_to_the_last_bit(self, eagerly):
        plain = make_model(run_eagerly=eagerly)
        plain_history = fit(plain).history
        watched = make_model(run_eagerly=eagerly)
        with quiet():
            watched_history = fit(watched).history
        assert watched_history == plain_history
        for a, b in zip(watched.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


class TestTime:
    def test_of_all_rows_is_at_most_that_of_the_block(self):
        start = time.perf_counter()
        with quiet() as profile:
            fit(make_model())
        wall = time.perf_counter() - start
        assert all(row.seconds > 0 for row in profile.rows)
        assert sum(row.seconds for row in profile.rows) <= profile.seconds <= wall

    def test_goes_to_the_function_that_takes_it(self):
        step = function(lambda x: perform(lambda _: time.sleep(0.002), x))
        with quiet() as profile:
            for _ in range(4):
                step(A)
        assert only_row(profile).calls == 4
        assert only_row(profile).seconds >= 4 * 0.002

    def test_outside_of_kernels_remains(self):
        with quiet() as profile:
            ops.exp(A)
            time.sleep(0.01)
        assert profile.seconds - only_row(profile).seconds >= 0.01

    def test_that_profiling_takes_itself_is_left_out(self, monkeypatch):
        with quiet() as profile:
            monkeypatch.setattr(profiling, "leaves", lambda tree: time.sleep(0.05) or [A])
            ops.exp(A)
        assert profile.seconds < 0.05

    def test_stands_still_after_the_block_and_runs_inside(self):
        with quiet() as profile:
            first = profile.seconds
            assert profile.seconds > first
        assert profile.seconds == profile.seconds

    def test_the_longest_comes_first(self):
        with quiet() as profile:
            fit(make_model())
        seconds = [row.seconds for row in profile.rows]
        assert seconds == sorted(seconds, reverse=True)


class TestBlock:
    def test_prints_at_the_end(self, capsys):
        with keras.profile() as profile:
            ops.exp(A)
            assert capsys.readouterr().out == ""
        assert capsys.readouterr().out == profile.table() + "\n"

    def test_prints_nothing_if_told_so(self, capsys):
        with keras.profile(print_table=False):
            ops.exp(A)
        assert capsys.readouterr().out == ""

    def test_prints_after_an_error_too_and_ends(self, capsys):
        with pytest.raises(ZeroDivisionError), keras.profile():
            ops.exp(A)
            1 / 0
        assert "Exp" in capsys.readouterr().out
        assert active_trace() is None

    def test_an_error_in_a_replay_leaves_everything_in_order(self):
        fails = []

        def check(_):
            if fails:
                raise ZeroDivisionError

        @function
        def step(x):
            perform(check, x)
            return ops.exp(x)

        with quiet() as profile:
            for _ in range(3):
                step(A)
            fails.append(True)
            with pytest.raises(ZeroDivisionError):
                step(A)
            fails.clear()
            np.testing.assert_array_equal(step(A).numpy(), np.exp(A))
        calls = counts(profile)
        assert calls.pop(("", "Exp", "forward")) == 4
        assert list(calls.values()) == [4], "the call that failed is not counted"

    def test_a_block_in_a_block_is_an_error(self):
        with quiet() as profile:
            with pytest.raises(GraphError, match=r"another profile or a minidl\.function is running: put .* outside"):
                quiet().__enter__()
            ops.exp(A)
        assert only_row(profile).calls == 1

    def test_a_block_in_a_step_is_an_error(self):
        @function
        def step(x):
            with quiet():
                return ops.exp(x)

        with pytest.raises(GraphError, match=r"put `with minidl\.profile\(\)` outside of it"):
            step(A)

    def test_decorates_a_function(self, capsys):
        @keras.profile()
        def work():
            return ops.exp(A)

        work()
        work()
        assert capsys.readouterr().out.count("Total") == 2


class TestWork:
    """The arithmetic that a kernel tells of is that of the sums written out."""

    def flops(self, kernel, *inputs):
        with quiet() as profile:
            y, pull = keras.vjp(lambda *xs: keras.autodiff.apply(kernel, *xs), *inputs)
            pull(np.ones(y.shape, np.float32))
        return {row.direction: row.flops for row in profile.rows}

    @staticmethod
    def ones(*shape):
        return np.ones(shape, np.float32)

    def test_a_stack_of_matrices(self):
        assert self.flops(kernels.MatMul(), self.ones(6, 2, 3), self.ones(3, 4)) == {
            "forward": 2 * 6 * 2 * 3 * 4, "backward": 2 * 2 * 6 * 2 * 3 * 4,
        }  # fmt: skip

    def test_vectors(self):
        assert self.flops(kernels.MatMul(), self.ones(3), self.ones(3))["forward"] == 2 * 3

    def test_affine(self):
        found = self.flops(kernels.Affine(), self.ones(6, 2, 3), self.ones(3, 4), self.ones(4))
        assert found == {"forward": 2 * 6 * 2 * 3 * 4, "backward": 2 * 2 * 6 * 2 * 3 * 4}

    def test_convolution_in_groups(self):
        kernel = kernels.Convolution((1, 1), (1, 1), ((0, 0), (0, 0)), groups=2)
        outputs, window, channels, filters = 3 * 3, 2 * 2, 4, 6
        product = 2 * 5 * outputs * window * (channels // 2) * filters
        found = self.flops(kernel, self.ones(5, 4, 4, channels), self.ones(2, 2, channels // 2, filters))
        assert found == {"forward": product, "backward": 2 * product}

    def test_winograds_convolution_counts_as_the_sum_that_it_stands_for(self):
        x, w = self.ones(2, 6, 6, 3), self.ones(3, 3, 3, 4)
        plain = kernels.Convolution((1, 1), (1, 1), ((1, 1), (1, 1)), groups=1)
        assert self.flops(kernels.WinogradConvolution(), x, w, self.ones(4)) == self.flops(plain, x, w)

    def test_a_transposed_convolution_works_as_much_as_the_convolution_it_is_the_gradient_of(self):
        where = (2,), (1,), ((0, 0),)
        x, w = self.ones(5, 9, 4), self.ones(3, 4, 6)
        convolution = kernels.Convolution(*where, groups=1)
        y, _ = convolution.forward(Heap(), x, w)
        expected = self.flops(convolution, x, w)
        assert self.flops(kernels.ConvolutionTranspose(*where, groups=1, output_padding=(0,)), y, w) == expected
        assert expected["forward"] == 2 * 5 * 4 * 3 * 4 * 6

    def test_depthwise_convolution(self):
        kernel = kernels.DepthwiseConvolution((1,), (1,), ((1, 1),))
        product = 2 * 5 * 9 * 3 * 4
        assert self.flops(kernel, self.ones(5, 9, 4), self.ones(3, 4)) == {"forward": product, "backward": 2 * product}

    def test_einsum(self):
        product = 2 * 2 * 3 * 4 * 5
        found = self.flops(kernels.Einsum("abc,bcd->ad"), self.ones(2, 3, 4), self.ones(3, 4, 5))
        assert found == {"forward": product, "backward": 2 * product}

    @pytest.mark.parametrize("subscripts", ["ab->ba", "ab,bc,cd->ad"])
    def test_einsum_of_one_or_many_does_not_tell(self, subscripts):
        operands = [self.ones(2, 2)] * (subscripts.count(",") + 1)
        assert self.flops(kernels.Einsum(subscripts), *operands) == {"forward": 0, "backward": 0}


def test_the_peak_is_measured_once():
    first = profiling.matmul_peak()
    start = time.perf_counter()
    assert profiling.matmul_peak() == first > 0
    assert time.perf_counter() - start < 0.1


class TestTable:
    @pytest.fixture
    def handmade(self):
        """What a block of two seconds could have given."""
        profile = profiling.Profile()
        profile.add("model/dense/", "Affine", "forward", (0.0, 0.5), np.empty(10**6, np.float32), 2 * 10**9)
        profile.add("model/dense/", "Affine", "backward", (0.0, 0.5), (np.empty(10**6), None), 4 * 10**9)
        profile.add("model/dense/", "Affine", "backward", (0.0, 0.25), [np.empty(10**6)], 4 * 10**9)
        profile.add("", "Step.take", "other", (0.0, 0.0004), 7)
        profile._start, profile._stop, profile._own = 10.0, 12.5, 0.5
        return profile

    def test_has_a_line_for_each_row_and_says_what_remains(self, handmade, monkeypatch):
        monkeypatch.setattr(profiling, "matmul_peak", lambda: 50.0)
        assert handmade.table().splitlines() == [
            "Layer                    Kernel     Direction  Calls        ms   Share    MB  GFLOP/s  Of peak",
            "──────────────────────────────────────────────────────────────────────────────────────────────",
            "model/dense              Affine     backward       2    750.00   37.5%  16.0     10.7      21%",
            "model/dense              Affine     forward        1    500.00   25.0%   4.0      4.0       8%",
            "                         Step.take  other          1      0.40    0.0%   0.0",
            "──────────────────────────────────────────────────────────────────────────────────────────────",
            "Python, data, callbacks                                 749.60   37.5%",
            "Total                                              4  2,000.00  100.0%  20.0",
            "Peak: 50.0 GFLOP/s in a large matrix product in float32.",
        ]

    def test_measures_no_peak_where_nothing_is_compared_with_it(self, monkeypatch):
        monkeypatch.setattr(profiling, "matmul_peak", lambda: pytest.fail("measured"))
        with quiet() as profile:
            ops.exp(A)
        assert "Peak" not in profile.table()

    def test_of_an_empty_block(self):
        with quiet() as profile:
            pass
        lines = profile.table().splitlines()
        assert [line.split()[0] for line in lines if not line.startswith("─")] == ["Layer", "Python,", "Total"]
        assert lines[-1].split()[-2:] == ["100.0%", "0.0"]
