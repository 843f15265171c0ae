"""Claims as a user declares them: contrasts between cells, never expressions. No torch.

A claim compares treatment cells with control cells that share what `match_by` lists;
`judging.contrasts` turns it into a weighted sum of the cells' values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from posebench.errors import SpecError, nearest
from posebench.files.records import Place
from posebench.files.yaml_records import record_from_yaml
from posebench.suites.shipped import shipped_folder

Selector = Mapping[str, str | bool | tuple[str | bool, ...]]
"""Field of a cell to the value, or the values, that it may have."""

FIELDS = (
    "checkpoint", "paradigm", "backbone", "trained_size", "dataset", "boxes", "size",
    "relative_size", "policy", "flip", "decoder", "own_decoder", "engine", "precision", "transform",
    "corruption",
    "publisher", "train_set", "family", "split",
    # What probes add: which arm of which probe, and where in the network it was read.
    "probe", "arm", "output", "axis", "around", "of", "layer", "stride", "points", "shots",
)  # fmt: skip
LABEL = "labels."
RUNS = "runs"
EvidenceWord = Literal["measured", "published", "probed"]
"""What a claim is judged on: keys of `judging.EVIDENCE_KINDS`."""
Scope = Literal["these weights", "paradigm"]
"""What a verdict is about: the trainings as they are, or any training of the same kind."""


@dataclass(frozen=True)
class Claim:
    """A hypothesis, what would show it, and what it takes to believe it.

    `metric` is a name of `results.NUMBERS`, such as `AP`, a fraction 0-1, or `runs` (1 where a cell
    can run, 0 where it is unsupported); or the name of a keypoint. The effect is treatment minus
    control, averaged over the pairs that `match_by` makes; without it, pairs share every axis of
    the grid that treatment and control do not fix, and nothing that belongs to a checkpoint. With
    `relative_to` each cell counts as its change from the cell of the same checkpoint that has these
    fields instead; for labels, from the cell of the arm that has them, with the same seed. With
    `trend` the effect is the difference of slopes over log2 of that field, per doubling: `bits` are
    those that a transform leaves, `weights` is the share that pruning leaves. It is supported by an
    effect `greater` than `margin`, `less` than minus `margin`, or `within` the margin to either
    side; the margin is in the metric's own scale, so that 0.01 is a point of AP. `evidence`
    `published` is judged on published figures; `probed` on what probes read off checkpoints, where
    `metric` is a name of `results.PROBE_NUMBERS`. Only scores and what probes sampled can be
    resampled: a claim on a speed has no interval and stays inconclusive.

    `scope` is what the verdict is about: `these weights` resamples images, `paradigm` also training
    seeds, of which it takes three on either side. Without it, it is the paradigm where there are
    three. `factor` names the settings of the recipe, such as `model.head`, that may differ between
    treatment and control; trained cells that differ in anything else are not comparable. Cells of
    one arm that differ by `labels.seed` alone are the seeds, whatever `match_by` lists.
    """

    id: str
    statement: str
    treatment: Selector
    control: Selector
    metric: str = "AP"
    at: Selector = field(default_factory=dict)
    relative_to: Selector | None = None
    match_by: tuple[str, ...] | None = None
    trend: Literal["parameters", "gflops", "pixels", "bits", "weights"] | None = None
    direction: Literal["greater", "less", "within"] = "greater"
    margin: float = 0.0
    evidence: EvidenceWord = "measured"
    scope: Scope | None = None
    factor: str | tuple[str, ...] = ()
    source: str = ""
    caveat: str = ""


@dataclass(frozen=True)
class ClaimFile:
    """A YAML file of claims."""

    claims: tuple[Claim, ...]


def load_claims(path: Path) -> tuple[Claim, ...]:
    """Read a YAML file of claims; raise `SpecError` with the line of what does not fit."""
    record, file = record_from_yaml(ClaimFile, path)
    for place, text, hint in claim_defects(record.claims):
        raise file.misfit(("claims", *place), text, hint)
    return record.claims


def shipped_claims() -> dict[str, Claim]:
    """Return the claims that come with posebench, by id."""
    folder = shipped_folder() / "claims"
    return {
        claim.id: claim for file in sorted(folder.glob("*.yaml")) for claim in load_claims(file)
    }


def find_claims(
    asked: Sequence[str | Claim], folder: Path, factor: str | tuple[str, ...] = ()
) -> tuple[Claim, ...]:
    """Return the claims of a suite: ids of shipped ones, YAML files in `folder`, or claims.

    Those that declare no factor get that of the suite. Raises `SpecError` if there is no such
    claim, or if two have one id.
    """
    shipped, found = shipped_claims(), list[Claim]()
    for each in asked:
        if isinstance(each, Claim):
            found.append(each)
        elif each in shipped:
            found.append(shipped[each])
        elif each.endswith((".yaml", ".yml")):
            found.extend(load_claims(folder / each))
        else:
            raise SpecError(f"There is no claim {each!r}.", hint=nearest(each, shipped))
    twice = _first_twice([claim.id for claim in found])
    if twice is not None:
        raise SpecError(f"The suite has two claims {found[twice].id!r}.", hint="Rename one.")
    return tuple(claim if claim.factor else replace(claim, factor=factor) for claim in found)


def claim_defects(claims: Sequence[str | Claim]) -> Iterator[tuple[Place, str, str | None]]:
    """Yield place, reason and hint of what the schema of claims cannot say.

    Those that are mere names have no such defects.
    """
    own = [(index, claim) for index, claim in enumerate(claims) if isinstance(claim, Claim)]
    for index, claim in own:
        for place, text, hint in _defects(claim):
            yield (index, *place), text, hint
    twice = _first_twice([claim.id for _, claim in own])
    if twice is not None:
        index, claim = own[twice]
        yield (index, "id"), f"the claim {claim.id!r} comes twice.", None


def _first_twice(names: Sequence[str]) -> int | None:
    """Return the position of the first name that was there before, None if all differ."""
    return next((index for index, name in enumerate(names) if name in names[:index]), None)


def _defects(claim: Claim) -> Iterator[tuple[Place, str, str | None]]:
    selectors = {"treatment": claim.treatment, "control": claim.control, "at": claim.at}
    if claim.relative_to is not None:
        selectors["relative_to"] = claim.relative_to
    named = [(part, name) for part, selector in selectors.items() for name in selector]
    named += [("match_by", name) for name in claim.match_by or ()]
    for part, name in named:
        if name not in FIELDS and not name.startswith(LABEL):
            yield (part, name), f"there is no field {name!r}.", nearest(name, FIELDS)
    if claim.treatment == claim.control:
        yield ("control",), "treatment and control select the same cells.", None
    if claim.scope is not None and claim.evidence == "published":
        yield ("scope",), "published figures have no scope: nothing is resampled.", None
    if claim.margin < 0 or (claim.margin == 0 and claim.direction == "within"):
        yield ("margin",), "margin must be above 0, or 0 for a direction.", None
