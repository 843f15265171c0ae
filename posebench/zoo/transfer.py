"""One file over HTTP into a `.partial` file, going on where an earlier transfer broke off."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from posebench.__version__ import __version__
from posebench.errors import ZooError

TIMEOUT_SECONDS = 30
MEGABYTE = 1_000_000
# The largest published pose checkpoint has 2.5 GB; a much larger file is something else.
MAX_BYTES = 10_000_000_000
# A server that sends a byte now and then trips no timeout but these.
MAX_OPENING_SECONDS = 300
MAX_SECONDS = 6 * 3600
_CHUNK = 2**18
_RANGE_NOT_SATISFIABLE = 416

# No file size needs more digits; Python refuses to parse thousands of them.
_NUMBER = r"\d{1,15}"

Progress = Callable[[int, int], None]


class _TooLargeError(ZooError):
    """The server sends more bytes than any checkpoint has, or does not stop."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The answer of {url} is larger than {MAX_BYTES // MEGABYTE} MB, which no published "
            "checkpoint is. It was not kept.",
            hint="Open the address in a browser: it leads to another file.",
        )


def partial_path(target: Path) -> Path:
    """Return the path that holds the bytes of `target` until it is complete."""
    return target.with_name(f"{target.name}.partial")


def download(url: str, target: Path, progress: Progress) -> None:
    """Fetch `url` into `partial_path(target)`; `progress(done, total)` counts bytes.

    Redirects are followed. Raises `ZooError` if the transfer cannot begin, breaks off, takes more
    than `MAX_SECONDS` or does not fit on the disk; the bytes that arrived stay for the next call.
    It also raises `ZooError` if the file has more than `MAX_BYTES`, or if the `.partial` is not a
    plain file.
    """
    partial = partial_path(target)
    deadline = time.monotonic() + MAX_SECONDS
    try:
        start = _size_of(partial)
        with _open(url, start) as response, _ended_at(deadline, response):
            begin = _first_byte(response, start)
            total = begin + _length(response)
            if total > MAX_BYTES:
                raise _TooLargeError(url)
            with _partial_file(partial, "ab" if begin else "wb") as stream:
                done = _copy(response, stream.write, lambda n: progress(begin + n, total)) + begin
    except HTTPError as error:
        with error:
            if error.code == _RANGE_NOT_SATISFIABLE and _complete(error, partial):
                return
            raise _refused(url, error, partial) from None
    except _TooLargeError:
        partial.unlink(missing_ok=True)
        raise
    except (URLError, TimeoutError, ConnectionError, HTTPException, ssl.SSLError) as error:
        if time.monotonic() >= deadline:
            raise _overdue(partial) from None
        raise _unreachable(url, error, partial) from None
    except OSError as error:
        raise unwritable(error, partial) from None
    if time.monotonic() >= deadline:
        raise _overdue(partial)
    if done < total:
        raise ZooError(
            f"The transfer broke off after {megabytes(done)} of {megabytes(total)}.",
            hint=f"Run the command again: it goes on with {partial}.",
        )


def megabytes(count: int) -> str:
    """Show a number of bytes."""
    return f"{count / MEGABYTE:.1f} MB"


def _open(url: str, start: int) -> HTTPResponse:
    """Send the request and return the response once its whole header has arrived in time."""
    headers = {"User-Agent": f"posebench/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = Request(url, headers=headers)
    answers: list[HTTPResponse | Exception] = []

    def ask() -> None:
        try:
            answers.append(urlopen(request, timeout=TIMEOUT_SECONDS))
        except Exception as error:
            answers.append(error)

    # In a thread: nothing else can end a request whose header never ends.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(MAX_OPENING_SECONDS)
    if not answers:
        raise TimeoutError(f"no answer in {MAX_OPENING_SECONDS} seconds")
    answer = answers.pop()
    if isinstance(answer, Exception):
        try:
            raise answer
        finally:
            del answer  # otherwise the error, its traceback and this frame keep each other alive
    return answer


@contextmanager
def _ended_at(deadline: float, response: HTTPResponse) -> Iterator[None]:
    """Shut the connection down at the deadline, whatever the server still sends."""

    def end() -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    with socket.socket(fileno=os.dup(response.fileno())) as connection:
        timer = threading.Timer(max(deadline - time.monotonic(), 0), end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _length(response: HTTPResponse) -> int:
    """Return the length of the body in bytes, or 0 if the server does not give it."""
    text = response.headers.get("Content-Length") or "0"
    if not re.fullmatch(_NUMBER, text):
        raise HTTPException(f"the server gives {text[:80]!r} as the file's length")
    return int(text)


def _size_of(partial: Path) -> int:
    """Return how many bytes have arrived.

    Raises `OSError` if the path is a link, a pipe or the like.
    """
    try:
        status = partial.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(status.st_mode):
        raise FileExistsError(errno.EEXIST, "it is not a plain file; delete it", str(partial))
    return status.st_size


def _partial_file(partial: Path, mode: str) -> BinaryIO:
    """Open the file that receives the bytes, without following a link."""

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return cast("BinaryIO", open(partial, mode, opener=opener))


def _first_byte(response: HTTPResponse, asked: int) -> int:
    """Return the position of the body's first byte: 0 from a server that ignores ranges."""
    match = re.match(rf"bytes ({_NUMBER})-", response.headers.get("Content-Range", ""))
    begin = int(match[1]) if response.status == 206 and match else 0
    if begin not in (0, asked):
        raise HTTPException(f"asked for the bytes from {asked} on, got those from {begin} on")
    return begin


def _copy(
    response: HTTPResponse, write: Callable[[bytes], object], progress: Callable[[int], None]
) -> int:
    done = 0
    while piece := response.read(_CHUNK):
        done += len(piece)
        if done > MAX_BYTES:
            raise _TooLargeError(response.url)
        write(piece)
        progress(done)
    return done


def _complete(error: HTTPError, partial: Path) -> bool:
    """Tell whether the server has no more bytes because all of them have arrived already."""
    return error.headers.get("Content-Range") == f"bytes */{partial.stat().st_size}"


def _refused(url: str, error: HTTPError, partial: Path) -> ZooError:
    if error.code == _RANGE_NOT_SATISFIABLE:
        return ZooError(
            f"{partial} is larger than the file at {url}.", hint="Delete it, then run again."
        )
    what = "has no such file" if error.code in (404, 410) else "refuses it"
    return ZooError(
        f"The publisher's server {what} (HTTP {error.code}): {url}",
        hint="The publisher may have moved it: look at the publisher's page.",
    )


def _unreachable(url: str, error: Exception, partial: Path) -> ZooError:
    reason = getattr(error, "reason", None) or error or type(error).__name__
    if partial.exists():
        hint = f"Run the command again: it goes on with {partial}."
    else:
        hint = f"Without a network: get {url} elsewhere and put it at {partial.with_suffix('')}"
    return ZooError(f"The file cannot be fetched from {url}: {reason}.", hint=hint)


def _overdue(partial: Path) -> ZooError:
    return ZooError(
        f"The transfer was stopped after {MAX_SECONDS / 3600:g} hours.",
        hint=f"Run the command again: it goes on with {partial}.",
    )


def unwritable(error: OSError, partial: Path) -> ZooError:
    """Return the error that a file or its folder cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        there = partial.stat().st_size if partial.exists() else 0
        return ZooError(
            f"The disk is full: {megabytes(there)} are in {partial}.",
            hint="Free some space and run the command again, or delete that file and give --dir.",
        )
    return ZooError(
        f"{error.filename or partial} cannot be written: {error.strerror}.",
        hint="Give a folder of your own with --dir.",
    )
