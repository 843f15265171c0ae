"""Frozen dataclasses from and to YAML/JSON, validated by schema.

An unknown key is an error that names the nearest valid one. Nothing in a file is executed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from posebench.errors import PosebenchError, SpecError, nearest

Record = TypeVar("Record")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raise `SpecError` if it is missing, broken or not a mapping."""
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"There is no file {path}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SpecError(f"{path} cannot be read as YAML: {error}") from None
    if not isinstance(value, dict):
        raise SpecError(f"{path} must hold a mapping at its top level.")
    return value


def record_from_mapping(kind: type[Record], mapping: Mapping[str, Any], *, where: str) -> Record:
    """Build the frozen dataclass `kind` from plain data; raise `SpecError` with the place."""
    from pydantic import TypeAdapter, ValidationError

    unknown = _unknown_key(kind, mapping, "")
    if unknown:
        raise SpecError(f"{where}: {unknown}")
    adapter: TypeAdapter[Record] = TypeAdapter(kind)
    try:
        return adapter.validate_python(dict(mapping))
    except PosebenchError as error:
        raise SpecError(f"{where}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        shown = repr(first["input"])[:80]
        raise SpecError(
            f"{where}: {place or 'the record'}: {first['msg']} (got {shown})."
        ) from None


def _unknown_key(kind: Any, value: Any, prefix: str) -> str | None:
    """Return a sentence about the first key of `value` that `kind` does not have, at any depth."""
    if not (dataclasses.is_dataclass(kind) and isinstance(value, Mapping)):
        return None
    hints = typing.get_type_hints(kind)
    valid = [field.name for field in dataclasses.fields(kind)]
    for key, item in value.items():
        if key not in valid:
            return f"unknown key {prefix + str(key)!r}. {nearest(str(key), valid)}"
        options = (hints[key], *typing.get_args(hints[key]))
        matching = [option for option in options if _could_be(option, item)]
        if len(matching) == 1:
            found = _unknown_key(matching[0], item, f"{prefix}{key}.")
            if found:
                return found
    return None


def _could_be(option: Any, item: Any) -> bool:
    """Tell whether `item` may stand for the dataclass `option`, by its `kind` where it has one."""
    if not (dataclasses.is_dataclass(option) and isinstance(item, Mapping)):
        return False
    kind = typing.get_type_hints(option).get("kind")
    return "kind" not in item or kind is None or item["kind"] in typing.get_args(kind)


def mapping_from_record(record: Any) -> dict[str, Any]:
    """Return a frozen dataclass as plain data that `record_from_mapping` reads back."""
    from pydantic import TypeAdapter

    plain: dict[str, Any] = TypeAdapter(type(record)).dump_python(record, mode="json")
    return plain


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (no NaN) to `path` by way of a temporary name."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` by way of a temporary name, so that no reader sees half a file."""
    with put_when_written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def put_when_written(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; give the file its name when the block ends well.

    It gets the mode any new file has. Folders are made; a block that fails leaves no file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
