"""Files for people who carry on the work: what they name exists, and they agree with each other."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    """Return what pyproject.toml says; Python 3.10 cannot read it."""
    tomllib = pytest.importorskip("tomllib")
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found


def sessions() -> dict[str, list[str]]:
    """Return the nox sessions by name, each with the Pythons it names."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.isupper()
    }
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            keywords = mark.keywords if isinstance(mark, ast.Call) else []
            named = [each.value for each in keywords if each.arg == "python"]
            lists = [constants[value.id] for value in named if isinstance(value, ast.Name)]
            found[node.name] = lists[0] if lists else []
    return found


def session_names() -> set[str]:
    """Return what may stand behind `nox --session`."""
    found = sessions()
    return {*found, *(f"{name}-{python}" for name, each in found.items() for python in each)}


def test_files_and_folders_that_contributing_names_exist() -> None:
    # The layout of real test data is that of a folder elsewhere.
    before, _, after = CONTRIBUTING.partition("### Tests on real data")
    words = re.findall(r"`([\w./-]+)`", before + after.partition("\n### ")[2])
    paths = {word for word in words if re.search(r"/|\.(?:py|md|toml|txt|yml|yaml)$", word)}
    assert len(paths) > 20
    named = {path.partition("NAME")[0] for path in paths - {"mmpose_peer.py"}}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_pytest_commands_of_contributing_name_what_is_there() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
    words = [word for block in blocks for word in block.split() if word.startswith("tests/")]
    assert words and all((ROOT / word).exists() for word in words)


def test_extras_that_are_named_exist() -> None:
    text = CONTRIBUTING + (ROOT / "README.md").read_text(encoding="utf-8")
    named = {each for extras in re.findall(r"\.\[([\w,]+)\]", text) for each in extras.split(",")}
    named |= set(re.findall(r"extra `(\w+)`", text))
    assert named >= {"test", "dev"}
    assert named <= set(project()["project"]["optional-dependencies"])


def test_nox_sessions_that_contributing_names_exist() -> None:
    named = re.findall(r"nox -s (\S+?)[`\s]", CONTRIBUTING)
    assert named and set(named) <= session_names()


def test_the_workflow_calls_sessions_that_exist_and_every_one_that_checks() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    called = set(jobs["nox"]["strategy"]["matrix"]["session"])
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    called |= {name for run in steps for name in re.findall(r"--session ([\w.-]+)", run)}
    expected = session_names() - {"dev", "tests"}
    assert called == expected


def test_every_python_that_is_tested_is_declared() -> None:
    declared = project()["project"]
    pythons = sessions()["tests"]
    marks = [mark.rpartition(" :: ")[2] for mark in declared["classifiers"]]
    assert [mark for mark in marks if re.fullmatch(r"3\.\d+", mark)] == pythons
    assert declared["requires-python"] == f">={pythons[0]}"


def test_hooks_run_tools_that_the_set_up_installs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["entry"].split()[0] for hook in hooks} >= {"ruff", "mypy", "end-of-file-fixer"}
    extras = project()["project"]["optional-dependencies"]
    installed = " ".join([*extras["dev"], *extras["test"]])
    assert all(name in installed for name in ("ruff", "mypy", "pre-commit-hooks"))


def test_pins_are_within_what_pyproject_allows() -> None:
    from packaging.requirements import Requirement

    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [Requirement(line) for line in text.splitlines() if line and line[0] != "#"]
    versions = {pin.name.lower(): str(pin.specifier).removeprefix("==") for pin in pins}
    declared = project()["project"]
    extras = declared["optional-dependencies"].values()
    wanted = [Requirement(line) for lines in (declared["dependencies"], *extras) for line in lines]
    wrong = [
        str(each)
        for each in wanted
        if (pin := versions.get(each.name.lower())) and not each.specifier.contains(pin)
    ]
    assert wrong == []


def test_no_two_test_files_have_one_name() -> None:
    """A run of some of them works nevertheless, and one of all of them does not."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
