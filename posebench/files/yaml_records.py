"""YAML files written by hand, read as records: every error names its line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import SpecError
from posebench.files.inputs import not_a_file
from posebench.files.records import MisfitError, Place, Record, record_from_mapping

if TYPE_CHECKING:
    from yaml import Node

MAX_BYTES = 2**20
# Aliases let a small file stand for a huge value; no file that a person writes needs so many.
MAX_NODES = 100_000


class YamlFile:
    """A parsed YAML mapping that knows the line of each of its parts."""

    def __init__(self, path: Path) -> None:
        """Read `path`.

        Raises `SpecError` if it holds anything but one mapping without repeated keys.
        """
        import yaml

        self.path = path
        try:
            text = _read(path)
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            _check_tree(self._root, path)
            self.value: dict[str, Any] = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f", line {mark.line + 1}" if mark is not None else ""
            raise SpecError(f"{path}{line}: {error.problem or error}.") from None
        except RecursionError:
            raise SpecError(f"{path} is nested too deeply.") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise SpecError(f"{path} cannot be read as YAML: {error}") from None

    def misfit(self, place: Place, text: str, hint: str | None = None) -> SpecError:
        """Return an error that says `text` of the part at `place`, with its line."""
        return SpecError(f"{self.path}, line {self.line(place)}: {text}", hint=hint)

    def line(self, place: Place) -> int:
        """Return the line of the part at `place`, or of the nearest part around it, from 1."""
        node, line = self._root, 1
        for step in place:
            found = _child(node, step)
            if found is not None:
                line, node = found
        return line


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises `SpecError` if the file is missing, broken, too large or not a mapping.
    """
    return YamlFile(path).value


def record_from_yaml(kind: type[Record], path: Path) -> tuple[Record, YamlFile]:
    """Read a YAML mapping as the frozen dataclass `kind`.

    Raises `SpecError`, with file and line, if the file does not fit.
    """
    file = YamlFile(path)
    try:
        return record_from_mapping(kind, file.value, where=str(path)), file
    except MisfitError as error:
        raise file.misfit(error.place, error.text) from None


def _read(path: Path) -> str:
    try:
        other = not_a_file(path)
        if other is not None:
            raise SpecError(f"{path} cannot be read: it is {other}.")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(f"There is no file {path}.") from None
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"{path} is larger than {MAX_BYTES} bytes: that is not a file written by hand."
        )
    return content.decode("utf-8")


def _check_tree(root: Node | None, path: Path) -> None:
    """Raise `SpecError` unless the tree is a mapping with distinct keys and few enough values."""
    from yaml import MappingNode

    if not isinstance(root, MappingNode):
        raise SpecError(f"{path} must hold a mapping at its top level.")
    if _size(root, {}) > MAX_NODES:
        raise SpecError(f"{path} stands for more than {MAX_NODES} values.")
    seen = set[int]()
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            keys = set[str]()
            for key, _ in node.value:
                text = str(key.value)
                if text in keys:
                    line = key.start_mark.line + 1
                    raise SpecError(f"{path}, line {line}: the key {text!r} comes twice.")
                keys.add(text)
        _check_number(node, path)
        waiting.extend(_children(node))


def _check_number(node: Node, path: Path) -> None:
    """Raise `SpecError` for a number that a person never means: NaN, infinity, or base 60."""
    from yaml import SafeLoader, ScalarNode

    kind = node.tag.rpartition(":")[2]
    if not isinstance(node, ScalarNode) or kind not in ("int", "float"):
        return
    place = f"{path}, line {node.start_mark.line + 1}: {node.value}"
    if ":" in node.value:
        raise SpecError(f"{place} is a number to base 60 in YAML. Write it in quotes, or without :")
    if kind == "float" and not math.isfinite(SafeLoader("").construct_yaml_float(node)):
        raise SpecError(f"{place} is not a finite number.")


def _size(node: Node, known: dict[int, int]) -> int:
    """Count the values that a node stands for, each alias at its full size."""
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # a node that contains itself
        known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return known[id(node)]


def _children(node: Node) -> Iterator[Node]:
    from yaml import MappingNode, SequenceNode

    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def _child(node: Node | None, step: str | int) -> tuple[int, Node] | None:
    """Return the line and node of a part of `node`, or None if it has no such part."""
    from yaml import MappingNode, SequenceNode

    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        return child.start_mark.line + 1, child
    return None
