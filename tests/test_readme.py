"""README's commands, run as printed; those that need a user's own files, option by option."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN_FILES = ("rtmpose-m.pth", "DIR/results.json", "FILE", "A.json")
LONG_RUN = "posebench train"


def commands() -> list[str]:
    """Return README's shell commands, line continuations joined."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


def posebench_commands() -> list[str]:
    """Return what README calls posebench with, without the installation in front."""
    parts = [part.strip() for command in commands() for part in command.split("&&")]
    return [part for part in parts if part.startswith("posebench ")]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posebench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_two_commands_install_and_run_and_ci_runs_the_tests() -> None:
    first, second = commands()[:2]
    assert first == "pip install -c constraints.txt . && posebench eval"
    assert second == 'pip install -c constraints.txt ".[test]" && pytest'
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, test = second.split(" && ")
    assert install.replace("install", "install -q") in script
    assert script.rstrip().endswith(test)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Run README's first command, with its results in a file."""
    folder = tmp_path_factory.mktemp("readme")
    assert "posebench eval" in posebench_commands()
    done = run(["eval", "--json", "results.json"], folder)
    assert done.returncode == 0, done.stderr
    assert "heatmap-m" in done.stdout
    document: dict[str, object] = json.loads((folder / "results.json").read_text())
    return document


def test_the_main_command_answers_at_every_size(evaluation: dict[str, object]) -> None:
    results = evaluation["results"]
    assert isinstance(results, list)
    by_policy: dict[str, list[dict[str, object]]] = {}
    for result in results:
        by_policy.setdefault(result["policy"], []).append(result)
    sizes = {result["size"] for result in results}
    assert len(sizes) == 3
    for result in by_policy["native"]:
        trained = result["size"] == result["checkpoint"]["trained_size"]
        runs = result["checkpoint"]["paradigm"] == "heatmap" or trained
        assert result["status"] == ("ok" if runs else "unsupported")
        assert (result["metrics"] is not None) == runs
        assert runs or "fixed by training" in result["reason"]
        if trained:
            assert result["metrics"]["AP"] > 0.2
    simcc = {r["checkpoint"]["name"] for r in results if r["checkpoint"]["paradigm"] == "simcc"}
    for policy in ("resample", "interpolate"):
        rows = [r for r in by_policy[policy] if r["checkpoint"]["name"] in simcc]
        assert len(rows) == len(simcc) * (len(sizes) - 1)
        assert all(row["status"] == "ok" and row["metrics"] is not None for row in rows)


def test_the_other_commands_run_or_have_the_options_shown(tmp_path: Path) -> None:
    shown = [shlex.split(command)[1:] for command in posebench_commands()[1:]]
    assert len(shown) >= 4
    for arguments in shown:
        line = " ".join(arguments)
        if any(name in line for name in OWN_FILES) or LONG_RUN in f"posebench {line}":
            command = [word for word in arguments[:1] if not word.startswith("-")]
            described = run([*command, "--help"], tmp_path)
            options = [word for word in arguments if word.startswith("--")]
            assert all(option in described.stdout for option in options)
        else:
            done = run(arguments, tmp_path)
            assert done.returncode == 0, done.stderr


def test_files_that_the_readme_links_to_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
