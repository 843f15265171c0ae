"""The fields of suites as Markdown tables, made of their schema so that no page goes stale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from posebench.suites.claims import FIELDS
from posebench.suites.schema import suite_schema

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "Suite": "A suite",
        "CheckpointEntry": "An entry of checkpoints",
        "DatasetEntry": "An entry of datasets",
        "BoxesEntry": "An entry of boxes",
        "ScoringEntry": "Scoring",
        "Claim": "A claim",
        "TrainedCheckpoints": "Trained",
        "TrainingDataEntry": "An entry of data under trained",
        "EvaluationPart": "Evaluate, of data to train on",
        "Scale": "A scale",
        "ProbeSettings": "Probing",
    }
)
_NO_DEFAULT = object()


def record_tables(pages: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return a section of Markdown for each record of suites, by its name: heading and table.

    `pages` are the files of records whose sections stand on other pages, for links.
    """
    schema = suite_schema()
    records = {"Suite": schema, **schema["$defs"]}
    return {name: _section(title, records[name], pages) for name, title in TITLES.items()}


def _section(title: str, record: Mapping[str, Any], pages: Mapping[str, str]) -> str:
    required = record.get("required", ())
    rows = [
        f"| `{name}` | {_kind(field, pages)} | {_default(field, name in required)} "
        f"| {field.get('description', '')} |"
        for name, field in record["properties"].items()
    ]
    head = ("| field | is | if left out | means |", "|---|---|---|---|")
    return "\n".join((f"### {title}", "", *head, *rows))


def _kind(field: Mapping[str, Any], pages: Mapping[str, str]) -> str:
    """Return in words what a field may hold."""
    if "$ref" in field:
        record = field["$ref"].rpartition("/")[2]
        title = TITLES[record].lower()
        anchor = title.replace(",", "").replace(" ", "-")
        return f"[{title}]({pages.get(record, '')}#{anchor})"
    if "anyOf" in field:
        kinds = [_kind(each, pages) for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if field.get("enum") == [*FIELDS]:
        return "fields of cells"
    if "pattern" in field:
        return "labels"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        if "prefixItems" in field:
            return f"{len(field['prefixItems'])} numbers"
        return f"list of {_kind(field['items'], pages)}"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "mapping",
    }
    return words[field["type"]]


def _default(field: Mapping[str, Any], is_required: bool) -> str:
    """Return what stands for a field that is left out."""
    if is_required:
        return "required"
    value = field.get("default", _NO_DEFAULT)
    if value is _NO_DEFAULT or value in (None, [], {}, "") or isinstance(value, dict):
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('"', "")
