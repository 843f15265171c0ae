"""The JSON schema of suite files, by which editors complete and check them. No torch."""

from __future__ import annotations

from typing import Any

from posebench.suites.collection import SUITES, Collection
from posebench.suites.suite import Suite


def suite_schema() -> dict[str, Any]:
    """Return the JSON schema of suites, and of collections, which have fewer keys."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Suite).json_schema()
    collection = TypeAdapter(Collection).json_schema()["properties"]
    schema["properties"][SUITES] = collection[SUITES]
    sources = ("checkpoints", "trained", SUITES)
    schema["anyOf"] = [{"required": [name]} for name in sources]
    schema["if"] = {"required": [SUITES]}
    schema["then"] = {"propertyNames": {"enum": list(collection)}}
    for record in (schema, *schema["$defs"].values()):
        record["additionalProperties"] = False
    return schema
