"""`pull` against a local server that fails in every way servers do, and `verify`."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import http.server
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from posebench.errors import ZooError
from posebench.zoo import PublishedCheckpoint, published, published_checkpoints, pulling, transfer
from posebench.zoo.pulling import pull, verify

BODY = bytes(range(256)) * 8192  # 2 MiB: several pieces of a transfer
SHA256 = hashlib.sha256(BODY).hexdigest()
CUT = 1_000_000


@dataclass
class Behaviour:
    """What the server does, and the requests that it received."""

    stops_at: int | None = None
    ranges: bool = True
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    endless: float | None = None
    waits: threading.Event | None = None
    asked: list[str | None] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Behaviour

    def __init__(self, behaviour: Behaviour, *arguments: Any) -> None:
        self.behaviour = behaviour
        super().__init__(*arguments)

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.behaviour.asked.append(asked)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
            return
        if self.behaviour.status is not None:
            self.send_error(self.behaviour.status)
            return
        if self.behaviour.headers:
            self.send_response(206 if "Content-Range" in self.behaviour.headers else 200)
            for name, value in self.behaviour.headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        if self.behaviour.endless is not None:
            self._send_without_end(self.behaviour.endless)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        start = start if self.behaviour.ranges else 0
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        if self.behaviour.waits is not None:
            self.wfile.write(BODY[start : start + 1000])
            start += 1000
            self.behaviour.waits.wait(20)
        self.wfile.write(BODY[start : self.behaviour.stops_at])

    def _send_without_end(self, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(BODY[:10] if pause else BODY)
                time.sleep(pause)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[tuple[Behaviour, str]]:
    behaviour = Behaviour()
    handler = functools.partial(Handler, behaviour)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield behaviour, f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def entry_at(url: str) -> PublishedCheckpoint:
    """Return an entry whose file is `BODY` at `url`."""
    entry = next(each for each in published_checkpoints() if each.sha256_prefix)
    return replace(entry, urls=(f"{url}/net-{SHA256[:8]}.pth",), sha256_prefix=SHA256[:8])


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder except locks."""
    return [path for path in folder.iterdir() if path.suffix != ".lock"]


def no_progress(done: int, total: int) -> None:
    del done, total


def test_a_file_is_fetched_checked_and_recorded(
    server: tuple[Behaviour, str], tmp_path: Path
) -> None:
    entry = entry_at(server[1] + "/moved")
    seen: list[tuple[int, int]] = []
    pulled = pull(entry, tmp_path / "new", lambda done, total: seen.append((done, total)))
    assert pulled.path == tmp_path / "new" / entry.file_name
    assert pulled.path.read_bytes() == BODY
    assert (pulled.sha256, pulled.checked, pulled.fetched) == (SHA256, True, True)
    recorded = (tmp_path / "new" / f"{entry.file_name}.sha256").read_text()
    assert recorded == f"{SHA256}  {entry.file_name}\n"
    assert seen[-1] == (len(BODY), len(BODY)) and len(seen) > 1
    assert sorted(seen) == seen
    again = pull(entry, tmp_path / "new", no_progress)
    assert (again.fetched, again.sha256) == (False, SHA256)
    assert len(server[0].asked) == 2  # the address that moved, and the one it moved to


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_goes_on(
    server: tuple[Behaviour, str], tmp_path: Path, ranges: bool
) -> None:
    behaviour, url = server
    entry = entry_at(url)
    behaviour.stops_at, behaviour.ranges = CUT, ranges
    with pytest.raises(ZooError, match=r"broke off after 1\.0 MB of 2\.1 MB"):
        pull(entry, tmp_path, no_progress)
    partial = tmp_path / f"{entry.file_name}.partial"
    assert files_in(tmp_path) == [partial]
    assert partial.read_bytes() == BODY[:CUT]
    behaviour.stops_at = None
    seen: list[int] = []
    assert pull(entry, tmp_path, lambda done, _: seen.append(done)).path.read_bytes() == BODY
    assert behaviour.asked == [None, f"bytes={CUT}-"]
    assert (seen[0] > CUT) == ranges
    assert not partial.exists()


