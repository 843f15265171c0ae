"""The versions, machine and date behind a number."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from posebench.__version__ import __version__


def environment() -> dict[str, Any]:
    """Return the versions, machine and date that a reader needs to repeat a number."""
    packages = ("torch", "numpy", "opencv-python-headless", "pycocotools", "xtcocotools")
    runtimes = ("onnxruntime", "openvino")
    return {
        "posebench": __version__,
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in (*packages, *runtimes)},
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def flat_environment(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return what `environment` returned, nested, under names such as `packages: torch`."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            flat |= flat_environment(value, f"{prefix}{name}: ")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


@cache
def package_version(package: str) -> str | None:
    """Return an installed distribution's version, or `None`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
