"""What the tests of saving share: files that are not waited for."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Syncing a file takes a tenth of a second; that it is done is tested in a process of its own."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
