"""Downloads: the first mirror that delivers what was promised, and nothing left behind by those that do not."""

import hashlib
import os
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from minidl.datasets import download
from minidl.errors import DataFileError, DataNotFoundError, MiniDLWarning

GOOD = b"what was promised" * 1000


def checked(content, url):
    """The length of `content`, if it is the promised one."""
    if hashlib.sha256(content).digest() != hashlib.sha256(GOOD).digest():
        raise DataFileError(f"{url}: wrong checksum")
    return len(content)


def dead_url():
    """An address on this machine where nobody answers."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}/file"


def test_fetch_gives_the_content_and_what_was_made_of_it(server):
    server.content["/file"] = GOOD
    assert download.fetch([f"{server.url}/file"], len(GOOD), checked) == (GOOD, len(GOOD))


def test_mirrors_are_asked_in_turn_until_one_is_good(server):
    server.content |= {"/wrong": b"something else", "/long": GOOD * 2, "/good": GOOD, "/never": GOOD}
    urls = [f"{server.url}/{name}" for name in ("missing", "wrong", "long", "good", "never")]
    assert download.fetch([dead_url(), *urls], len(GOOD), checked)[0] == GOOD
    assert server.asked == ["/missing", "/wrong", "/long", "/good"]


def test_a_line_for_each_mirror_says_why_it_failed(server):
    server.content |= {"/wrong": b"something else", "/long": GOOD + b"!"}
    urls = [dead_url(), *(f"{server.url}/{name}" for name in ("missing", "wrong", "long"))]
    with pytest.raises(DataNotFoundError) as caught:
        download.fetch(urls, len(GOOD), checked)
    problems = ["refused", "404", "wrong checksum", "sends more than the 17,000 bytes expected"]
    for line, url, problem in zip(str(caught.value).splitlines(), urls, problems, strict=True):
        assert line.startswith(f"{url}: ")
        assert problem in line


def test_half_a_file_is_not_the_file(server):
    server.content["/file"] = GOOD
    server.cut_short = True
    with pytest.raises(DataNotFoundError, match="wrong checksum"):
        download.fetch([f"{server.url}/file"], len(GOOD), checked)


def test_a_redirect_to_nowhere_is_a_dead_mirror(server):
    server.redirects["/file"] = "http://[not-an-address/"
    with pytest.raises(DataNotFoundError, match="file: "):
        download.fetch([f"{server.url}/file"], 10, checked)


@contextmanager
def mirror(answer):
    """The address of a mirror that answers the first request as `answer(connection)` says."""

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def test_a_mirror_that_does_not_speak_http_is_a_dead_mirror():
    def greet(connection):
        connection.sendall(b"220 mail.example.org\r\n")

    with mirror(greet) as url, pytest.raises(DataNotFoundError, match=url):
        download.fetch([url], 10, checked)


def test_a_mirror_that_never_stops_sending_is_left():
    sent = []

    def send_on_and_on(connection):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        with suppress(ConnectionError):
            while len(sent) < 1000:
                connection.sendall(bytes(1 << 16))
                sent.append(1 << 16)

    with mirror(send_on_and_on) as url, pytest.raises(DataNotFoundError, match="sends more than the 10 bytes expected"):
        download.fetch([url], 10, checked)
    assert len(sent) < 1000


def test_a_mirror_that_is_silent_is_a_dead_mirror(monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(DataNotFoundError, match="timed out"):
        download.fetch([f"http://127.0.0.1:{listener.getsockname()[1]}/"], 10, checked)  # it never accepts


def test_keep_makes_the_folder_and_writes_the_files(tmp_path):
    download.keep(tmp_path / "a" / "b", {"one": GOOD, "two": b""})
    assert (tmp_path / "a" / "b" / "one").read_bytes() == GOOD
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["one", "two"]


def test_a_cache_that_cannot_be_written_to_only_costs_a_warning(tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    with pytest.warns(MiniDLWarning, match=r"cache cannot be written to .*used now .*XDG_CACHE_HOME"):
        download.keep(tmp_path / "cache", {"file": GOOD})


def test_ctrl_c_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.keep(tmp_path / "cache", {"file": GOOD})
    assert os.listdir(tmp_path / "cache") == []
