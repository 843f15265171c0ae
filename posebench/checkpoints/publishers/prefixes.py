"""Strip from tensors' names the prefixes of wrappers: torch.compile, Lightning and others."""

from __future__ import annotations

from collections.abc import Mapping

from posebench.checkpoints.publishers.publisher import Stored
from posebench.errors import CheckpointError

# Parts of a network that may hold all of a file's tensors, and therefore are not wrappers.
_PARTS = frozenset({"backbone", "head", "neck", "keypoint_head", "encoder", "decoder"})
# Inserted into a name wherever a module was wrapped.
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


def without_wrappers(state: Mapping[str, Stored]) -> tuple[dict[str, Stored], str]:
    """Return tensors under names without wrappers' parts, and the parts removed ("" for none).

    Removed are the parts that torch inserts, and the first part of the names as long as all share
    it. Raises `CheckpointError` if two names become one.
    """
    parts = {name: name.split(".") for name in state}
    plain = {name: [part for part in each if part not in _WRAPPERS] for name, each in parts.items()}
    gone = sorted({part for each in parts.values() for part in each if part in _WRAPPERS})
    while len(plain) > 1:
        first = {each[0] for each in plain.values() if len(each) > 1}
        if len(first) != 1 or any(len(each) < 2 for each in plain.values()) or first & _PARTS:
            break
        gone.append(first.pop())
        plain = {name: each[1:] for name, each in plain.items()}
    renamed = {".".join(plain[name]): tensor for name, tensor in state.items()}
    if len(renamed) != len(state):
        raise CheckpointError(
            f"Without {', '.join(gone)} two tensors of this file have one name.",
            hint="Save the state_dict() of the network itself.",
        )
    return renamed, ", ".join(f"{part}." for part in gone)
