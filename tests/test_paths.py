"""The state directory, and files that are replaced whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from provisioner.errors import OperatorError
from provisioner.paths import StateDir, shipped, write_atomically


def test_write_atomically(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two", 0o644)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_has_the_old_or_the_new_whole(tmp_path: Path) -> None:
    """A reader that opened the old file goes on reading it."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    """As root a file would stand in the place of /dev/null ever after."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no file"):
        write_atomically(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_threads_that_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = [bytes([65 + n]) * 100_000 for n in range(4)]
    threads = [Thread(target=write_atomically, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in texts
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "file", b"")


def test_state_directory(tmp_path: Path) -> None:
    state = StateDir.create(tmp_path / "a" / "b")
    assert StateDir.create(str(state.root)) == state
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(state.run.stat().st_mode) == 0o700
    names = (state.inventory, state.journal, state.snapshot, state.socket("edge"))
    assert [str(path.relative_to(state.root)) for path in names] == [
        "inventory.db",
        "journal.db",
        "snapshot.json",
        "run/edge.sock",
    ]


def test_state_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert StateDir.create("here").root == tmp_path / "here"


def test_state_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OperatorError) as caught:
        StateDir.create(tmp_path / "file")
    assert str(caught.value) == (
        f"cannot use the state directory {tmp_path}/file (File exists): "
        "name another with --state, or give this user the right to write there"
    )


@pytest.mark.parametrize("name", ["phone_templates", "firmware_rules"])
def test_shipped_data_beside_the_package(name: str) -> None:
    assert shipped(name) == Path(__file__).parent.parent / name
