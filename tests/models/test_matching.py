"""Part of a model from a file or from arrays of somebody else, with a report of what became of each."""

import zipfile

import numpy as np
import pytest

import minidl as keras
from minidl.errors import ArgumentError, DataFileError, DataNotFoundError
from minidl.layers import Dense, Input
from minidl.models import load_weights_matching
from minidl.saving import safetensors

X = np.random.default_rng(1).standard_normal((8, 4)).astype(np.float32)


def network(*units, name="net"):
    layers = [Dense(n, activation="tanh", name=f"dense_{k}") for k, n in enumerate(units)]
    return keras.Sequential([Input((4,)), *layers], name=name)


def arrays_of(model):
    return {v.path: v.numpy().copy() for v in model.variables}


def test_loads_what_the_pattern_chooses_and_leaves_the_rest():
    source, model = network(5, 6, 3), network(5, 6, 3)
    before = model.get_weights()
    report = load_weights_matching(model, arrays_of(source), "dense_[01]/")
    for k, (old, given, new) in enumerate(zip(before, source.get_weights(), model.get_weights(), strict=True)):
        np.testing.assert_array_equal(new, given if k < 4 else old)
    assert list(report.loaded) == [f"net/dense_{k}/{name}" for k in (0, 1) for name in ("kernel", "bias")]
    assert report.skipped == ["net/dense_2/kernel", "net/dense_2/bias"]
    assert report.unused == report.skipped
    assert not report.missing
    assert not report.unfit


def test_reports_what_is_missing_and_what_has_another_shape():
    model = network(5, 7, 3)
    arrays = {"dense_0/kernel": np.ones((4, 5)), "dense_1/kernel": np.ones((5, 6)), "head/kernel": np.ones(2)}
    report = load_weights_matching(model, arrays)
    assert report.loaded == {"net/dense_0/kernel": "dense_0/kernel"}
    assert report.unfit == {"net/dense_1/kernel": "expected shape (5, 7), got (5, 6)"}
    assert report.missing == ["net/dense_0/bias", "net/dense_1/bias", "net/dense_2/kernel", "net/dense_2/bias"]
    assert report.unused == ["dense_1/kernel", "head/kernel"]
    assert (model.layers[0].kernel.numpy() == 1).all()
    assert str(report).splitlines()[0].split() == ["loaded", "net/dense_0/kernel", "from", "dense_0/kernel"]
    assert "unfit    net/dense_1/kernel  expected shape (5, 7), got (5, 6)" in str(report).splitlines()


def test_the_name_of_the_model_does_not_matter():
    source, model = network(5, name="a"), network(5, name="b")
    arrays = {path.removeprefix("a/"): value for path, value in arrays_of(source).items()}
    load_weights_matching(model, arrays)
    np.testing.assert_array_equal(model(X).numpy(), source(X).numpy())


@pytest.mark.parametrize(
    "rename",
    [{r"^encoder\.(\d)\.": r"dense_\1/", "weight$": "kernel"},
     lambda name: name.replace("encoder.", "dense_").replace(".", "/").replace("weight", "kernel")],
)  # fmt: skip
def test_names_of_another_library_can_be_rewritten(rename):
    arrays = {"encoder.0.weight": np.full((4, 5), 2.0), "encoder.0.bias": np.full(5, 3.0)}
    model = network(5)
    report = load_weights_matching(model, arrays, rename=rename)
    assert list(report.loaded.values()) == list(arrays)
    assert [w.flat[0] for w in model.get_weights()] == [2, 3]
    assert model.layers[0].kernel.dtype == np.float32


def test_two_arrays_must_not_become_one():
    with pytest.raises(ArgumentError, match=r"'a/kernel' and 'b/kernel' both become 'dense_0/kernel'"):
        load_weights_matching(
            network(5), {"a/kernel": np.ones((4, 5)), "b/kernel": np.ones((4, 5))}, rename={"^[ab]": "dense_0"}
        )


