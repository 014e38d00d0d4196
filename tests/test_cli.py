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
    return (60 * labels[:, None, None] + rng.integers(0, 60, (count, 8, 8))).astype(np.uint8), labels


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


@pytest.fixture
def seen(monkeypatch):
    """What `fit` is asked to do, which then does not happen, as if by Ctrl-C."""
    seen = {}

    def fit(model, x, y, **options):
        seen.update(options, model=model, x=x, y=y, optimizer=model.optimizer)
        raise KeyboardInterrupt

    compile = keras.Model.compile
    monkeypatch.setattr(keras.Model, "compile", lambda *args, **kw: (seen.update(kw), compile(*args, **kw)))
    monkeypatch.setattr(keras.Model, "fit", fit)
    return seen


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
    @pytest.mark.parametrize("network", ["bn", "cnn"])
    def test_every_data_set(self, dataset, network, tmp_path):
        assert cli.main(["train", dataset, "--model", network, "--epochs", "1", "--quiet"]) == 0
        assert (tmp_path / "output" / f"{dataset}-{network}" / "model.minidl").exists()

    def test_labels_may_be_a_column(self, monkeypatch):
        """As those of CIFAR-10 are."""
        (x, y), (x_test, y_test) = images(96, 1), images(40, 2)
        data = (x, y[:, None]), (x_test, y_test[:, None])
        monkeypatch.setattr(cli.DATASETS["cifar10"], "load_data", lambda: data)
        assert cli.main(["train", "cifar10", "--epochs", "1", "--quiet"]) == 0
        assert cli.main(["train", "cifar10", "--epochs", "1", "--quiet", "--label-smoothing", "0.1"]) == 0

    def test_shows_a_bar_for_every_epoch_and_says_where_the_results_are(self, capsys, drawn):
        assert run("--epochs", "2") == 0
        out = capsys.readouterr().out
        assert re.findall(r"Epoch .*", out) == ["Epoch 1/2", "Epoch 2/2"]
        assert len(re.findall(r"100%\|█+\| 3/3 \d\d:\d\d, accuracy .*, loss .*, val_accuracy .*, val_loss", out)) == 2
        assert re.search(r"\ntrained for \d+\.\d s\n", out)
        for what, file in zip(RESULTS, FILES, strict=True):
            assert re.search(rf"\n{what} +output/fashion_mnist-bn/{file}\n", out)
        ((history, path, title),) = drawn
        assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
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
        found = load_model(f"{folder}/model.minidl").evaluate(x_test, y_test, verbose=0)
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

    def test_options_reach_the_training(self, seen):
        options = {"--epochs": "3", "--batch-size": "7", "--optimizer": "sgd", "--learning-rate": "0.25"}
        assert run(*chain(*options.items()), "--quiet") == 130
        assert (seen["epochs"], seen["batch_size"], seen["verbose"]) == (3, 7, 0)
        assert type(seen["optimizer"]) is keras.optimizers.SGD
        assert float(seen["optimizer"].learning_rate) == 0.25
        assert len(seen["validation_data"][0]) == 8

    def test_a_dense_network_is_trained_by_adam(self, seen):
        assert cli.main(["train", "fashion_mnist", "--quiet"]) == 130
        assert (seen["epochs"], seen["batch_size"]) == (10, 32)
        assert type(seen["optimizer"]) is keras.optimizers.Adam
        assert float(seen["optimizer"].learning_rate) == 0.001
        assert seen["loss"] == "sparse_categorical_crossentropy"
        assert (seen["callbacks"], seen["augment"]) == ([], None)

    @pytest.mark.parametrize("network", ["cnn", "resnet9", "resnet20"])
    def test_a_convolutional_one_by_its_recipe(self, seen, network):
        assert cli.main(["train", "fashion_mnist", "--quiet", "--model", network]) == 130
        recipe, optimizer = NETWORKS[network].recipe, seen["optimizer"]
        assert (seen["epochs"], seen["batch_size"]) == (recipe.epochs, recipe.batch_size)
        assert (type(optimizer), optimizer.momentum, optimizer.nesterov) == (keras.optimizers.SGD, 0.9, True)
        (cycle,) = seen["callbacks"]
        assert cycle.max_learning_rate == float(optimizer.learning_rate)
        assert seen["augment"] is cli.AUGMENTATIONS["fashion_mnist"]
        smoothed = isinstance(seen["loss"], keras.losses.CategoricalCrossentropy)
        assert smoothed == (recipe.label_smoothing > 0) == network.startswith("resnet")

    def test_weight_decay_spares_all_but_the_kernels(self, seen):
        run("--model", "cnn", "--quiet")
        decays = {variable.name: seen["optimizer"].decays(variable) for variable in seen["model"].trainable_variables}
        assert decays == {"kernel": True, "bias": False, "gamma": False, "beta": False}

    def test_options_of_a_convolutional_network_reach_a_dense_one(self, seen):
        run("--schedule", "onecycle", "--augment", "--label-smoothing", "0.2", "--learning-rate", "0.5", "--quiet")
        assert [callback.max_learning_rate for callback in seen["callbacks"]] == [0.5]
        assert seen["augment"] is cli.AUGMENTATIONS["fashion_mnist"]
        assert type(seen["loss"]) is keras.losses.CategoricalCrossentropy
        assert seen["loss"].label_smoothing == 0.2

    def test_and_the_other_way_round(self, seen):
        run("--model", "cnn", "--schedule", "constant", "--no-augment", "--label-smoothing", "0", "--quiet")
        assert (seen["callbacks"], seen["augment"]) == ([], None)
        assert seen["loss"] == "sparse_categorical_crossentropy"

    def test_the_cycle_has_the_rate_of_the_optimizer_that_was_asked_for(self, seen):
        run("--model", "cnn", "--optimizer", "nadam", "--quiet")
        assert [callback.max_learning_rate for callback in seen["callbacks"]] == [0.001]

    def test_labels_are_spread_over_the_classes_for_training_and_counted_as_they_are(self, capsys):
        """A network that is always right, and always equally sure, is right in all cases."""
        assert run("--epochs", "15", "--model", "mlp", "--label-smoothing", "0.1", "--learning-rate", "0.01") == 0
        out = capsys.readouterr().out
        losses = [float(found) for found in re.findall(r" loss (\d\.\d{4})", out)]
        least = -(0.925 * np.log(0.925) + 0.075 * np.log(0.025))
        assert losses[-1] > least
        assert float(re.search(r"test accuracy +(\S+)", out)[1]) > 0.7

    def test_digits_are_shifted_but_not_mirrored(self, seen):
        """Each image of a single bright point in the left part: none is to become one in the right part."""
        x = np.zeros((64, 28, 28), np.uint8)
        x[:, 14, 4] = 1
        columns = {}
        for dataset in ("mnist", "fashion_mnist"):
            cli.main(["train", dataset, "--model", "cnn", "--quiet"])
            columns[dataset] = set(np.nonzero(seen["augment"](x, np.random.default_rng(1)))[2])
        assert columns["mnist"] == {2, 3, 4, 5, 6}
        assert columns["fashion_mnist"] == {3, 4, 5, 22, 23, 24}

    def test_data_dir_is_handed_on(self, asked):
        run("--data-dir", "some/folder", "--quiet")
        run("--quiet")
        assert asked == ["some/folder", None]

    def test_output_is_where_the_results_go(self, tmp_path):
        assert run("--output", str(tmp_path / "here" / "it is"), "--quiet") == 0
        assert (tmp_path / "here" / "it is" / "model.minidl").exists()
        assert not (tmp_path / "output").exists()

    @pytest.mark.parametrize("network", ["bn", "cnn"])
    def test_a_seed_fixes_everything(self, network, tmp_path):
        """Initial weights, the order of the batches, dropout, and how images are shifted."""

        def weights(name, seed):
            run("--model", network, "--quiet", "--seed", seed, "--output", name)
            return load_model(tmp_path / name / "model.minidl").get_weights()

        first, again, other = weights("a", "1"), weights("b", "1"), weights("c", "2")
        assert all(map(np.array_equal, first, again))
        assert not np.array_equal(first[-2], other[-2])

    @pytest.mark.parametrize("network", ["mlp", "selu", "cnn"])
    def test_images_stay_bytes_until_the_network_standardizes_them_or_makes_them_0_to_1(self, seen, network):
        """Self-normalization needs mean 0 and standard deviation 1 (Klambauer et al. 2017), those of the training."""
        run("--model", network, "--quiet")
        x = images(96, 1)[0]
        assert seen["x"].dtype == seen["validation_data"][0].dtype == np.uint8
        normalization = next(layer for layer in seen["model"].layers if isinstance(layer, keras.layers.Normalization))
        mean, std = (0, 255) if network == "mlp" else (x[:88].mean(), x[:88].std())
        np.testing.assert_allclose(normalization(x), (x - mean) / std, atol=1e-5)

    def test_colors_are_standardized_each_by_itself(self, seen, monkeypatch):
        rng = np.random.default_rng(1)
        x = rng.integers(0, [50, 100, 256], (600, 8, 8, 3)).astype(np.uint8)
        data = (x, rng.integers(0, 4, (600, 1))), (x[:40], np.zeros((40, 1), int))
        monkeypatch.setattr(cli.DATASETS["cifar10"], "load_data", lambda: data)
        cli.main(["train", "cifar10", "--model", "cnn", "--quiet"])
        mean, std = x[:550].mean(axis=(0, 1, 2)), x[:550].std(axis=(0, 1, 2))
        np.testing.assert_allclose(seen["model"].layers[1](x), (x - mean) / std, atol=1e-5)


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
            (
                ["--label-smoothing", "1.5"],
                "minidl: CategoricalCrossentropy: expected label_smoothing from 0 to 1, got 1.5",
            ),
            (
                ["--schedule", "onecycle", "--learning-rate", "0"],
                "minidl: OneCycle: max_learning_rate must be a number > 0, got 0.0",
            ),
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
            (["train", "mnist", "--model", "vgg"], "argument --model: invalid choice: 'vgg'"),
            (["train", "mnist", "--schedule", "twocycle"], "argument --schedule: invalid choice: 'twocycle'"),
            (["train", "mnist", "--label-smoothing", "x"], "argument --label-smoothing: invalid float value: 'x'"),
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
        monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert run("--output", str(tmp_path / "closed")) == 1
        expected = f"minidl: cannot write results into this folder, choose another by --output: {tmp_path}/closed\n"
        assert capsys.readouterr().err == expected

    def test_results_in_place_of_a_file(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "file").write_text("precious")
        monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
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
        with_value = (
            "model", "epochs", "batch-size", "optimizer", "learning-rate", "schedule", "label-smoothing", "seed",
            "data-dir", "output",
        )  # fmt: skip
        for option in with_value:
            assert re.search(rf"\n  --{option} [A-Z]+\s", text), option
        assert "\n  --augment, --no-augment\n" in text
        assert "\n  --quiet " in text
        for name, network in NETWORKS.items():
            recipe = rf"{network.recipe.epochs} +{network.recipe.batch_size}"
            assert re.search(rf"\n  {name} +{re.escape(network.description)} +{recipe}\n", text), name
        assert all(name in text for name in cli.DATASETS)

    def test_the_example_is_right(self, capsys):
        example = self.text(capsys, "train").strip().splitlines()[-1].split()
        assert example[0] == "minidl"
        assert cli._parser().parse_args(example[1:]).dataset == "fashion_mnist"

    def test_version(self, capsys):
        with pytest.raises(SystemExit):
            cli.main(["--version"])
        assert capsys.readouterr().out == f"minidl {keras.__version__}\n"
