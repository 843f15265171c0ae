"""`posebench cache`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posebench.cli import main

HASH = "0123456789abcdef" * 4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> int:
    try:
        main(["cache", *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def filled(cache: Path) -> None:
    for folder, name in (("predictions", f"{HASH}.npz"), ("zoo", "net.pth")):
        (cache / folder).mkdir(parents=True)
        (cache / folder / name).write_bytes(b"x" * 2000)
    (cache / "mine").write_text("")


def test_info(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 0
    assert "There is no cache yet" in capsys.readouterr().out
    filled(cache)
    assert run("info") == 0
    text = capsys.readouterr().out
    assert f"{cache}: 4.0 kB" in text
    assert "predictions" in text
    assert "never touched: mine." in text
    assert run("info", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kinds"]["predictions"]["bytes"] == 2000
    assert found["foreign"] == [str(cache / "mine")]


def test_prune(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prune", "--max-size", "1kB") == 0
    assert "There is no cache yet" in capsys.readouterr().out
    filled(cache)
    assert run("prune", "--max-size", "1 kB", "--dry-run") == 0
    assert "Would remove 1 entry, 2.0 kB." in capsys.readouterr().out
    assert run("prune", "--max-size", "1 kB") == 0
    text = capsys.readouterr().out
    assert "Removed 1 entry, 2.0 kB. 2.0 kB are left" in text
    assert "only --kind checkpoints and --kind trained remove" in text
    assert run("prune", "--max-size", "0", "--kind", "checkpoints") == 0
    assert not (cache / "zoo" / "net.pth").exists()
    assert (cache / "mine").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "How much is to stay"),
        (("--max-size", "big"), "is not a size"),
        (("--older-than", "3"), "is not an age"),
        (("--max-size", "1GB", "--kind", "prediction"), "Did you mean 'predictions'"),
    ],
)
def test_what_is_asked_wrongly(
    cache: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run("prune", *arguments) == 2
    assert said in capsys.readouterr().err