def test_an_interrupted_transfer_goes_on(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    entry = entry_at(server[1])

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(entry, tmp_path, interrupt)
    there = (tmp_path / f"{entry.file_name}.partial").stat().st_size
    assert 0 < there < len(BODY)
    assert pull(entry, tmp_path, no_progress).sha256 == SHA256
    assert server[0].asked[-1] == f"bytes={there}-"


def test_a_transfer_that_only_lacked_its_name(
    server: tuple[Behaviour, str], tmp_path: Path
) -> None:
    entry = entry_at(server[1])
    (tmp_path / f"{entry.file_name}.partial").write_bytes(BODY)
    assert pull(entry, tmp_path, no_progress).path.read_bytes() == BODY
    (tmp_path / entry.file_name).unlink()
    (tmp_path / f"{entry.file_name}.partial").write_bytes(BODY + b"more")
    with pytest.raises(ZooError, match="larger than the file"):
        pull(entry, tmp_path, no_progress)


def test_wrong_bytes_do_not_stay(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    entry = replace(entry_at(server[1]), sha256_prefix="0" * 8)
    with pytest.raises(ZooError, match=f"{SHA256[:8]}, not 00000000. It was deleted"):
        pull(entry, tmp_path, no_progress)
    assert files_in(tmp_path) == []
    (tmp_path / entry.file_name).write_bytes(b"another file")
    with pytest.raises(ZooError, match="is not the published file"):
        pull(entry, tmp_path, no_progress)
    assert (tmp_path / entry.file_name).read_bytes() == b"another file"


def test_a_file_without_a_published_hash(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    pulled = pull(replace(entry_at(server[1]), sha256_prefix=None), tmp_path, no_progress)
    assert (pulled.checked, pulled.sha256) == (False, SHA256)


@pytest.mark.parametrize(
    ("status", "said"), [(404, "has no such file"), (403, "refuses it"), (500, "refuses it")]
)
def test_a_server_that_says_no(
    server: tuple[Behaviour, str], tmp_path: Path, status: int, said: str
) -> None:
    server[0].status = status
    with pytest.raises(ZooError, match=rf"{said} \(HTTP {status}\): {server[1]}"):
        pull(entry_at(server[1]), tmp_path, no_progress)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "said"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "cannot be written")]
)
def test_a_disk_that_takes_no_more(
    server: tuple[Behaviour, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    said: str,
) -> None:
    def copy(response: Any, write: Callable[[bytes], object], progress: object) -> int:
        write(response.read(CUT))
        raise OSError(code, "the system's words")

    entry = entry_at(server[1])
    with monkeypatch.context() as full:
        full.setattr(transfer, "_copy", copy)
        with pytest.raises(ZooError, match=said):
            pull(entry, tmp_path, no_progress)
    assert pull(entry, tmp_path, no_progress).path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Length": "abc"}, "gives 'abc' as the file's length"),
        ({"Content-Length": "-1"}, "gives '-1' as the file's length"),
        ({"Content-Length": "9" * 5000}, "as the file's length"),
        ({"Content-Length": "99999999999"}, "larger than 10000 MB"),
        ({"Content-Range": f"bytes {'9' * 5000}-", "Content-Length": "1"}, "broke off|begins with"),
        ({"Content-Range": "bytes 7-8/9", "Content-Length": "1"}, "got those from 7 on"),
    ],
)
def test_headers_that_make_no_sense(
    server: tuple[Behaviour, str], tmp_path: Path, headers: dict[str, str], said: str
) -> None:
    server[0].headers = headers
    with pytest.raises(ZooError, match=said) as raised:
        pull(entry_at(server[1]), tmp_path, no_progress)
    assert len(str(raised.value)) < 1000


