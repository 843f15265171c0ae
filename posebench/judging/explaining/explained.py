"""What `posebench explain` does: read two sides, measure what differs, and explain. No torch.

Running a network is not for `judging`: whoever asks passes `Switches`, which `running` has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, get_args

from posebench.datasets.coco import PoseDataset
from posebench.errors import PosebenchError, in_one_line
from posebench.judging.explaining.explain import base_of, differing_fields, explain, signs_of
from posebench.judging.explaining.sides import (
    Annotated,
    Side,
    is_of_run,
    of_one_category,
    published_side,
    read_side,
)
from posebench.networks.names import Refinement
from posebench.prediction.predictions import Predictions
from posebench.results.explaining.explanation import Explanation
from posebench.results.explaining.fields import FIELDS, GROUND_TRUTH
from posebench.results.explaining.measured import Measured
from posebench.results.store import Run, StoredCell
from posebench.scoring.evaluate import ScoringOptions, select
from posebench.scoring.files import load_annotated
from posebench.scoring.signs.paired import mean_gap
from posebench.scoring.signs.sign import ReadFile, Sign
from posebench.scoring.statistics.estimates import Resampling
from posebench.suites.suite import BoxesEntry

_MINE, _OTHER = "MINE", "OTHER"
_PADDINGS = (1.0, 1.1, 1.2, 1.25, 1.3, 1.5)
# A switch that leaves less than this share of the distance between two sets of poses made them.
_TELLS = 0.1
_ALL = 0.999


class Board(Protocol):
    """One cell of a run, whose fields can be switched: its data, scoring and predictions."""

    @property
    def dataset(self) -> PoseDataset:
        """The data that the cell was evaluated on."""

    @property
    def scoring(self) -> ScoringOptions:
        """How its predictions were scored."""

    @property
    def predictions(self) -> Predictions:
        """What its network answered."""

    def measure(self, field: str, value: Any) -> Measured:
        """Return the cell with a field of `FIELDS` switched to a value, or why it was not."""


class Switches(Protocol):
    """What measures a run's cells with fields of their protocol switched."""

    def board(self, run: Run, cell: StoredCell) -> Board:
        """Return a cell's data and switches.

        Raises `PosebenchError` if its data or predictions are not there.
        """

    def boxes_file(self, run: Run, cell: StoredCell) -> Path:
        """Return the file of detected boxes that a cell was evaluated with."""


@dataclass(frozen=True)
class ExplainRequest:
    """What to explain: two arguments of `read_side`, and what they are measured with.

    `annotations` are needed for results files; `boxes` is the file of the other's boxes.
    """

    mine: str
    theirs: str
    annotations: Path | None = None
    dataset: str | None = None
    boxes: Path | None = None
    resampling: Resampling = field(default_factory=Resampling)


def explained(request: ExplainRequest, switches: Switches) -> Explanation:
    """Return why the two numbers differ.

    Raises `PosebenchError` if a side cannot be read.
    """
    annotated = _annotated(request, switches)
    mine = read_side(request.mine, annotated, _MINE)
    theirs = read_side(request.theirs, annotated, _OTHER)
    mine, theirs = _fitting_row(mine, theirs), _fitting_row(theirs, mine)
    base = base_of(mine, theirs)
    measured: dict[str, Measured] = {}
    signs: tuple[Sign, ...] = ()
    notes: tuple[str, ...] = ()
    if base is not None and base.run is not None and base.cell is not None:
        try:
            board = switches.board(base.run, base.cell)
        except PosebenchError as error:
            notes = (f"nothing could be switched: {in_one_line(error)}",)
        else:
            measured = _measured(board, mine, theirs, _BoxesOf(switches, request.boxes))
            if annotated is not None and base_of(theirs, mine) is base:
                mine, theirs = (
                    _with_poses(each, board, annotated) if each is base else each
                    for each in (mine, theirs)
                )
                signs = _reproduced(board, *_parted(mine, theirs), annotated)
    if annotated is not None:
        signs = (*signs, *signs_of(mine, theirs, annotated))
    found = explain(mine, theirs, measured, request.resampling, _in_order(signs))
    return replace(found, notes=(*found.notes, *notes))


