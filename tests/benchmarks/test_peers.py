"""The comparison with other frameworks, as far as it can be tested without them: minidl's part, and the tables."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import minidl

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import peers
import scaling
import workloads

sys.path.pop(0)

TINY = workloads.Workload(inputs=(4,), units=(3, 3), batch_size=2)


def turn(*ms_per_step, peak_mb=100.0):
    return {"ms_per_step": list(ms_per_step), "peak_mb": peak_mb}


RESULTS = {
    "minidl": [turn(1.0, 2.0, 9.0, peak_mb=60.0), turn(4.0, peak_mb=60.0), turn(3.0, peak_mb=70.0)],
    "torch": [turn(6.0, peak_mb=300.0)],
    "keras": [turn(8.0, peak_mb=200.0)],
}


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_every_workload_is_a_network_of_minidl(name):
    """Its outputs are probabilities of the classes, so `Conv2D` and the others have the names that Keras gives them."""
    workload = workloads.WORKLOADS[name]
    model = workloads.keras_model(minidl, workload)
    outputs = model.predict(np.zeros((2, *workload.inputs), np.float32), verbose=0)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    assert outputs.shape == (2, workloads.CLASSES)


def test_the_data_of_an_epoch_stay_small_but_hold_several_batches():
    for workload in workloads.WORKLOADS.values():
        x, y = workloads.random_data(replace(workload, batch_size=min(workload.batch_size, 2)))
        assert x.dtype == np.float32
        assert len(x) == len(y)
        assert 4 <= workload.batches <= 128
        assert 4 * np.prod(workload.inputs) * workload.batch_size * workload.batches <= 50e6


@pytest.mark.parametrize("train_on_batch", [False, True])
def test_a_turn_measures_every_epoch(train_on_batch):
    """129 steps are two epochs of 128; fewer than three are not measured."""
    measured = workloads.measure("minidl", asdict(TINY), steps=129, train_on_batch=train_on_batch)
    assert measured["framework"] == "minidl"
    assert measured["version"] == minidl.__version__
    assert len(measured["ms_per_step"]) == 3
    assert min(measured["ms_per_step"]) > 0
    assert 0 < measured["loss"] < 10
    assert measured["peak_mb"] > 10


def test_frameworks_take_turns_in_processes_of_their_own():
    results = peers.compare(TINY, ["minidl"], 2, 1, steps=1)
    assert [measured["framework"] for measured in results["minidl"]] == ["minidl", "minidl"]


def test_a_framework_that_fails_is_named_and_left_out(capsys):
    assert peers.compare(replace(TINY, optimizer="none"), ["minidl"], 2, 1) == {}
    assert capsys.readouterr().err == "minidl: KeyError: 'none'\n"


def test_times_are_medians_of_the_epochs_of_each_round():
    assert peers.times(RESULTS["minidl"]) == [2.0, 3.0, 4.0]


def test_the_fastest_peer_is_what_minidl_is_compared_with():
    assert peers.fastest_peer(RESULTS) == "torch"
    assert peers.ahead_by(RESULTS) == 2.0
    assert peers.ahead_by({"minidl": RESULTS["minidl"]}) is None
    assert peers.ahead_by({"torch": RESULTS["torch"]}) is None


def test_a_line_of_the_table_has_times_ratios_and_memory():
    names = ["minidl", "torch", "keras"]
    line = peers.row("dense-32", 1.5, names, RESULTS)
    assert line == (
        "| dense-32 | 3 (2 to 4) | 6 (6 to 6) | 8 (8 to 8) | 2.00 × | 1.5 × | 60 | 300 | 200 | 0.20 |"
    )
    assert [text.count("|") for text in peers.header(names).splitlines()] == [line.count("|")] * 2


def test_what_is_not_known_is_a_dash():
    line = peers.row("x", None, ["minidl", "torch"], {"torch": RESULTS["torch"]})
    assert line == "| x | – | 6 (6 to 6) | – | – | – | 300 | – |"


def test_a_table_of_scaling_has_a_line_for_every_point():
    lines = scaling.table("depth", ["minidl", "torch"], {1: RESULTS, 10: {"torch": RESULTS["torch"]}}).splitlines()
    assert lines == ["| depth | minidl | PyTorch | ahead by |", "|---|---|---|---|", "| 1 | 3 | 6 | 2.00 × |",
                     "| 10 | – | 6 | – |"]  # fmt: skip


def test_the_curves_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    scaling.plot({"depth": {1: RESULTS, 10: RESULTS}, "width": {1: RESULTS}}, ["minidl", "keras"], tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
