"""README's commands, run as printed; those that need a user's own files, option by option."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posebench.reporting.texts import points
from posebench.results.cell import CellResult
from posebench.results.store import read_run
from posebench.suites.suite import load_suite

ROOT = Path(__file__).resolve().parents[1]
OWN_FILES = ("a.pth", "a.json")


def commands() -> list[str]:
    """Return README's shell commands, line continuations joined."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


def posebench_commands() -> list[str]:
    """Return what README calls posebench with, without the installation in front."""
    parts = [part.strip() for command in commands() for part in command.split("&&")]
    return [part for part in parts if part.startswith("posebench ")]


def test_the_two_commands_install_and_run_and_ci_runs_the_tests() -> None:
    first, second = commands()[:2]
    assert first == "pip install -c constraints.txt . && posebench run suites/quickstart.yaml"
    assert second == 'pip install -c constraints.txt ".[test]" && pytest'
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, test = second.split(" && ")
    assert install.replace("install", "install -q") in script
    assert script.rstrip().endswith(test)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run README's first command where the suites lie as in a checkout; return the folder."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "suites", folder / "suites")
    assert posebench_commands()[0] == "posebench run suites/quickstart.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "posebench", "run", "suites/quickstart.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "output.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_the_main_command_prints_table_and_verdicts(checkout: Path) -> None:
    printed = (checkout / "output.txt").read_text(encoding="utf-8")
    suite = load_suite(ROOT / "suites" / "quickstart.yaml")
    found = read_run(checkout / "runs" / "quickstart")
    assert found.missing == ()
    assert all(cell.result.checkpoint.name in printed for cell in found.cells)
    assert all(f"\n{name} " in printed for name in suite.claims)
    for cell in (cell.result for cell in found.cells):
        trained = cell.size == cell.checkpoint.trained_size
        runs = trained or cell.policy != "native" or cell.checkpoint.paradigm == "heatmap"
        assert cell.status == ("ok" if runs else "unsupported")
        if trained:
            assert cell.metrics is not None and (cell.metrics["AP"] or 0) > 0.2


def test_the_committed_quickstart_is_what_the_main_command_prints(checkout: Path) -> None:
    """To the last printed digit on the same kind of processor, to half a point on any other."""
    committed = read_run(ROOT / "results" / "quickstart")
    found = read_run(checkout / "runs" / "quickstart")
    machines = [run.record.environment["machine"]["processor"] for run in (committed, found)]
    limit = 0.0 if machines[0] == machines[1] else 0.5
    for old, new in zip(committed.cells, found.cells, strict=True):
        assert (old.id, old.result.status) == (new.id, new.result.status)
        assert _printed(new.result) == pytest.approx(_printed(old.result), abs=limit)


def _printed(cell: CellResult) -> list[float]:
    """Return a result's numbers as tables print them."""
    intervals = cell.intervals
    bounds = [] if intervals is None else [intervals.low["AP"], intervals.high["AP"]]
    numbers = [*(cell.metrics or {}).values(), *bounds]
    return [float(points(number)) for number in numbers if number is not None]


def test_the_other_commands_run_or_have_the_options_shown(
    checkout: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    shown = [shlex.split(command)[1:] for command in posebench_commands()[1:]]
    assert len(shown) >= 10
    for arguments in shown:
        line = " ".join(arguments)
        if any(name in line for name in OWN_FILES):
            command = [word for word in arguments[:1] if not word.startswith("-")]
            described = run(*command, "--help")
            options = [word for word in arguments if word.startswith("--")]
            assert all(option in described.out for option in options)
        else:
            done = run(*arguments)
            assert done.code == 0, done.err


def test_the_readme_is_read_in_a_screen_and_a_half_and_has_a_place_for_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90
    assert re.search(r"<!-- results: .*?-->\n\| .*?<!-- end of results -->", text, flags=re.DOTALL)


def test_files_that_the_readme_links_to_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    links = [link.partition("#")[0] for link in links if not link.startswith("#")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
