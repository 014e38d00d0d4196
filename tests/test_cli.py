"""The command line, run in this process on small images."""

import csv
import os
import re
from itertools import chain

import numpy as np
import pytest

import minidl as keras
from minidl import cli
from minidl.applications import NETWORKS
from minidl.datasets import fashion_mnist
from minidl.errors import DataFileError, DataNotFoundError, MissingExtraError
from minidl.models import load_model

RESULTS = ("model", "history", "learning curves")
FILES = ("model.minidl", "history.csv", "learning_curves.png")


def images(count, seed, classes=4):
    """Grey images, the brighter the higher their class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count).astype(np.uint8)
    labels[:classes] = range(classes)
    return (60 * labels[:, None, None] + rng.integers(0, 60, (count, 5, 5))).astype(np.uint8), labels


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Small images in place of every data set; the folders that were asked for; the current folder is a new one."""
    asked = []

    def load_data(path=None):
        asked.append(path)
        return images(96, 1), images(40, 2)

    for module in cli.DATASETS.values():
        monkeypatch.setattr(module, "load_data", load_data)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.fixture
def drawn(monkeypatch):
    """The learning curves that would be drawn: matplotlib takes a second, and has a test of its own."""
    drawn = []
    monkeypatch.setattr(cli.plots, "plot_history", lambda *arguments: drawn.append(arguments))
    return drawn


def run(*arguments):
    return cli.main(["train", "fashion_mnist", "--epochs", "1", *arguments])


