"""Files without weights, recognised by their tree: whole pickled networks, optimizers alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from posebench.checkpoints.parsing.rebuilding import Inert, TensorRef
from posebench.checkpoints.refusals import _HINT
from posebench.errors import CheckpointError


def refuse_other_trees(tree: Mapping[Any, Any]) -> None:
    """Raise `CheckpointError` if a file holds a whole pickled network, or an optimizer alone."""
    whole = [value for key, value in tree.items() if isinstance(value, Inert)]
    modules = [each.name for each in whole if re.search(r"\b(nn|models?)\.", each.name)]
    if modules:
        yolo = next((each for each in modules if re.match(r"ultralytics\.|models\.yolo", each)), "")
        what = "A YOLO network (ultralytics), " if yolo else ""
        raise CheckpointError(
            f"{what or 'The file holds '}a whole pickled network ({yolo or modules[0]}), not its"
            " weights.",
            hint=_HINT if yolo else "Save model.state_dict() instead of the model itself.",
        )
    if {"state", "param_groups"} <= set(tree) or (
        any("optim" in str(key) for key in tree) and not any(_holds_weights(tree.values()))
    ):
        raise CheckpointError(
            "The file holds the state of an optimizer, and no weights.",
            hint="Give the checkpoint that the same training wrote beside it.",
        )


def _holds_weights(values: Iterable[Any]) -> Iterable[bool]:
    for value in values:
        items = value.values() if isinstance(value, dict) else (value,)
        yield any(isinstance(item, TensorRef) for item in items)
