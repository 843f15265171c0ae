"""Try seeds of one kind in a process of its own, saying each before it begins.

`python fuzz_child.py KIND FIRST COUNT FOLDER`; the last line counts what came of them as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections import Counter
from pathlib import Path

# Each kind's module and function: only one of them is loaded, as torch takes seconds.
SUBJECTS = {
    "data": ("fuzz_data", "try_data"),
    "yaml": ("fuzz_yaml", "try_yaml"),
    "checkpoints": ("fuzz_checkpoints", "try_checkpoint"),
    "runs": ("fuzz_runs", "try_run"),
}


def try_seeds(kind: str, first: int, count: int, folder: Path) -> None:
    """Try `count` seeds from `first` on; an exception ends the process with its traceback."""
    module, name = SUBJECTS[kind]
    attempt = getattr(importlib.import_module(module), name)
    counts: Counter[str] = Counter()
    for seed in range(first, first + count):
        print(seed, flush=True)
        counts.update(attempt(folder, seed))
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try_seeds(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