def test_nothing_that_fits_is_an_error_with_the_report_and_changes_nothing():
    model = network(5)
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=r"(?s)nothing in the source fits 'net':\nmissing .*unused   other"):
        load_weights_matching(model, {"other": np.ones(5)})
    with pytest.raises(ArgumentError, match="cannot turn complex128 into float32"):
        load_weights_matching(model, {"dense_0/bias": np.ones(5) * 1j})
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_source_or_names_of_another_kind():
    for source in (None, [np.ones(5)]):
        with pytest.raises(ArgumentError, match=r"a dictionary of arrays, or a file whose name ends in .npz"):
            load_weights_matching(network(5), source)
    with pytest.raises(ArgumentError, match=r"rename: expected a function or \{pattern: replacement\}, got 'dense'"):
        load_weights_matching(network(5), {"dense_0/bias": np.ones(5)}, rename="dense")


class TestFiles:
    @pytest.mark.parametrize("suffix", ["minidl", "npz", "safetensors"])
    def test_of_each_kind(self, tmp_path, suffix):
        source, model = network(5, 3, name="a"), network(5, 3, name="b")
        path = tmp_path / f"weights.{suffix}"
        names = {name.removeprefix("a/"): value for name, value in arrays_of(source).items()}
        if suffix == "minidl":
            source.save(path)
        elif suffix == "npz":
            np.savez_compressed(path, **names)
        else:
            path.write_bytes(safetensors.dump(names))
        report = load_weights_matching(model, path)
        assert len(report.loaded) == 4
        assert not report.unused
        np.testing.assert_array_equal(model(X).numpy(), source(X).numpy())

    @pytest.mark.parametrize("ending", [".minidl", ".keras", ".h5", ".weights.h5"])
    @pytest.mark.parametrize("whole", [True, False])
    def test_of_models_and_of_weights(self, tmp_path, ending, whole):
        """Also of a layer in a model inside, and of a class of one's own, which need not be known."""
        if ending != ".minidl":
            pytest.importorskip("h5py")
        if ending == (".weights.h5" if whole else ".keras"):
            pytest.skip("there are no such files")

        class Scale(keras.layers.Layer):
            def build(self, input_shape):
                self.factor = self.add_weight((), "ones", name="factor")

            def call(self, inputs):
                return inputs * self.factor

        def make(*others):
            normalized = [Dense(3, name="dense"), keras.layers.BatchNormalization(name="normal")]
            inner = keras.Sequential([Input((5,)), *normalized], name="inner")
            return keras.Sequential([Input((4,)), Dense(5, name="first"), inner, *others])

        source, model = make(Scale(name="scale")), make()
        source.set_weights([w + k for k, w in enumerate(source.get_weights(), 1)])
        path = tmp_path / f"model{ending}"
        (source.save if whole else source.save_weights)(path)
        report = load_weights_matching(model, path)
        assert not report.missing
        assert [name.split("/")[0] for name in report.unused] == ["scale"]
        for layer in ("first", "inner"):
            for a, b in zip(source.get_layer(layer).variables, model.get_layer(layer).variables, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)

    def test_of_other_kinds_or_missing(self, tmp_path):
        with pytest.raises(ArgumentError, match=r"expected a dictionary of arrays, or a file .*\.minidl, \.keras"):
            load_weights_matching(network(5), tmp_path / "x.pkl")
        with pytest.raises(DataNotFoundError, match="no such file"):
            load_weights_matching(network(5), tmp_path / "x.npz")

    def test_with_pickles_are_refused(self, tmp_path):
        path = tmp_path / "x.npz"
        np.savez(path, a=np.array([{}], object))
        with pytest.raises(DataFileError, match="Python objects, which are never read"):
            load_weights_matching(network(5), path)

    def test_that_claim_more_than_they_have_are_refused_before_memory_is_taken(self, tmp_path):
        path = tmp_path / "x.npz"
        with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 30)}
            )
        with pytest.raises(DataFileError, match="claims the shape"):
            load_weights_matching(network(5), path)
        path.write_bytes(b"no zip")
        with pytest.raises(DataFileError, match=r"no \.npz file of numbers"):
            load_weights_matching(network(5), path)
