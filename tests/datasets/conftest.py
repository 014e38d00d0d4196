"""What the tests of the data sets share: an empty home, small data sets that pass for the real ones, a web server."""

from __future__ import annotations

import dataclasses
import gzip
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minidl.datasets import cifar10, fashion_mnist, finding, four_files, idx, mnist
from minidl.errors import DataNotFoundError

SHAPES = {
    "train-images-idx3-ubyte": (60, 28, 28),
    "train-labels-idx1-ubyte": (60,),
    "t10k-images-idx3-ubyte": (10, 28, 28),
    "t10k-labels-idx1-ubyte": (10,),
}
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def full_fashion_mnist() -> finding.Data:
    """The whole of Fashion-MNIST where this machine has it; nothing is downloaded for a test."""
    try:
        return dataclasses.replace(fashion_mnist.SOURCE, mirrors=()).load(None)
    except DataNotFoundError:
        pytest.skip("needs Fashion-MNIST: apt install dataset-fashion-mnist")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any data set, on a machine without packages and without a network."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("MINIDL_DATA", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(finding, "DEBIAN", str(tmp_path / "debian"))
    for module in (cifar10, fashion_mnist, mnist):
        monkeypatch.setattr(module, "SOURCE", dataclasses.replace(module.SOURCE, mirrors=()))
    return home


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`mirrors(module, *urls)` has the data set `module` downloaded from `urls`."""

    def set_mirrors(module, *urls: str) -> None:
        monkeypatch.setattr(module, "SOURCE", dataclasses.replace(module.SOURCE, mirrors=urls))

    return set_mirrors


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> dict[str, Arrays]:
    """The files of a small MNIST and a small Fashion-MNIST, which the library takes for the real ones."""
    rng = np.random.default_rng(1)
    made = {
        title: {
            name: rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8) for name, shape in SHAPES.items()
        }
        for title in ("MNIST", "Fashion-MNIST")
    }
    digests = {
        title: {name: idx.content_sha256(array) for name, array in files.items()} for title, files in made.items()
    }
    monkeypatch.setattr(four_files, "SHAPES", SHAPES)
    monkeypatch.setattr(four_files, "SHA256", digests)
    return made


@pytest.fixture
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """The IDX file that holds an array, written after the format's description and not by the library."""
    return lambda a: bytes([0, 0, 8, a.ndim]) + b"".join(struct.pack(">I", n) for n in a.shape) + a.tobytes()


@pytest.fixture
def put_files(idx_bytes) -> Callable[..., Path]:
    """`put_files(folder, arrays)` writes the four IDX files there, compressed unless told otherwise."""

    def put(folder: Path, files: Arrays, packed: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in files.items():
            content = idx_bytes(array)
            (folder / (name + packed * ".gz")).write_bytes(gzip.compress(content, 1) if packed else content)
        return folder

    return put


class Server:
    """A web server on this machine that sends what `content` has under a path, or what it is told to send wrong."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        self.cut_short = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if self.path in server.redirects:
                    self.send_response(302)
                    self.send_header("Location", server.redirects[self.path])
                    self.end_headers()
                    return
                if self.path not in server.content:
                    self.send_error(404)
                    return
                body = server.content[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if server.cut_short else body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
