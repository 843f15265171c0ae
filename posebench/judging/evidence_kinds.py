"""What a claim may be judged on, by the word of `Claim.evidence`. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from posebench.judging.claim_cells import cells_of, replicates_of
from posebench.judging.contrasts import sides_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import Replicates
from posebench.judging.probed import probed_cells, probed_replicates
from posebench.judging.published import published_cells
from posebench.results.store import Run
from posebench.suites.claims import Claim, EvidenceWord


@dataclass(frozen=True)
class EvidenceKind:
    """Where the cells of a claim come from, and the bootstrap replicates of their values.

    `sampled` says whether images were sampled, so that an effect must be told from chance;
    where not, all pairs must agree. `note` is said beside a verdict.
    """

    cells: Callable[[Run], tuple[ClaimCell, ...]]
    replicates: Callable[[Run, Sequence[Claim]], Replicates]
    sampled: bool
    note: str | None = None


def _measured_replicates(run: Run, claims: Sequence[Claim]) -> Replicates:
    """Return the replicates of the cells that claims are about: a run may have many others."""
    cells = cells_of(run)
    used: set[str] = set()
    for claim in claims:
        if claim.relative_to is not None:  # cells besides its two sides
            used.update(cell.id for cell in cells)
        used.update(cell.id for side in sides_of(claim, cells) for cell in side)
    names = [cell.id for cell in cells if cell.id in used]
    return replicates_of(run, names, [claim.metric for claim in claims])


EVIDENCE_KINDS: Mapping[EvidenceWord, EvidenceKind] = MappingProxyType(
    {
        "measured": EvidenceKind(cells_of, _measured_replicates, sampled=True),
        "published": EvidenceKind(
            lambda _: published_cells(), lambda *_: {}, sampled=False, note="published figures"
        ),
        "probed": EvidenceKind(probed_cells, probed_replicates, sampled=True, note="probes"),
    }
)
