"""Backbone, neck and head of a state dict, from the names and shapes of its tensors alone.

Names are those of MMPose 1.3.2 (`mmpose/models/backbones`, `necks` and `heads`). The file of each
family says what distinguishes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.refusals import nearest_family
from posebench.datasets.keypoints import SETS_BY_NUMBER
from posebench.errors import CheckpointError, SpecError
from posebench.files.records import mapping_from_record
from posebench.networks.backbones import BACKBONES, recognise_backbone
from posebench.networks.codecs.offset_maps import CHANNELS as OFFSET_CHANNELS
from posebench.networks.heads import HEADS, HeadFamily, head_family, recognise_head
from posebench.networks.heads.trained_size import find_trained_size
from posebench.networks.names import Paradigm
from posebench.networks.necks import recognise_neck
from posebench.networks.shapes import Guess, below
from posebench.networks.spec import HeadSpec

StateShapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor of a whole network, by its name."""


def find_architecture(shapes: StateShapes) -> tuple[Finding, ...]:
    """Return findings on backbone, neck and head.

    Raises `CheckpointError` if one of them is unknown.
    """
    of_backbone = below(shapes, "backbone.")
    try:
        backbone = recognise_backbone(of_backbone)
        head = recognise_head(below(shapes, "head."), backbone)
    except (ValueError, IndexError, ZeroDivisionError):
        raise CheckpointError("The tensors of this file have shapes that no network has.") from None
    if backbone is None or head is None:
        what = "backbone" if backbone is None else "head"
        raise CheckpointError(
            f"The {what} of this file cannot be loaded{nearest_family(shapes)}."
            f" Its first tensors: {', '.join(list(shapes)[:3])}.",
            hint=f"Backbones that can be: {', '.join(BACKBONES)}, with heads of the kinds"
            f" {', '.join(HEADS)} as MMPose names them. Anything else runs as ONNX.",
        )
    neck = recognise_neck(below(shapes, "neck."))
    found = {
        "backbone": mapping_from_record(backbone),
        "head": {"kind": head.kind, **head.options},
        "neck": None if neck is None else mapping_from_record(neck),
    }
    guess = BACKBONES[backbone.family].guess
    return (
        *findings_of(found, "names and shapes"),
        *(() if guess is None else _guessed(guess(of_backbone))),
    )


def keypoint_count(shapes: StateShapes, decoder: str | None) -> int:
    """Return K: the head's keypoint channels, divided by three for UDP-regress.

    If no `decoder` is known, a number of channels that is three times a built-in set's keypoints,
    and is not itself such a set's number, is taken for UDP-regress. Raises `CheckpointError` if K
    cannot be known.
    """
    of_head, family = below(shapes, "head."), _family_of(shapes)
    try:
        channels = 0 if family is None else family.channels(of_head)
    except (KeyError, IndexError):
        channels = 0
    if family is None or channels < 1:
        raise CheckpointError("The head of this file has no final layer, so K cannot be known.")
    if decoder is None and family.codec.paradigm == "heatmap":
        counts = {len(known) for known in SETS_BY_NUMBER.values()}
        regresses = channels not in counts and channels in {OFFSET_CHANNELS * n for n in counts}
    else:
        regresses = decoder == "udp-regress"
    if regresses and channels % OFFSET_CHANNELS:
        raise CheckpointError(f"{channels} output channels are not three for each keypoint.")
    return channels // OFFSET_CHANNELS if regresses else channels


def paradigm_of(shapes: StateShapes) -> Paradigm | None:
    """Return the paradigm of the head, or None if the head is unknown."""
    family = _family_of(shapes)
    return None if family is None else family.codec.paradigm


def trained_size(
    shapes: StateShapes, head: HeadSpec, stride: int, known_ratio: float | None
) -> tuple[Finding, ...]:
    """Return findings on the trained size, split ratio and options that a head's layers reveal.

    `known_ratio` is the config's split ratio, if any.
    """
    found = find_trained_size(below(shapes, "head."), head, stride, known_ratio)
    if found is None:
        return ()
    return (
        Finding("input_size", str(found.size), found.why),
        Finding("codec.split_ratio", found.split_ratio, found.why),
        *findings_of(found.options, found.why, "head."),
    )


def _guessed(guess: Guess) -> tuple[Finding, ...]:
    return (
        *findings_of(guess.options, guess.why, "backbone.options."),
        Finding("input_size", str(guess.input_size), guess.why),
    )


def _family_of(shapes: StateShapes) -> HeadFamily | None:
    """Return the family of the head, or None if the head is unknown."""
    try:
        head = recognise_head(below(shapes, "head."))
    except (ValueError, IndexError, ZeroDivisionError, SpecError):
        return None
    return None if head is None else head_family(head.kind)
