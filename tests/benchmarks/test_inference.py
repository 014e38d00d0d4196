"""The benchmarks of folded and of sparse networks, on small ones: their tables have the figures that do not vary."""

import sys
from pathlib import Path

import pytest

from minidl import config

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import folding
import sparsity

sys.path.pop(0)


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """The number of threads is set back afterwards."""
    monkeypatch.setattr(config, "_num_threads", None)


def table(main, arguments, monkeypatch, capsys):
    """The cells of the rows that a benchmark prints, without the heading."""
    monkeypatch.setattr(sys, "argv", ["benchmark", "--quick", *arguments])
    main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_folding(monkeypatch, capsys):
    monkeypatch.setattr(folding, "NETWORKS", {"bn_before": (4, 4)})
    ((name, before, after, *_, difference),) = table(folding.main, [], monkeypatch, capsys)
    assert (name, before, after) == ("bn_before", "3", "0")
    assert float(difference) < 1e-5


def test_sparsity(monkeypatch, capsys):
    rows = table(sparsity.main, ["--units", "60", "--batch-size", "5"], monkeypatch, capsys)
    assert [row[0] for row in rows] == ["dense", "50%", "80%", "90%", "95%"]
    sizes = [float(row[1]) for row in rows]
    # A value takes four bytes, and so does its place.
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sizes[4] < 0.2 * sizes[0]
    assert all(float(row[-1]) < 1e-6 for row in rows)
