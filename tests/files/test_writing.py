"""Files appear whole or not at all, where their path leads; errors name the file."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from posebench.errors import DataError, UsageError
from posebench.files import writing
from posebench.files.writing import (
    check_writable,
    naming_what_cannot_be_written,
    put_when_written,
    write_json,
    write_text,
)

FULL = Path("/dev/full")
needs_devices = pytest.mark.skipif(not FULL.is_char_device(), reason="needs Linux's devices")


def test_json_is_strict_and_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(path.parent) == ["x.json"]  # noqa: PTH208


def test_a_write_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def interrupt(_self: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text() == "old"


def test_files_get_the_usual_mode(tmp_path: Path) -> None:
    path, plain = tmp_path / "x", tmp_path / "y"
    write_text(path, "")
    plain.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o4640)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_text() == "new"


def test_a_protected_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(UsageError, match="Permission denied"):
        check_writable(path)
    with pytest.raises(PermissionError):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("there", [True, False])
def test_links_are_followed_and_stay(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "folder" / "target"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    (tmp_path / "inner").symlink_to("folder/target")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "inner")
    check_writable(link)
    write_text(link, "new")
    assert link.is_symlink() and not target.is_symlink()
    assert target.read_text() == "new"
    assert sorted(file.name for file in tmp_path.rglob("*")) == [
        "folder", "inner", "link", "target",
    ]  # fmt: skip


def test_links_in_a_ring_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.symlink_to(two)
    two.symlink_to(one)
    with pytest.raises(UsageError, match="symbolic links"):
        check_writable(one)
    assert one.is_symlink()


def test_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(UsageError, match="is a folder, not a file to write"):
            check_writable(path)
        with (
            pytest.raises(DataError, match="cannot be written: it is a folder"),
            naming_what_cannot_be_written(path),
        ):
            write_text(path, "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="it lies below a file"):
        check_writable(tmp_path / "file" / "x")


def test_a_pipe_takes_the_bytes_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    check_writable(pipe)
    reader.start()
    write_json(pipe, {"a": 1})
    reader.join(10)
    assert json.loads(read[0]) == {"a": 1}
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@needs_devices
def test_devices_take_the_bytes_and_stay(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(FULL)
    for path in (link, FULL):
        check_writable(path)
        with (
            pytest.raises(DataError, match=rf"{path} cannot be written: No space left on device"),
            naming_what_cannot_be_written(path),
        ):
            write_text(path, "more")
    assert FULL.is_char_device() and link.is_symlink()
    write_text(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()


def test_what_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        with (
            pytest.raises(DataError, match="socket cannot be written"),
            naming_what_cannot_be_written(address),
        ):
            write_text(address, "x")
    disk = tmp_path / "disk"
    disk.write_text("system")
    monkeypatch.setattr(stat, "S_ISBLK", stat.S_ISREG)
    with pytest.raises(UsageError, match="it is a disk, not a file"):
        check_writable(disk)


@needs_devices
@pytest.mark.parametrize("into_file", [True, False])
def test_writing_to_standard_output_continues_after_earlier_prints(
    tmp_path: Path, into_file: bool
) -> None:
    code = (
        "from pathlib import Path; from posebench.files.writing import write_text\n"
        "print('before'); write_text(Path('/dev/stdout'), 'file\\n'); print('after')"
    )
    command = [sys.executable, "-c", code]
    if into_file:
        with (tmp_path / "out").open("w") as out:
            subprocess.run(command, stdout=out, check=True)
        said = (tmp_path / "out").read_text()
    else:
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said == "before\nfile\nafter\n"


@needs_devices
def test_process_substitution_gets_the_file() -> None:
    reading, writing_end = os.pipe()
    write_text(Path(f"/dev/fd/{writing_end}"), "through")
    os.close(writing_end)
    with os.fdopen(reading) as stream:
        assert stream.read() == "through"


def test_a_failed_block_writes_no_stream(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(KeyboardInterrupt), put_when_written(pipe):
        raise KeyboardInterrupt  # opening the pipe would wait for a reader
    assert pipe.is_fifo()


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    path = tmp_path / "x"
    with (
        pytest.raises(DataError, match=rf"{path} cannot be written: No space left on device"),
        naming_what_cannot_be_written(path),
    ):
        write_text(path, "x")
    assert list(tmp_path.iterdir()) == []


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ("n" * 255, f"{'n' * 100}.{'s' * 154}", "ä" * 127):
        write_text(tmp_path / name, "x")
    with pytest.raises(UsageError, match="File name too long"):
        check_writable(tmp_path / ("n" * 256))
    assert writing._KEPT_CHARACTERS * 4 + 20 < 255
