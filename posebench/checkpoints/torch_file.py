"""Files written by `torch.save`: opened safely, then read as their publisher's state dict."""

from __future__ import annotations

from pathlib import Path

from posebench.checkpoints.averages import STATE_KEYS, choose_weights
from posebench.checkpoints.contents import Contents, Identity
from posebench.checkpoints.findings import Finding
from posebench.checkpoints.parsing.reading import TorchFile, open_torch_file, state_dicts_of
from posebench.checkpoints.publishers.publisher import StateFile
from posebench.checkpoints.state_dicts import identify_state, load_state


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Identify a file without reading its tensors."""
    with open_torch_file(path) as file:
        return identify_state(_state_file(path, file, overrides), overrides)


def load(path: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load a file; every tensor is mapped, dropped by a named rule, or an error."""
    with open_torch_file(path) as file:
        return load_state(_state_file(path, file, overrides), overrides, file.tensor)


def _state_file(path: Path, file: TorchFile, overrides: tuple[Finding, ...]) -> StateFile:
    tree = state_dicts_of(file.tree, STATE_KEYS)
    chosen = choose_weights(tree, overrides)
    states = {**tree.tensors, **tree.states}
    return StateFile(
        path.name,
        states[chosen.key],
        tree.meta,
        tree.others,
        dropped=chosen.dropped,
        findings=chosen.findings,
    )
