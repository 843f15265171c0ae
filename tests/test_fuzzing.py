"""Every kind of file that posebench reads, damaged from a seed: no crash, no hang, no other number.

`python tests/material/fuzz_child.py KIND SEED 1 FOLDER` tries one case again.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

CHILD = Path(__file__).parent / "material" / "fuzz_child.py"
# One case takes milliseconds; the machine may be busy, and the first loads torch.
LIMIT_SECONDS = 120.0
# Cases of each kind, and the fewest that must have been used, so that the fuzzer says something.
FEW = {"data": 600, "yaml": 200, "checkpoints": 100, "runs": 100}
LEAST_USED = {"data": 0.25, "yaml": 0.1, "checkpoints": 0.1, "runs": 0.1}


def try_in_a_child(kind: str, first: int, count: int, folder: Path) -> dict[str, int]:
    """Try seeds in a process that is ended when one takes too long; return what came of them."""
    command = [sys.executable, str(CHILD), kind, str(first), str(count), str(folder)]
    errors = folder / "errors.txt"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        seed = last = f"before {first}"
        try:
            while last := lines.get(timeout=LIMIT_SECONDS).strip():
                seed = last if last.isdigit() else seed
                if last.startswith("{"):
                    found: dict[str, int] = json.loads(last)
        except queue.Empty:
            process.kill()
            pytest.fail(f"{kind}, seed {seed}: not done within {LIMIT_SECONDS:g} seconds")
    if process.returncode:
        pytest.fail(f"{kind}, seed {seed}:\n{errors.read_text()[-4000:]}")
    return found


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


@pytest.mark.parametrize("kind", FEW)
def test_a_thousand_damaged_files(tmp_path: Path, kind: str) -> None:
    found = try_in_a_child(kind, 0, FEW[kind], tmp_path)
    assert found["used"] > LEAST_USED[kind] * FEW[kind]
    if kind == "data":
        assert found["compared"] > 0.8 * found["used"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_twenty_thousand_damaged_files(tmp_path: Path, kind: str) -> None:
    try_in_a_child(kind, FEW[kind], 19 * FEW[kind], tmp_path)


def test_a_case_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text("import time\nprint(7, flush=True)\ntime.sleep(600)\n")
    monkeypatch.setattr(f"{__name__}.CHILD", child)
    monkeypatch.setattr(f"{__name__}.LIMIT_SECONDS", 5.0)
    with pytest.raises(pytest.fail.Exception, match="data, seed 7: not done within 5 seconds"):
        try_in_a_child("data", 0, 1, tmp_path)


def test_a_case_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text("print(3, flush=True)\nprint(4, flush=True)\n1 / 0\n")
    monkeypatch.setattr(f"{__name__}.CHILD", child)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)data, seed 4:.*ZeroDivisionError"):
        try_in_a_child("data", 0, 1, tmp_path)
