"""Stand-ins for orjson and pydantic on a machine that has torch but not these.

They do what building networks and predicting needs of them, and no more: records are made without
being checked. Commands of posebench need the packages themselves.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

STOOD_IN = ("orjson", "pydantic")


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


_MAKERS = {"orjson": _orjson, "pydantic": _pydantic}
