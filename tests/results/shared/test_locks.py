"""Who may write to a run directory at once, and who has to wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from posebench.errors import UsageError
from posebench.results.shared.locks import Shard, is_running, locked, shards_in


@contextmanager
def elsewhere(folder: Path, shard: Shard | None) -> Iterator[subprocess.Popen[str]]:
    """Hold a run directory in another process."""
    code = (
        "import sys; from pathlib import Path\n"
        "from posebench.results.shared.locks import Shard, locked\n"
        f"with locked(Path({str(folder)!r}), {shard!r}): print('in', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "in\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posebench.results.shared.locks._PATIENCE", 0.1)


def test_shards_of_one_count_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with elsewhere(tmp_path, Shard(1, 3)):
        with locked(tmp_path, Shard(3, 3)):
            assert shards_in(tmp_path) == (Shard(1, 3), Shard(3, 3))
            assert is_running(tmp_path, Shard(1, 3))
        assert not is_running(tmp_path, Shard(2, 3)) and not is_running(tmp_path)
    assert not is_running(tmp_path, Shard(1, 3))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Shard(1, 3), Shard(1, 3), "Another process is running in shard 1/3 of"),
        (Shard(1, 3), Shard(1, 2), "Another process runs shard 1/3 of"),
        (Shard(1, 3), None, "Another process runs shard 1/3 of"),
        (None, Shard(1, 3), "Another process is running all of"),
        (None, None, "Another process is running in"),
    ],
)
def test_what_excludes_what(
    tmp_path: Path, first: Shard | None, second: Shard | None, said: str
) -> None:
    with elsewhere(tmp_path, first) as holder:
        with pytest.raises(UsageError, match=said), locked(tmp_path, second):
            pass
        holder.kill()
        holder.wait()
        with locked(tmp_path, second):  # a killed process holds nothing
            pass


def test_a_look_of_others_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posebench.results.shared.locks._PATIENCE", 30.0)
    with elsewhere(tmp_path, None) as holder:
        threading.Timer(0.2, holder.kill).start()
        with locked(tmp_path):
            assert holder.wait() != 0
