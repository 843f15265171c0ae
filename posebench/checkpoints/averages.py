"""Choose between a file's two sets of weights: those of the last step and their running average.

The choice is that of the publisher's own framework when it evaluates. mmengine's `EMAHook` swaps
the two when it saves, so MMPose tests `state_dict`, the average (`mmengine/hooks/ema_hook.py`).
timm stores the average separately and evaluates it (`timm/models/_helpers.py`, `use_ema=True`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from posebench.checkpoints.findings import WEIGHTS, Finding
from posebench.checkpoints.parsing.reading import StateTree
from posebench.checkpoints.publishers.publisher import unwrapped
from posebench.errors import CheckpointError, SpecError

AVERAGED, LAST = "averaged", "last"


@dataclass(frozen=True)
class _Pair:
    """Keys of the average and of the last step's weights, and why the average is chosen."""

    averaged: str
    last: str
    why: str


_PAIRS = (
    _Pair("state_dict", "ema_state_dict", "mmengine swaps the two, and MMPose tests the average"),
    _Pair("state_dict_ema", "state_dict", "timm keeps the average apart, and tests it"),
    _Pair("model_ema", "model", "timm keeps the average apart, and tests it"),
)
STATE_KEYS = ("state_dict", "model_state_dict", "model", *("ema_state_dict", "state_dict_ema"),
              "model_ema")  # fmt: skip
_RULES = {
    AVERAGED: "the last step's weights, whose running average is {}",
    LAST: "the running average of the weights, which --spec left out for {}",
}


@dataclass(frozen=True)
class Chosen:
    """The key of the weights to load, why, and the tensors left out, by rule."""

    key: str
    findings: tuple[Finding, ...] = ()
    dropped: tuple[tuple[str, tuple[str, ...]], ...] = ()


def choose_weights(tree: StateTree, overrides: Iterable[Finding]) -> Chosen:
    """Choose the state dict of a file to load; `weights` of `--spec` overrules the default.

    Raises `SpecError` if `weights` is neither of the two words, and `CheckpointError` if the file
    has only one set, or several without a rule for their keys.
    """
    told = [found for found in overrides if found.field == WEIGHTS]
    choice = told[-1].value if told else AVERAGED
    if choice not in (AVERAGED, LAST):
        raise SpecError(
            f"--spec says weights: {str(choice)[:40]}.", hint=f"Valid: {AVERAGED}, {LAST}."
        )
    pair = next((p for p in _PAIRS if {p.averaged, p.last} <= tree.states.keys()), None)
    if pair is None:
        first, *rest = sorted(tree.states, key=("", *STATE_KEYS).index)
        rivals = _rivals(tree, first, rest)
        if not rivals and told:
            raise CheckpointError("The file has only one set of weights, so none can be chosen.")
        if not rivals:
            return Chosen(first, dropped=(("weights beside the ones loaded", tuple(rest)),))
        if len(rivals) > 1 or not told:
            raise _question(first, rivals)
        pair = _Pair(rivals[0], first, "--spec says so")
    key, other = (pair.averaged, pair.last) if choice == AVERAGED else (pair.last, pair.averaged)
    rest = [name for name in tree.states if name not in (key, other)]
    why = told[-1].why if told else f"{key}: {pair.why}; --spec overrules"
    return Chosen(
        key,
        (Finding(WEIGHTS, choice, why),),
        ((_RULES[choice].format(key), (other,)), ("weights beside the ones loaded", tuple(rest))),
    )


def _rivals(tree: StateTree, first: str, rest: Iterable[str]) -> list[str]:
    """Return the keys of tensors that could be other weights of the network than those of `first`.

    Averages may have other names and leave out buffers, but their tensors have the same shapes.
    HRNet's training checkpoints hold the same weights twice.
    """
    wanted = Counter(tensor.shape for tensor in tree.states[first].values())
    others = {key: tree.states[key] for key in rest} | dict(tree.tensors)
    return [
        key
        for key, state in others.items()
        if 2 * len(state) >= wanted.total()
        and Counter(tensor.shape for tensor in state.values()) <= wanted
        and unwrapped(state) != unwrapped(tree.states[first])  # names of the same tensors
    ]


def _question(first: str, rivals: Sequence[str]) -> CheckpointError:
    listing = ", ".join(rivals)
    return CheckpointError(
        f"Beside {first} the file holds weights of the same shapes under {listing}, and does not "
        "say which are to be tested.",
        hint=(
            f"Say with --spec FILE.yaml  weights: averaged  for {listing}, or  weights: last  for "
            f"{first}."
            if len(rivals) == 1
            else "Save the ones that you mean as a file of their own."
        ),
    )
