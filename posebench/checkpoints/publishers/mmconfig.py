"""The config text in `meta["cfg"]` of an MMEngine checkpoint, parsed as literals.

MMEngine writes it with `Config.pretty_text` and executes it to read it back; here it is parsed
with `ast` and nothing in it is executed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from posebench.errors import CheckpointError

MAX_CHARACTERS = 2_000_000
MAX_DEPTH = 40
# Names let a short text stand for a huge value; the longest published config has 3 000 values.
MAX_VALUES = 500_000
_SEQUENCES = {"list": list, "tuple": tuple, "set": list}


def parse_config(text: str) -> dict[str, Any]:
    """Return the assignments `name = literal` of a config text, by name.

    Literals are numbers, strings, lists, tuples, dicts and `dict(key=literal)`; a name stands for
    an earlier assignment. Raises `CheckpointError`, with the line, if the text contains anything
    else.
    """
    if len(text) > MAX_CHARACTERS:
        raise CheckpointError(f"The config text has {len(text)} characters, more than any config.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=SyntaxWarning)
            warnings.simplefilter("ignore", category=DeprecationWarning)
            module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"The config text cannot be parsed: {error}.") from None
    names: dict[str, Any] = {}
    # Kept alive, because `sizes` identifies values by their ids.
    kept: list[Any] = []
    sizes: dict[int, tuple[int, int]] = {}
    total = 0
    for statement in module.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
            raise _refused(statement, "is not an assignment to a name")
        if len(statement.targets) != 1:
            raise _refused(statement, "assigns to several names")
        value = names[target.id] = _literal(statement.value, names, 0)
        kept.append(value)
        size, depth = _size(value, sizes)
        total += size
        if total > MAX_VALUES or depth > MAX_DEPTH:
            raise _refused(statement, "makes the text stand for more values than a config has")
    return names


def lookup(config: Mapping[str, Any], path: str) -> Any:
    """Return `config["a"]["b"]` for the path `a.b`, or None if there is no such entry."""
    value: Any = config
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


@contextmanager
def odd_values_refused() -> Iterator[None]:
    """Turn errors of reading a setting's value into a `CheckpointError`."""
    try:
        yield
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The config text sets something to a value that no config has there: {error}.",
            hint="Get the file from its publisher again, or correct the text in it.",
        ) from None


def _literal(node: ast.expr, names: Mapping[str, Any], depth: int) -> Any:
    """Return the value of a literal expression.

    Raises `CheckpointError` if it is any other expression.
    """
    if depth > MAX_DEPTH:
        raise _refused(node, "is nested too deeply")
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Set):
        return [_literal(item, names, depth + 1) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item, names, depth + 1) for item in node.elts)
    if isinstance(node, ast.Dict):
        return _mapping(node, names, depth)
    if isinstance(node, ast.Call):
        return _call(node, names, depth)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand, names, depth + 1)
        if type(value) in (int, float):
            return -value
    if isinstance(node, ast.Name) and (node.id in names or node.id in ("inf", "nan")):
        return names[node.id] if node.id in names else float(node.id)
    raise _refused(node, "is not a literal")


def _mapping(node: ast.Dict, names: Mapping[str, Any], depth: int) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        key = None if key_node is None else _literal(key_node, names, depth + 1)
        if not isinstance(key, str | int | float | bool):
            raise _refused(node, "has a key that is neither text nor a number")
        result[key] = _literal(value_node, names, depth + 1)
    return result


def _call(node: ast.Call, names: Mapping[str, Any], depth: int) -> Any:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name == "dict" and len(node.args) <= 1:
        given = _literal(node.args[0], names, depth + 1) if node.args else {}
        if not isinstance(given, dict):
            raise _refused(node, "makes a dict of something else")
        result = dict(given)
        for keyword in node.keywords:
            if keyword.arg is None:
                raise _refused(node, "unpacks a mapping")
            result[keyword.arg] = _literal(keyword.value, names, depth + 1)
        return result
    if name in _SEQUENCES and not node.keywords and len(node.args) <= 1:
        items = _literal(node.args[0], names, depth + 1) if node.args else []
        if isinstance(items, list | tuple):
            return _SEQUENCES[name](items)
    raise _refused(node, "is a call, and nothing in a checkpoint is called")


def _size(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a value stands for, and how deeply they are nested.

    `known` holds the results for values of earlier names, so that each is visited once.
    """
    if not isinstance(value, dict | list | tuple):
        return 1, 0
    if id(value) not in known:
        parts = value.values() if isinstance(value, dict) else value
        found = [_size(part, known) for part in parts]
        deepest = max((depth for _, depth in found), default=0)
        known[id(value)] = (1 + sum(size for size, _ in found), 1 + deepest)
    return known[id(value)]


def _refused(node: ast.stmt | ast.expr, why: str) -> CheckpointError:
    return CheckpointError(
        f"The config text in this checkpoint: an expression on line {node.lineno} {why}.",
        hint="Nothing was run. Give --spec FILE.yaml to say what the config would.",
    )
