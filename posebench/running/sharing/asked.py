"""What a run is asked to do of a plan: the cells and probes that fit its pattern, or its shard."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from posebench.errors import UsageError
from posebench.files.hashing import content_key
from posebench.files.records import mapping_from_record
from posebench.results.cell import CheckpointFacts
from posebench.results.shared.deals import Deal
from posebench.results.shared.locks import Shard
from posebench.running.plan import PlannedCell, SuitePlan
from posebench.running.probing.plan import PlannedProbe
from posebench.running.request import RunRequest
from posebench.running.sharing.dealing import deal, training_of
from posebench.running.trained.places import without_places

_Each = TypeVar("_Each", PlannedCell, PlannedProbe)


@dataclass(frozen=True)
class Asked:
    """The cells and probes that are asked for, in the order of the plan.

    Of a shard, `deal` says how they were dealt.
    """

    cells: tuple[PlannedCell, ...]
    probes: tuple[PlannedProbe, ...] = ()
    deal: Deal | None = None

    @property
    def trainings(self) -> frozenset[str]:
        """The names of the trainings whose checkpoints these are of."""
        checkpoints = [cell.checkpoint for cell in self.cells]
        checkpoints += [probe.checkpoint for probe in self.probes]
        return frozenset(name for each in checkpoints if (name := training_of(each)) is not None)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all of them."""
        return frozenset(each.id for each in self.cells) | {each.id for each in self.probes}


def asked_of(request: RunRequest, plan: SuitePlan, probes: Sequence[PlannedProbe] = ()) -> Asked:
    """Return what a request asks for of a plan and of its probes.

    Raises `UsageError` if `--only` fits no cell and no probe.
    """
    cells = [cell for cell in plan.cells if _fits(request, cell.id)]
    probes = [probe for probe in probes if _fits(request, probe.id)]
    if not cells and plan.cells and not probes:
        raise UsageError(
            f"--only {request.only} fits none of the suite's {len(plan.cells)} cells.",
            hint=f"A cell's id looks like {plan.cells[0].id}; --dry-run lists them all.",
        )
    if request.shard is None:
        return Asked(tuple(cells), tuple(probes))
    dealt = deal(cells, request.shard.count, request.crops)
    index = request.shard.index - 1
    own = _probes_of(index, dealt, probes)
    return Asked(
        tuple(_as_trained(request, cell) for cell in dealt[index]),
        tuple(_as_trained(request, probe) for probe in own),
        _noted(request, request.shard, dealt, probes),
    )


def _noted(
    request: RunRequest,
    shard: Shard,
    dealt: Sequence[Sequence[PlannedCell]],
    probes: Sequence[PlannedProbe],
) -> Deal:
    suite = mapping_from_record(without_places(request.suite))
    asked = {"suite": suite, "only": request.only, "limit": request.limit}
    parts = {
        "cells": [[cell.id for cell in part] for part in dealt],
        "probes": [probe.id for probe in probes],
    }
    return Deal(shard.index, shard.count, content_key(asked), content_key(parts))


def _fits(request: RunRequest, name: str) -> bool:
    return request.only is None or fnmatch.fnmatch(name, request.only)


def _probes_of(
    index: int, dealt: Sequence[Sequence[PlannedCell]], probes: Sequence[PlannedProbe]
) -> list[PlannedProbe]:
    """Return the probes of a shard: those of checkpoints whose first cell it has.

    Checkpoints without cells are dealt in turn.
    """
    owners: dict[str, int] = {}
    for part, cells in enumerate(dealt):
        for cell in cells:
            owners.setdefault(_name(cell), part)
    for probe in probes:
        owners.setdefault(_name(probe), len(owners) % len(dealt))
    return [probe for probe in probes if owners[_name(probe)] == index]


def _name(each: PlannedCell | PlannedProbe) -> str:
    return training_of(each.checkpoint) or each.checkpoint.source.name


def _as_trained(request: RunRequest, each: _Each) -> _Each:
    """Return a cell or probe, with the reason if its checkpoint was not trained."""
    problem = request.untrained.get(training_of(each.checkpoint) or "")
    if problem is None:
        return each
    facts = CheckpointFacts(name=each.checkpoint.source.name)
    status, reason = problem
    if isinstance(each, PlannedCell):
        cell = replace(each.result, checkpoint=facts, status=status, reason=reason)
        return replace(each, result=cell, report=None)
    probe = replace(each.result, checkpoint=facts, status=status, reason=reason)
    return replace(each, result=probe)
