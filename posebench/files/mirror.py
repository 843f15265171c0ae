"""A folder's copy at a URL, on any file system that fsspec knows: `s3://…`, `gs://…`, `file://…`."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from posebench.errors import MissingExtraError, UsageError
from posebench.files.hashing import stamp
from posebench.files.writing import put_when_written

_log = logging.getLogger(__name__)
_CHUNK = 2**20


class Mirror:
    """Copies files between a folder and a URL; `belongs` says which, by paths within the folder.

    A file appears at either end only when it is whole. What the folder has is never replaced.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        belongs: Callable[[Path], bool],
        is_compared: Callable[[Path], bool] = lambda _: False,
    ) -> None:
        """Open the URL.

        Files of equal size that `is_compared` chooses are told apart by their content.

        Raises `MissingExtraError` if the package for it is not installed, and `UsageError` if it
        cannot be used.
        """
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise MissingExtraError.of("--mirror", "fsspec", "mirror") from None
        try:
            self._system, root = url_to_fs(url)
        except ImportError as error:
            raise UsageError(
                f"{url} needs a package that is not installed: {error}",
                hint="For s3:// run: pip install s3fs; for gs://: pip install gcsfs.",
            ) from None
        except ValueError as error:
            raise UsageError(f"{url} is no place for a mirror: {error}") from None
        self._root = str(root).rstrip("/")
        self._url = url
        self._folder = folder
        self._belongs = belongs
        self._is_compared = is_compared
        self._pushed: dict[Path, tuple[int, int]] = {}

    def fetch(self) -> int:
        """Copy what the folder lacks, and return how many files these were.

        Raises `UsageError` if the URL cannot be read.
        """
        count = 0
        try:
            for remote in sorted(self._sizes()):
                own = Path(remote)
                if self._belongs(own) and not (self._folder / own).exists():
                    with put_when_written(self._folder / own) as temporary:
                        self._system.get_file(self._place(own), str(temporary))
                    self._pushed[self._folder / own] = stamp(self._folder / own)
                    count += 1
        except Exception as error:  # each file system has errors of its own
            raise UsageError(
                f"{self._url} cannot be read: {error}", hint="Check the URL and your access to it."
            ) from error
        return count

    def push(self, files: Iterable[Path]) -> bool:
        """Copy files of the folder to the URL; say what failed, and return whether nothing did."""
        whole = True
        for file in files:
            try:
                facts = stamp(file)
                if self._pushed.get(file) != facts:
                    self._put(file, file.relative_to(self._folder))
                    self._pushed[file] = facts
            except Exception as error:  # each file system has errors of its own
                _log.warning("%s is not in the mirror: %s", file, error)
                whole = False
        return whole

    def push_all(self) -> bool:
        """Copy what the URL lacks or has otherwise; return whether all is there then."""
        try:
            sizes = self._sizes()
        except Exception as error:  # each file system has errors of its own
            _log.warning("%s cannot be read: %s", self._url, error)
            return False
        files = (path for path in sorted(self._folder.rglob("*")) if path.is_file())
        own = ((path, path.relative_to(self._folder)) for path in files)
        return self.push(
            path
            for path, name in own
            if self._belongs(name)
            and (sizes.get(name.as_posix()) != path.stat().st_size or self._differs(path, name))
        )

    def _differs(self, path: Path, name: Path) -> bool:
        """Tell whether a file that is compared has another content than the one at the URL."""
        if not self._is_compared(name) or self._pushed.get(path) == stamp(path):
            return False
        try:
            with path.open("rb") as own, self._system.open(self._place(name), "rb") as other:
                while (piece := own.read(_CHUNK)) == other.read(_CHUNK):
                    if not piece:
                        return False
        except Exception as error:  # each file system has errors of its own
            _log.debug("%s cannot be compared: %s", self._place(name), error)
        return True

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of files at the URL, by their paths within it."""
        self._system.invalidate_cache()
        if not self._system.exists(self._root):
            return {}
        found: dict[str, Any] = self._system.find(self._root, detail=True)
        return {name[len(self._root) :].lstrip("/"): facts["size"] for name, facts in found.items()}

    def _place(self, name: Path) -> str:
        return f"{self._root}/{name.as_posix()}"

    def _put(self, file: Path, name: Path) -> None:
        place = self._place(name)
        self._system.makedirs(place.rpartition("/")[0], exist_ok=True)
        if "file" not in _protocols(self._system):  # object stores show no half files
            self._system.put_file(str(file), place)
            return
        temporary = f"{place}.{uuid.uuid4().hex}"
        self._system.put_file(str(file), temporary)
        self._system.mv(temporary, place)


def _protocols(system: Any) -> tuple[str, ...]:
    found = system.protocol
    return (found,) if isinstance(found, str) else tuple(found)
