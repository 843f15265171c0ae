"""Frozen dataclasses from and to YAML/JSON, validated by schema.

An unknown key is an error that names the nearest valid one. Nothing in a file is executed.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from posebench.errors import PosebenchError, SpecError, nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Record = TypeVar("Record")
Place = tuple[str | int, ...]
"""Keys and indices that lead from the top of plain data to a part of it."""


class MisfitError(SpecError):
    """Plain data does not fit a record: `text` says why, at `place`."""

    def __init__(self, where: str, place: Place, text: str) -> None:
        super().__init__(f"{where}: {text}")
        self.place = place
        self.text = text


def record_from_mapping(kind: type[Record], mapping: Mapping[str, Any], *, where: str) -> Record:
    """Build the frozen dataclass `kind` from plain data.

    Raises `MisfitError`, with the place, if the data do not fit.
    """
    from pydantic import ValidationError

    _check_keys(kind, mapping, (), where)
    try:
        record: Record = _adapter(kind).validate_python(dict(mapping))
        return record
    except PosebenchError as error:
        raise SpecError(f"{where}: {error.message}", hint=error.hint) from None
    except ValidationError as error:
        found = error.errors(include_url=False)
        # If a value may have several kinds, report the error of the one that parsed furthest.
        same_field = [each for each in found if each["loc"][:1] == found[0]["loc"][:1]]
        first = max(same_field, key=lambda each: len(each["loc"]))
        place = ".".join(str(part) for part in first["loc"])
        # What was given where something lacks is all the rest, which says nothing.
        given = "" if first["type"] == "missing" else f" (got {repr(first['input'])[:80]})"
        text = f"{place or 'the record'}: {first['msg']}{given}."
        raise MisfitError(where, first["loc"], text) from None


def _check_keys(kind: Any, value: Any, place: Place, where: str) -> None:
    """Raise `MisfitError` for the first key of `value` that `kind` does not have, at any depth."""
    if isinstance(value, list | tuple):
        items = [item for item in typing.get_args(kind) if item is not Ellipsis]
        for index, each in enumerate(value if len(items) == 1 else ()):
            _check_keys(items[0], each, (*place, index), where)
        return
    # A type with a schema of its own reads plain data itself.
    if not isinstance(value, Mapping) or hasattr(kind, "__get_pydantic_core_schema__"):
        return
    if isinstance(origin := typing.get_origin(kind), type) and issubclass(origin, Mapping):
        for key, item in value.items():
            _check_keys(typing.get_args(kind)[1], item, (*place, key), where)
        return
    if not dataclasses.is_dataclass(kind):
        matching = [option for option in typing.get_args(kind) if _could_be(option, value)]
        if len(matching) > 1:
            # The one that needs most of what is there.
            needed = {each: _required(each) for each in matching}
            given = [each for each in matching if needed[each] <= set(value)]
            most = max((len(needed[each]) for each in given), default=0)
            matching = [each for each in given if len(needed[each]) == most]
        if len(matching) == 1:
            _check_keys(matching[0], value, place, where)
        return
    hints = _hints(kind)
    valid = [field.name for field in dataclasses.fields(kind)]
    for key, item in value.items():
        inner = (*place, key)
        if key not in valid:
            name = ".".join(map(str, inner))
            raise MisfitError(where, inner, f"unknown key {name!r}. {nearest(str(key), valid)}")
        _check_keys(hints[key], item, inner, where)


def _hints(kind: Any) -> dict[str, Any]:
    """Return the types of a record's fields, cached: finding them takes longer than reading it."""
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]


def _could_be(option: Any, item: Any) -> bool:
    """Tell whether `item` may stand for the dataclass `option`, by its `kind` if it has one."""
    if not (dataclasses.is_dataclass(option) and isinstance(item, Mapping)):
        return False
    kind = _hints(option).get("kind")
    return "kind" not in item or kind is None or item["kind"] in typing.get_args(kind)


def _required(option: Any) -> set[str]:
    """Return the names of the fields of a dataclass that have no default."""
    missing = dataclasses.MISSING
    return {
        field.name
        for field in dataclasses.fields(option)
        if field.default is missing and field.default_factory is missing
    }


def mapping_from_record(record: Any) -> dict[str, Any]:
    """Return a frozen dataclass as plain data that `record_from_mapping` reads back."""
    plain: dict[str, Any] = _adapter(type(record)).dump_python(record, mode="json")
    return plain


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return a record's validator, cached because it takes milliseconds to make."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
_HINTS: dict[Any, dict[str, Any]] = {}
