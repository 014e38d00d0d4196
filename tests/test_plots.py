"""Learning curves: what is drawn, and where it goes."""

import sys

import numpy as np
import pytest

from minidl import plots
from minidl.callbacks import History
from minidl.errors import ArgumentError, MiniDLError, MissingExtraError

HISTORY = {
    "accuracy": [0.5, 0.7, 0.8],
    "loss": [1.0, 0.6, 0.5],
    "val_accuracy": [0.6, 0.65, 0.7],
    "val_loss": [0.9, 0.8, 0.85],
}


@pytest.fixture
def figure():
    pytest.importorskip("matplotlib")
    return plots.plot_history(HISTORY, title="fashion_mnist, bn")


@pytest.mark.filterwarnings("default")  # of matplotlib's own
class TestFigure:
    def test_has_a_panel_for_the_loss_and_then_one_for_each_metric(self, figure):
        assert [panel.get_title() for panel in figure.axes] == ["loss", "accuracy"]
        assert [panel.get_xlabel() for panel in figure.axes] == ["epoch", "epoch"]
        assert figure.get_suptitle() == "fashion_mnist, bn"

    def test_shows_training_and_validation_by_epoch_from_1(self, figure):
        for panel, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
            training, validation = panel.lines
            for line, label, key in ((training, "training", name), (validation, "validation", f"val_{name}")):
                assert line.get_label() == label
                np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
                np.testing.assert_array_equal(line.get_ydata(), HISTORY[key])
            assert training.get_color() != validation.get_color()
            assert [text.get_text() for text in panel.get_legend().get_texts()] == ["training", "validation"]

    @pytest.mark.parametrize("epochs", [1, 2, 3, 100])
    def test_counts_epochs_in_whole_numbers(self, epochs):
        pytest.importorskip("matplotlib")
        figure = plots.plot_history({"loss": list(range(epochs))})
        figure.draw_without_rendering()
        (panel,) = figure.axes
        left, right = panel.get_xlim()
        ticks = [tick for tick in panel.get_xticks() if left <= tick <= right]
        assert ticks == [round(tick) for tick in ticks]
        assert left < 1
        assert right > epochs

    def test_has_one_line_without_validation(self):
        pytest.importorskip("matplotlib")
        figure = plots.plot_history({"loss": [1.0, 0.5], "learning_rate": [0.1, 0.01]})
        assert [panel.get_title() for panel in figure.axes] == ["loss", "learning_rate"]
        assert [len(panel.lines) for panel in figure.axes] == [1, 1]

    @pytest.mark.parametrize(
        ("epochs", "validations", "expected"), [(6, 3, [2, 4, 6]), (7, 3, [2, 4, 6]), (10, 3, [3, 6, 9]), (3, 1, [3])]
    )
    def test_places_validations_at_the_last_of_their_epochs(self, epochs, validations, expected):
        pytest.importorskip("matplotlib")
        figure = plots.plot_history({"loss": [0.5] * epochs, "val_loss": [0.6] * validations})
        training, validation = figure.axes[0].lines
        np.testing.assert_array_equal(training.get_xdata(), range(1, epochs + 1))
        np.testing.assert_array_equal(validation.get_xdata(), expected)

    def test_of_a_history_has_everything_at_its_epoch(self):
        """Epochs 4 to 10 of a training that goes on, every third of them validated, ended early."""
        pytest.importorskip("matplotlib")
        history = History()
        history.on_train_begin()
        for epoch in range(3, 10):
            logs = {"loss": 1 / epoch, "val_loss": 2 / epoch} if (epoch + 1) % 3 == 0 else {"loss": 1 / epoch}
            history.on_epoch_end(epoch, logs)
        (panel,) = plots.plot_history(history).axes
        training, validation = panel.lines
        np.testing.assert_array_equal(training.get_xdata(), range(4, 11))
        np.testing.assert_array_equal(validation.get_xdata(), [6, 9])
        assert panel.get_xlim() == (3.5, 10.5)

    def test_does_not_depend_on_the_display_or_pyplot(self, figure):
        """A server has no display, and figures that pyplot knows stay in memory."""
        assert figure.canvas.manager is None


@pytest.mark.filterwarnings("default")
class TestFile:
    def test_is_a_png(self, tmp_path):
        image = pytest.importorskip("matplotlib.image")
        path = tmp_path / "new folder" / "curves.png"
        plots.plot_history(HISTORY, path)
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        pixels = image.imread(path)
        assert pixels.shape[:2] == (432, 1152)
        assert pixels[..., :3].std() > 0.01
        assert [file.name for file in path.parent.iterdir()] == ["curves.png"]

    def test_is_written_whole_or_not_at_all(self, tmp_path, monkeypatch):
        figures = pytest.importorskip("matplotlib.figure")

        def savefig(figure, file, **options):
            file.write(b"half a pic")
            raise OSError("disk full")

        monkeypatch.setattr(figures.Figure, "savefig", savefig)
        path = tmp_path / "curves.png"
        path.write_bytes(b"old")
        with pytest.raises(OSError, match="disk full"):
            plots.plot_history(HISTORY, path)
        assert path.read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def test_an_empty_history():
    with pytest.raises(ArgumentError, match="the history is empty: train for at least one epoch"):
        plots.plot_history({})


def test_without_matplotlib_one_line_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError) as caught:
        plots.plot_history(HISTORY, tmp_path / "curves.png")
    assert str(caught.value) == "this needs the package 'matplotlib': pip install \"minidl[plot]\""
    assert isinstance(caught.value, (ImportError, MiniDLError))
    assert list(tmp_path.iterdir()) == []
