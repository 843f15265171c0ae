"""What two run directories have in common, but for the time and the machine they were made on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml


def run_contents(run: Path) -> dict[str, Any]:
    """Return every file of a run directory without its times and environments.

    Tables and predictions stand for their bytes.
    """
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if not path.is_file() or any(part.startswith(".") for part in path.parts[-2:]):
            continue
        if name.startswith("jobs/"):  # logs
            continue
        if path.suffix == ".json" and path.parent.name in ("cells", "probes"):
            found[name] = _result(path)
        elif name == "run.yaml":
            record = yaml.safe_load(path.read_text(encoding="utf-8"))
            found[name] = {**record, "environment": None, "threads": None}
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _result(path: Path) -> str:
    plain = json.loads(path.read_text(encoding="utf-8"))
    for name in ("sha256", "environment"):
        plain.pop(name)
    plain.get("result", {}).pop("instances_per_second", None)
    plain.pop("seconds", None)
    return json.dumps(plain)  # in the order of the file