@pytest.mark.usefixtures("asked", "drawn")
class TestTrain:
    @pytest.mark.parametrize("network", list(NETWORKS))
    def test_every_network(self, network, capsys, tmp_path):
        assert run("--model", network, "--epochs", "2") == 0
        out = capsys.readouterr().out
        folder = tmp_path / "output" / f"fashion_mnist-{network}"
        assert f'Model: "{network}"' in out
        assert "88 images to train on, 8 to validate, 40 to test" in out
        accuracy = float(re.search(r"test accuracy +(\d\.\d{4})\n", out)[1])
        assert 0 <= accuracy <= 1
        model = load_model(folder / "model.minidl")
        assert model.name == network
        assert model.output_shape == (None, 4)
        assert sorted(path.name for path in folder.iterdir()) == ["history.csv", "model.minidl"]

    @pytest.mark.parametrize("dataset", list(cli.DATASETS))
    def test_every_data_set(self, dataset, tmp_path):
        assert cli.main(["train", dataset, "--epochs", "1", "--quiet"]) == 0
        assert (tmp_path / "output" / f"{dataset}-bn" / "model.minidl").exists()

    def test_labels_may_be_a_column(self, monkeypatch):
        """As those of CIFAR-10 are."""
        (x, y), (x_test, y_test) = images(96, 1), images(40, 2)
        data = (x, y[:, None]), (x_test, y_test[:, None])
        monkeypatch.setattr(cli.DATASETS["cifar10"], "load_data", lambda: data)
        assert cli.main(["train", "cifar10", "--epochs", "1", "--quiet"]) == 0

    def test_shows_a_bar_for_every_epoch_and_says_where_the_results_are(self, capsys, drawn):
        assert run("--epochs", "2") == 0
        out = capsys.readouterr().out
        assert re.findall(r"Epoch .*", out) == ["Epoch 1/2", "Epoch 2/2"]
        assert len(re.findall(r"100%\|█+\| 3/3 \d\d:\d\d, accuracy .*, loss .*, val_accuracy .*, val_loss", out)) == 2
        assert re.search(r"\ntrained for \d+\.\d s\n", out)
        for what, file in zip(RESULTS, FILES, strict=True):
            assert re.search(rf"\n{what} +output/fashion_mnist-bn/{file}\n", out)
        ((history, path, title),) = drawn
        assert set(history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
        assert str(path) == "output/fashion_mnist-bn/learning_curves.png"
        assert title == "fashion_mnist, bn"

    def test_learns(self, capsys):
        """Guessing one of the four classes would be right in a quarter of all cases."""
        assert run("--epochs", "15", "--model", "mlp", "--learning-rate", "0.01", "--quiet") == 0
        assert float(re.search(r"test accuracy +(\S+)", capsys.readouterr().out)[1]) > 0.7

    def test_the_files_say_what_was_printed(self, capsys):
        run("--epochs", "3", "--model", "bn")
        folder = "output/fashion_mnist-bn"
        accuracy = re.search(r"test accuracy +(\S+)", capsys.readouterr().out)[1]
        x_test, y_test = images(40, 2)
        found = load_model(f"{folder}/model.minidl").evaluate(np.float32(x_test) / np.float32(255), y_test, verbose=0)
        assert f"{found[1]:.4f}" == accuracy
        with open(f"{folder}/history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == ["1", "2", "3"]
        assert set(rows[0]) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
        assert all(np.isfinite(float(value)) for row in rows for value in row.values())

    def test_quiet_prints_the_results_only(self, capsys):
        assert run("--quiet") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split("  ")[0] for line in lines] == ["test accuracy", *RESULTS]

    def test_options_reach_the_training(self, monkeypatch):
        seen = {}
        original = keras.Sequential.fit

        def fit(model, *arguments, **options):
            seen.update(options, optimizer=model.optimizer)
            return original(model, *arguments, **options)

        monkeypatch.setattr(keras.Sequential, "fit", fit)
        options = {"--epochs": "3", "--batch-size": "7", "--optimizer": "sgd", "--learning-rate": "0.25"}
        assert run(*chain(*options.items()), "--quiet") == 0
        assert (seen["epochs"], seen["batch_size"], seen["verbose"]) == (3, 7, 0)
        assert type(seen["optimizer"]) is keras.optimizers.SGD
        assert float(seen["optimizer"].learning_rate) == 0.25
        assert len(seen["validation_data"][0]) == 8

    def test_data_dir_is_handed_on(self, asked):
        run("--data-dir", "some/folder", "--quiet")
        run("--quiet")
        assert asked == ["some/folder", None]

    def test_output_is_where_the_results_go(self, tmp_path):
        assert run("--output", str(tmp_path / "here" / "it is"), "--quiet") == 0
        assert (tmp_path / "here" / "it is" / "model.minidl").exists()
        assert not (tmp_path / "output").exists()

    def test_a_seed_fixes_everything(self, tmp_path):
        def weights(name, seed):
            run("--quiet", "--seed", seed, "--output", name)
            return load_model(tmp_path / name / "model.minidl").get_weights()

        first, again, other = weights("a", "1"), weights("b", "1"), weights("c", "2")
        assert all(map(np.array_equal, first, again))
        assert not np.array_equal(first[4], other[4])

    @pytest.mark.parametrize("network", ["mlp", "selu"])
    def test_the_network_of_selu_gets_standardized_images_and_the_others_pixels_from_0_to_1(self, monkeypatch, network):
        """Self-normalization needs mean 0 and standard deviation 1 (Klambauer et al. 2017), those of the training."""
        seen = {}

        def fit(model, x, y, validation_data, **options):
            seen.update(train=x, valid=validation_data[0])
            raise KeyboardInterrupt

        monkeypatch.setattr(keras.Sequential, "fit", fit)
        run("--model", network, "--quiet")
        x = images(96, 1)[0]
        mean, std = (x[:88].mean(), x[:88].std()) if network == "selu" else (0, 255)
        assert seen["train"].dtype == np.float32
        np.testing.assert_allclose(seen["train"], (x[:88] - mean) / std, atol=1e-5)
        np.testing.assert_allclose(seen["valid"], (x[88:] - mean) / std, atol=1e-5)


@pytest.mark.usefixtures("asked", "drawn")
class TestCtrlC:
    """What was learned so far is kept, and the exit code is that of a program ended by Ctrl-C."""

    def interrupt(self, monkeypatch, after):
        original = keras.callbacks.History.on_epoch_end

        def on_epoch_end(history, epoch, logs=None):
            if epoch == after:
                raise KeyboardInterrupt
            original(history, epoch, logs)

        monkeypatch.setattr(keras.callbacks.History, "on_epoch_end", on_epoch_end)

    def test_after_some_epochs(self, monkeypatch, capsys, tmp_path):
        self.interrupt(monkeypatch, after=2)
        assert run("--epochs", "9") == 130
        out = capsys.readouterr().out
        assert "Stopped by Ctrl-C: keeping what was learned so far." in out
        assert "test accuracy" in out
        folder = tmp_path / "output" / "fashion_mnist-bn"
        assert load_model(folder / "model.minidl").built
        assert [line.split(",")[0] for line in (folder / "history.csv").read_text().split()] == ["epoch", "1", "2"]

    def test_in_the_first_epoch(self, monkeypatch, capsys, tmp_path):
        self.interrupt(monkeypatch, after=0)
        assert run("--epochs", "9", "--quiet") == 130
        assert "no epoch was finished, so there is no history" in capsys.readouterr().out
        assert [path.name for path in (tmp_path / "output" / "fashion_mnist-bn").iterdir()] == ["model.minidl"]

    def test_before_training(self, monkeypatch, capsys):
        def load_data():
            raise KeyboardInterrupt

        monkeypatch.setattr(fashion_mnist, "load_data", load_data)
        assert run() == 130
        assert capsys.readouterr().err == "\nminidl: stopped by Ctrl-C\n"


@pytest.mark.usefixtures("asked", "drawn")
class TestErrors:
    """One line that begins with minidl, and nothing is left behind."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--optimizer", "adm"], "minidl: Unknown optimizer 'adm': did you mean 'adam'"),
            (["--learning-rate", "-1"], "minidl: Adam: learning_rate must be a number ≥ 0, got -1.0"),
            (["--learning-rate", "nan"], "minidl: Adam: learning_rate must be a number ≥ 0, got nan"),
            (["--seed", "-1"], "minidl: set_random_seed: expected an integer ≥ 0, got -1"),
        ],
    )
    def test_values_that_make_no_sense(self, capsys, tmp_path, arguments, message):
        assert run(*arguments) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith(message)
        assert captured.err.count("\n") == 1
        assert captured.out == ""
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "the following arguments are required: COMMAND"),
            (["test"], "argument COMMAND: invalid choice: 'test' (choose from train)"),
            (["train"], "the following arguments are required: DATASET"),
            (["train", "fasion"], "argument DATASET: invalid choice: 'fasion'"),
            (["train", "mnist", "--model", "cnn"], "argument --model: invalid choice: 'cnn'"),
            (["train", "mnist", "--epochs", "0"], "argument --epochs: expected a whole number ≥ 1, got '0'"),
            (["train", "mnist", "--epochs", "many"], "argument --epochs: expected a whole number ≥ 1, got 'many'"),
            (["train", "mnist", "--epochs", "1.5"], "argument --epochs: expected a whole number ≥ 1, got '1.5'"),
            (["train", "mnist", "--batch-size", "-3"], "argument --batch-size: expected a whole number ≥ 1, got '-3'"),
            (["train", "mnist", "--learning-rate", "fast"], "argument --learning-rate: invalid float value: 'fast'"),
            (["train", "mnist", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
            (["train", "mnist", "--colour"], "unrecognized arguments: --colour"),
        ],
    )
    def test_usage(self, capsys, arguments, message):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2
        # Whether the choices stand in quotation marks depends on Python's version.
        assert message.replace("'", "") in capsys.readouterr().err.replace("'", "")

    def test_data_that_are_not_there(self, monkeypatch, capsys, tmp_path):
        """With --data-dir no sample takes their place."""
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        assert run("--data-dir", str(tmp_path / "nowhere")) == 1
        captured = capsys.readouterr()
        assert re.fullmatch(r"minidl: .*nowhere.*\n", captured.err)
        assert captured.out == ""
        assert list(tmp_path.iterdir()) == []

    def test_data_that_are_damaged(self, monkeypatch, capsys):
        def load_data():
            raise DataFileError("train-images.gz: truncated")

        monkeypatch.setattr(fashion_mnist, "load_data", load_data)
        assert run() == 1
        assert capsys.readouterr().err == "minidl: train-images.gz: truncated\n"

    def test_results_that_cannot_be_written_are_found_before_training(self, monkeypatch, capsys, tmp_path):
        monkeypatch.setattr(keras.Sequential, "fit", lambda *_, **__: pytest.fail("trained"))
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert run("--output", str(tmp_path / "closed")) == 1
        expected = f"minidl: cannot write results into this folder, choose another by --output: {tmp_path}/closed\n"
        assert capsys.readouterr().err == expected

    def test_results_in_place_of_a_file(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "file").write_text("precious")
        monkeypatch.setattr(keras.Sequential, "fit", lambda *_, **__: pytest.fail("trained"))
        assert run("--output", str(tmp_path / "file")) == 1
        assert capsys.readouterr().err == f"minidl: File exists: {tmp_path}/file\n"
        assert (tmp_path / "file").read_text() == "precious"

    def test_matplotlib_that_is_not_installed_is_one_line(self, monkeypatch, capsys):
        def plot_history(*_):
            raise MissingExtraError("this needs the package 'matplotlib': pip install \"minidl[plot]\"")

        monkeypatch.setattr(cli.plots, "plot_history", plot_history)
        assert run("--quiet") == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == "learning curves  not drawn: this needs the package 'matplotlib': pip install \"minidl[plot]\""


@pytest.mark.usefixtures("drawn")
class TestSample:
    """Where Fashion-MNIST is nowhere to be found the sample takes its place, and a line says so."""

    @pytest.fixture(autouse=True)
    def not_found(self, monkeypatch, tmp_path):
        def load_data(path=None):
            raise DataNotFoundError("looked everywhere")

        for module in cli.DATASETS.values():
            monkeypatch.setattr(module, "load_data", load_data)
        monkeypatch.setattr(fashion_mnist, "load_sample", lambda: (images(96, 1), images(40, 2)))
        monkeypatch.chdir(tmp_path)

    def test_is_used(self, capsys):
        assert run("--quiet") == 0
        first = capsys.readouterr().out.splitlines()[0]
        assert first == "fashion_mnist is not on this machine: using the sample of 96 images that comes with minidl"

    def test_is_not_used_with_data_dir(self, capsys):
        assert run("--data-dir", "folder") == 1
        assert capsys.readouterr().err == "minidl: looked everywhere\n"

    def test_other_data_sets_have_none(self, capsys):
        assert cli.main(["train", "mnist"]) == 1
        assert capsys.readouterr().err == "minidl: looked everywhere\n"


class TestHelp:
    def text(self, capsys, *arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main([*arguments, "--help"])
        assert caught.value.code == 0
        return capsys.readouterr().out

    def test_fits_a_terminal(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        for arguments in ([], ["train"]):
            assert max(map(len, self.text(capsys, *arguments).splitlines())) <= 80

    def test_names_the_commands(self, capsys):
        text = self.text(capsys)
        assert re.search(r"\n    train +train a network on a data set\n", text)
        assert "minidl train --help" in text

    def test_names_every_option_network_and_data_set(self, capsys):
        text = self.text(capsys, "train")
        for option in ("model", "epochs", "batch-size", "optimizer", "learning-rate", "seed", "data-dir", "output"):
            assert re.search(rf"\n  --{option} [A-Z]+ ", text), option
        assert "\n  --quiet " in text
        for name, (description, _) in NETWORKS.items():
            assert re.search(rf"\n  {name} +{re.escape(description)}\n", text), name
        assert all(name in text for name in cli.DATASETS)

    def test_the_example_is_right(self, capsys):
        example = self.text(capsys, "train").strip().splitlines()[-1].split()
        assert example[0] == "minidl"
        assert cli._parser().parse_args(example[1:]).dataset == "fashion_mnist"

    def test_version(self, capsys):
        with pytest.raises(SystemExit):
            cli.main(["--version"])
        assert capsys.readouterr().out == f"minidl {keras.__version__}\n"