def test_an_endless_answer_is_refused(
    server: tuple[Behaviour, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server[0].endless = 0.0
    monkeypatch.setattr(transfer, "MAX_BYTES", 3 * len(BODY))
    with pytest.raises(ZooError, match="is larger than 6 MB"):
        pull(entry_at(server[1]), tmp_path, no_progress)
    assert files_in(tmp_path) == []


def test_a_server_that_drips_is_left_in_time(
    server: tuple[Behaviour, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server[0].endless = 0.01
    monkeypatch.setattr(transfer, "MAX_SECONDS", 0.3)
    entry, began = entry_at(server[1]), time.monotonic()
    with pytest.raises(ZooError, match=r"stopped after .* hours"):
        pull(entry, tmp_path, no_progress)
    assert time.monotonic() - began < 10
    (partial,) = files_in(tmp_path)
    assert partial.stat().st_size > 0


def test_a_server_that_never_answers_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_OPENING_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ZooError, match=r"no answer in 0\.2 seconds"):
            pull(entry_at(url), tmp_path, no_progress)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_place_of_the_partial_file_is_not_followed(
    server: tuple[Behaviour, str], tmp_path: Path, there: bool
) -> None:
    entry, precious = entry_at(server[1]), tmp_path / "precious"
    if there:
        precious.write_text("mine")
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / f"{entry.file_name}.partial").symlink_to(precious)
    with pytest.raises(ZooError, match="it is not a plain file; delete it"):
        pull(entry, folder, no_progress)
    assert precious.exists() == there
    (folder / f"{entry.file_name}.partial").unlink()
    (folder / f"{entry.file_name}.sha256").symlink_to(precious)
    pull(entry, folder, no_progress)
    assert precious.exists() == there and (not there or precious.read_text() == "mine")


def test_two_at_once_fetch_a_file_once(
    server: tuple[Behaviour, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry, waits = entry_at(server[1]), threading.Event()
    server[0].waits = waits
    done: list[pulling.Pulled] = []

    def fetch() -> None:
        done.append(pull(entry, tmp_path, no_progress))

    with caplog.at_level(logging.WARNING):
        threads = [threading.Thread(target=fetch) for _ in range(2)]
        for thread in threads:
            thread.start()
        while "waiting for it" not in caplog.text:
            time.sleep(0.01)
        waits.set()
        for thread in threads:
            thread.join(20)
    assert sorted(each.fetched for each in done) == [False, True]
    assert {each.sha256 for each in done} == {SHA256}
    assert len(server[0].asked) == 1


def test_offline_it_says_where_to_get_and_put_the_file(tmp_path: Path) -> None:
    entry = entry_at("http://127.0.0.1:9")  # the port of `discard`, where nothing listens
    with pytest.raises(ZooError, match="Connection refused") as raised:
        pull(entry, tmp_path, no_progress)
    hint = raised.value.hint or ""
    assert entry.urls[0] in hint and hint.endswith(str(tmp_path / entry.file_name))


def test_files_that_no_program_can_fetch(tmp_path: Path) -> None:
    by_hand = next(entry for entry in published_checkpoints() if entry.page)
    unpublished = next(e for e in published_checkpoints() if not e.page and not e.urls)
    with pytest.raises(ZooError, match="cannot be fetched by a program") as raised:
        pull(by_hand, tmp_path, no_progress)
    assert by_hand.page in str(raised.value)
    assert str(tmp_path / by_hand.file_name) in str(raised.value)
    with pytest.raises(ZooError, match="No file of it is published"):
        pull(unpublished, tmp_path, no_progress)


def test_verify_goes_by_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = entry_at("http://example.org")
    unhashed = next(e for e in published_checkpoints() if e.urls and not e.sha256_prefix)
    monkeypatch.setattr(published, "published_checkpoints", lambda: (entry, unhashed))
    renamed = tmp_path / "renamed.bin"
    renamed.write_bytes(BODY)
    verdict = verify(renamed)
    assert verdict.published and entry.id in verdict.reason and verdict.sha256 == SHA256
    damaged = tmp_path / entry.file_name
    damaged.write_bytes(BODY[:-1])
    verdict = verify(damaged)
    assert not verdict.published and "not its hash" in verdict.reason
    damaged = tmp_path / unhashed.file_name
    damaged.write_bytes(BODY[:-1])
    assert "no hash is published" in verify(damaged).reason
    damaged = tmp_path / "own.pth"
    damaged.write_bytes(b"own")
    assert not verify(damaged).published
    with pytest.raises(ZooError, match="There is no file"):
        pulling.verify(tmp_path / "none.pth")
