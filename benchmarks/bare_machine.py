"""Stand-ins for lazy_loader, orjson and pydantic on a machine that has torch but not these.

They do what building networks and predicting needs of them, and no more: records are made without
being checked. Commands of posebench need the packages themselves.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import json
import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

STOOD_IN = ("lazy_loader", "orjson", "pydantic")


def stand_in() -> tuple[str, ...]:
    """Put stand-ins where packages are missing, and return their names."""
    missing = tuple(name for name in STOOD_IN if not is_there(name))
    for name in missing:
        sys.modules[name] = _MAKERS[name]()
    return missing


def is_there(name: str) -> bool:
    """Tell whether a package can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        return False


class TypeAdapter:
    """Makes records from plain data, and back."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def validate_python(self, value: Any) -> Any:
        """Return a record."""
        return _made(self._kind, value)

    def dump_python(self, value: Any, mode: str = "json") -> Any:
        """Return plain data."""
        assert mode == "json"
        return json.loads(json.dumps(dataclasses.asdict(value), default=str))


def _made(kind: Any, value: Any) -> Any:
    options = typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _made(hints[name], each) for name, each in value.items()})
    if isinstance(value, Mapping):
        inner = [each for each in options if dataclasses.is_dataclass(each)]
        return _made(inner[0], value) if len(inner) == 1 else value
    if isinstance(value, list):
        return tuple(_made(options[0] if options else Any, each) for each in value)
    return value


def attach_stub(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], Any], Any]:
    """Return what a package needs to import, when they are asked for, the names in its stub."""
    tree = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    homes = {
        name.name: f"{package}.{node.module}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for name in node.names
    }

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return get, lambda: sorted(homes), sorted(homes)


def _lazy_loader() -> types.ModuleType:
    module = types.ModuleType("lazy_loader")
    module.attach_stub = attach_stub  # type: ignore[attr-defined]
    return module


def _orjson() -> types.ModuleType:
    module = types.ModuleType("orjson")
    module.loads = json.loads  # type: ignore[attr-defined]
    module.dumps = lambda value: json.dumps(value).encode()  # type: ignore[attr-defined]
    return module


def _pydantic() -> types.ModuleType:
    module = types.ModuleType("pydantic")
    module.TypeAdapter = TypeAdapter  # type: ignore[attr-defined]
    module.ValidationError = ValueError  # type: ignore[attr-defined]
    return module


_MAKERS = {"lazy_loader": _lazy_loader, "orjson": _orjson, "pydantic": _pydantic}
