"""A run as `model-index` in the metadata of a Hugging Face model card.

The fields are those of huggingface_hub's `EvalResult` and the Hub's `modelcard.md`.
"""

from __future__ import annotations

from typing import Any

from posebench.files.writing import naming_what_cannot_be_written, write_text
from posebench.reporting.exports.cells import (
    ExportedRun,
    file_word,
    protocol_words,
    settings_of,
    split_of,
)
from posebench.results.numbers import bounds_of, number_named
from posebench.results.store import Run, StoredCell

_TASK = {"type": "keypoint-detection", "name": "Keypoint Detection"}


def write(exported: ExportedRun) -> list[str]:
    """Write the front matter of a card for each checkpoint; return the files' names.

    Raises `DataError` if one cannot be written.
    """
    import yaml

    folder, models = exported.folder(), dict[str, list[dict[str, Any]]]()
    for cell in exported.cells:
        results = models.setdefault(cell.result.checkpoint.name, [])
        results.append(_result(exported.run, cell))
    lines = []
    for name, results in models.items():
        path = folder / f"{file_word(name)}.md"
        index = [{"name": name, "results": results}]
        card = {"pipeline_tag": _TASK["type"], "model-index": index}
        text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
        with naming_what_cannot_be_written(path):
            write_text(path, f"---\n{text}---\n")
        lines.append(f"{path}: {len(results)} results")
    return lines


def _result(run: Run, cell: StoredCell) -> dict[str, Any]:
    """Return a cell as an entry of `results`; scores are in points."""
    protocol, split = cell.result.protocol, split_of(run, cell)
    dataset = {
        "type": file_word(protocol.dataset).lower(),
        "name": f"{protocol.dataset}, {protocol.images} images",
        **({} if split is None else {"split": split}),
        "args": {key: value for key, value in settings_of(cell).items() if value is not None},
    }
    return {"task": dict(_TASK), "dataset": dataset, "metrics": _metrics(cell)}


def _metrics(cell: StoredCell) -> list[dict[str, Any]]:
    found = []
    for name, value in (cell.result.metrics or {}).items():
        if value is None:
            continue
        unit = number_named(name).unit
        metric = {
            "type": name,
            "value": round(unit.scale * value, 2),
            "name": f"{name} in {unit.word} ({protocol_words(cell)})",
        }
        bounds = bounds_of(cell.result, name)
        if bounds is not None:
            low, high = (round(unit.scale * end, 2) for end in bounds)
            metric["args"] = {"interval": "95 %", "low": low, "high": high}
        found.append(metric)
    return found
