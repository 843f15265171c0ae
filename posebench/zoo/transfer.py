"""One file over HTTP into a `.partial` file, going on where an earlier transfer broke off."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from posebench.__version__ import __version__
from posebench.errors import ZooError

TIMEOUT_SECONDS = 30
MEGABYTE = 1_000_000
_CHUNK = 2**18
_RANGE_NOT_SATISFIABLE = 416

Progress = Callable[[int, int], None]


def partial_path(target: Path) -> Path:
    """Return where the bytes of `target` lie until all of them are there."""
    return target.with_name(f"{target.name}.partial")


def download(url: str, target: Path, progress: Progress) -> None:
    """Fetch `url` into `partial_path(target)`; `progress(done, total)` counts bytes.

    Redirects are followed. Raise `ZooError` where the transfer cannot begin, breaks off or does
    not fit on the disk; what has arrived stays for the next call.
    """
    partial = partial_path(target)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        start = partial.stat().st_size if partial.exists() else 0
        with _open(url, start) as response:
            begin = _first_byte(response, start)
            total = begin + int(response.headers.get("Content-Length") or 0)
            with partial.open("ab" if begin else "wb") as stream:
                done = _copy(response, stream.write, lambda n: progress(begin + n, total)) + begin
    except HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and _complete(error, partial):
            return
        raise _refused(url, error, partial) from None
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise _unreachable(url, error, partial) from None
    except OSError as error:
        raise _unwritable(error, partial) from None
    if done < total:
        raise ZooError(
            f"The transfer broke off after {megabytes(done)} of {megabytes(total)}.",
            hint=f"Run the command again: it goes on with {partial}.",
        )


def megabytes(count: int) -> str:
    """Show a number of bytes."""
    return f"{count / MEGABYTE:.1f} MB"


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": f"posebench/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    return response


def _first_byte(response: HTTPResponse, asked: int) -> int:
    """Return the position of the body's first byte: 0 from a server that ignores ranges."""
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    begin = int(match[1]) if response.status == 206 and match else 0
    if begin not in (0, asked):
        raise HTTPException(f"asked for the bytes from {asked} on, got those from {begin} on")
    return begin


def _copy(
    response: HTTPResponse, write: Callable[[bytes], object], progress: Callable[[int], None]
) -> int:
    done = 0
    while piece := response.read(_CHUNK):
        write(piece)
        done += len(piece)
        progress(done)
    return done


def _complete(error: HTTPError, partial: Path) -> bool:
    """Tell whether a server has no more bytes because all of them are there already."""
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


def _unwritable(error: OSError, partial: Path) -> ZooError:
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