def _annotated(request: ExplainRequest, switches: Switches) -> Annotated | None:
    """Return the annotations that were named, or else those of a run beside a results file."""
    if request.annotations is not None:
        return of_one_category(load_annotated(request.annotations, request.dataset, None))
    arguments = request.mine, request.theirs
    runs = [each for each in arguments if is_of_run(each)]
    files = [each for each in arguments if each not in runs and Path(each).exists()]
    if not runs or not files:
        return None
    side = read_side(runs[0], None, _MINE)
    assert side.run is not None and side.cell is not None
    return Annotated.of(switches.board(side.run, side.cell).dataset)


def _in_order(signs: tuple[Sign, ...]) -> tuple[Sign, ...]:
    return tuple(sorted(signs, key=lambda sign: sign.rank))


def _fitting_row(side: Side, other: Side) -> Side:
    """Return a published side by the row that is most like the other side."""
    if side.published is None or not other.fields:
        return side
    return published_side(side.published, other.fields)


def _measured(board: Board, mine: Side, theirs: Side, boxes_of: _BoxesOf) -> dict[str, Measured]:
    """Return the base with each differing field switched to the other side's value."""
    is_mine = base_of(mine, theirs) is mine
    found = {}
    for each in differing_fields(mine, theirs):
        value = each.theirs if is_mine else each.mine
        if FIELDS[each.field] == "fixed":
            continue
        if each.field == "boxes":
            value = boxes_of(value, *((theirs, mine) if is_mine else (mine, theirs)))
        found[each.field] = board.measure(each.field, value)
    return found


@dataclass(frozen=True)
class _BoxesOf:
    """Says where a side's boxes are: in the file that was `named`, or in that of its run."""

    switches: Switches
    named: Path | None

    def __call__(self, value: str, side: Side, base: Side) -> BoxesEntry:
        """Return a side's boxes as a suite names them: `gt`, or a file and the filters it went by.

        A side that states no filters has those of the base.
        """
        if value == GROUND_TRUTH:
            return BoxesEntry()
        if self.named is not None:
            value = str(self.named)
        elif side.run is not None and side.cell is not None:
            value = str(self.switches.boxes_file(side.run, side.cell))
        said = side.fields if "min_box_score" in side.fields else base.fields
        return BoxesEntry(
            file=value,
            min_score=said.get("min_box_score") or 0.0,
            nms_threshold=said.get("box_nms"),
            max_per_image=said.get("max_boxes"),
        )


def _parted(mine: Side, theirs: Side) -> tuple[Side, Side]:
    """Return the side of a run, and the other one."""
    return (mine, theirs) if mine.cell is not None else (theirs, mine)


def _with_poses(side: Side, board: Board, annotated: Annotated) -> Side:
    """Return a run's side with the poses that were scored, which compare with those of a file."""
    file = _as_file(side.facts.name, board.predictions, board.scoring, annotated)
    return replace(side, file=file)


def _as_file(
    name: str, predictions: Predictions, scoring: ScoringOptions, annotated: Annotated
) -> ReadFile:
    return ReadFile(name, select(annotated.dataset, predictions, scoring).columns())


def _reproduced(board: Board, own: Side, other: Side, annotated: Annotated) -> tuple[Sign, ...]:
    """Return the switches of a run's network that make the poses of the other's file.

    Each that the network, or a kept answer of it, can say is tried until one makes them all.
    """
    if other.file is None or own.file is None:
        return ()
    wanted = other.file.columns.detections
    before = mean_gap(own.file.columns.detections, wanted)
    if before == 0:
        return ()
    found = []
    for name, value in _variants(own):
        made = board.measure(name, value)
        if made.predictions is None:
            continue
        file = _as_file(name, made.predictions, board.scoring, annotated)
        explains = 1 - mean_gap(file.columns.detections, wanted) / before
        if explains > _TELLS:
            does = "makes these poses" if explains > 1 - _TELLS else "comes closer to them"
            text = f"the network of {own.facts.name} with {name} {_word(value)} {does}"
            found.append(Sign(name, text, explains, made.ap))
        if explains > _ALL:
            break
    return tuple(found)


def _variants(side: Side) -> Iterator[tuple[str, Any]]:
    """Yield the switches that people forget or set otherwise, without those that are set."""
    fields = side.fields
    yield "flip_test", not fields["flip_test"]
    yield "crop", "classic" if fields["crop"] == "udp" else "udp"
    yield "channels", "bgr" if fields["channels"] == "rgb" else "rgb"
    yield from (("padding", each) for each in _PADDINGS if each != fields["padding"])
    yield from (("decoder", each) for each in get_args(Refinement) if each != fields["decoder"])


def _word(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
