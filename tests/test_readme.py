"""Every Python snippet in the documents runs."""

import re
from pathlib import Path

import pytest

from minidl import cli
from minidl.datasets import fashion_mnist

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    path
    for path in (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "benchmarks/README.md"))
    if path.exists()
]


def snippets(document):
    """The fenced blocks marked as Python, each behind as many empty lines as it has above it in the document."""
    text = document.read_text()
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield "\n" * (text[: match.start()].count("\n") + 1) + match[1]


def test_snippets_are_found():
    assert (ROOT / "README.md") in DOCUMENTS
    assert len(list(snippets(ROOT / "README.md"))) >= 2


@pytest.fixture
def little_data(monkeypatch):
    """Fashion-MNIST is 600 real images here, so that a snippet that trains on it takes a moment."""
    (x, y), (x_test, y_test) = fashion_mnist.load_sample()
    data = (x[:600], y[:600]), (x_test[:100], y_test[:100])
    for name in ("load_data", "load_sample"):
        monkeypatch.setattr(fashion_mnist, name, lambda path=None: data)


@pytest.mark.usefixtures("little_data")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_snippets_of_a_document_run_one_after_the_other(document, tmp_path, monkeypatch):
    """As a reader types them: in one session, in a new folder. An error points to the line in the document."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for code in snippets(document):
        exec(compile(code, str(document), "exec"), namespace)


def test_commands_name_files_that_exist():
    """`pytest tests/layers`, `python tests/mutate.py`, ... in the documents."""
    named = {
        (document.name, path)
        for document in DOCUMENTS
        for path in re.findall(r"\b((?:minidl|tests|examples|benchmarks)/[\w/]*\w\.py)\b", document.read_text())
    }
    missing = sorted((document, path) for document, path in named if not (ROOT / path).exists())
    assert missing == []


def test_the_commands_in_the_documents_are_understood():
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    commands = {command.strip() for command in re.findall(r"minidl train \w[\w ./-]*", text)}
    assert "minidl train fashion_mnist" in commands
    for command in commands:
        cli._parser().parse_args(command.split()[1:])
