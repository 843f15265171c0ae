"""Config texts as literals, friendly and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.checkpoints.publishers.mmconfig import lookup, parse_config
from posebench.errors import CheckpointError


def test_literals_equal_what_python_makes_of_them() -> None:
    text = """a = dict(type='X', n=-1.5e-05, flags=[True, False, None], pair=(64, 96))
b = {'k': [dict(x=1), 'a' 'b'], 2: (3, )}
c = a
d = [c, dict(inner=b)]
e = tuple([1, 2])
f = set([1])
g = dict()
h = dict({'data/': 1}, x=2)
"""
    names: dict[str, object] = {}
    exec(text, names)
    del names["__builtins__"]
    names["f"] = [1]
    assert parse_config(text) == names


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch CANARY')",
        "open('CANARY', 'w')",
        "eval('1')",
        "[x for x in (1,)]",
        "(lambda: 1)()",
        "dict(**a)",
        "dict([(1, 2)])",
        "a.b",
        "a['type']",
        "f'{a}'",
        "1 + 1",
        "'x' * 10 ** 9",
        "unknown",
        "{(1, 2): 3}",
        "{**a}",
        "list(a, a)",
        "-'x'",
        "1 if a else 2",
    ],
)
def test_anything_but_literals_is_refused(expression: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = f"a = dict(type='X')\nb = {expression}".replace("CANARY", str(canary))
    with pytest.raises(CheckpointError, match="line 2"):
        parse_config(text)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    ["import os", "a.b = 1", "a = b = 1", "a, b = 1, 2", "def f(): pass", "a += 1", "1", "a: int"],
)
def test_other_statements_are_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="line 1"):
        parse_config(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "[" * 60 + "]" * 60,
        "a = " + "-" * 20000 + "1",
        "a = " + "1+" * 20000 + "1",
        "a = (",
        "a = 'x\0'",
        "a = '" + "x" * 3_000_000 + "'",
    ],
)
def test_texts_that_are_too_deep_broken_or_huge(text: str) -> None:
    with pytest.raises(CheckpointError):
        parse_config(text)


def test_lookup_leads_somewhere_or_to_none() -> None:
    config = {"model": {"head": {"type": "X"}}, "codec": 5}
    assert lookup(config, "model.head.type") == "X"
    assert lookup(config, "model.neck.type") is None
    assert lookup(config, "codec.type") is None


@pytest.mark.parametrize("container", ["[{0}, {0}]", "dict(x={0}, y={0})", "({0}, {0})"])
def test_values_that_double_are_refused_in_no_time(container: str) -> None:
    lines = ["a0 = [1, 1]"]
    lines += [f"a{n + 1} = {container.format(f'a{n}')}" for n in range(60)]
    with pytest.raises(CheckpointError, match="more values than a config has"):
        parse_config("\n".join(lines))


def test_values_nested_by_names_are_refused() -> None:
    lines = ["a0 = [1]", *(f"a{n + 1} = [a{n}]" for n in range(5000))]
    with pytest.raises(CheckpointError, match="more values than a config has"):
        parse_config("\n".join(lines))
