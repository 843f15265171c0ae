"""Published figures as cells that claims can contrast. Nothing here was measured. No torch."""

from __future__ import annotations

from posebench.judging.pairs.cells import ClaimCell
from posebench.zoo.published import PublishedCheckpoint, PublishedResult, published_checkpoints

_FRACTIONS = ("AP", "AP50", "AP75", "AR", "AR50")


def published_cells() -> tuple[ClaimCell, ...]:
    """Return a cell for each published result with its protocol, metrics as fractions 0-1.

    A result that several tables state alike is one cell.
    """
    cells: dict[str, ClaimCell] = {}
    for entry in published_checkpoints():
        for result in entry.results:
            cell = _claim_cell(entry, result)
            cells.setdefault(cell.id, cell)
    return tuple(cells.values())


def _claim_cell(entry: PublishedCheckpoint, result: PublishedResult) -> ClaimCell:
    decoder = result.decoder or entry.decoding
    flip = None if result.flip_test is None else ("yes" if result.flip_test else "no")
    texts = {
        "checkpoint": entry.id,
        "publisher": entry.publisher,
        "paradigm": entry.paradigm,
        "family": entry.family,
        "backbone": entry.backbone,
        "train_set": entry.trained_on,
        "dataset": result.dataset,
        "split": result.split,
        "boxes": result.boxes,
        "size": str(entry.input_size),
        "flip": flip,
        "decoder": decoder,
        "gflops_convention": entry.gflops_convention,
    }
    values = {
        name: None if name not in result.metrics else result.metrics[name] / 100
        for name in _FRACTIONS
    }
    place = "/".join(str(texts[name]) for name in ("dataset", "split", "boxes", "flip", "decoder"))
    return ClaimCell(
        id=f"{entry.id}@{place}:{values['AP']}",
        checkpoint=entry.id,
        fields={name: text for name, text in texts.items() if text is not None},
        sizes={
            "parameters": entry.parameters_m and entry.parameters_m * 1e6,
            "gflops": entry.gflops,
            "pixels": entry.input_size.height * entry.input_size.width,
        },
        identity={name: texts[name] for name in ("dataset", "split", "boxes", "flip")},
        values=values if values["AP"] is not None else {},
    )
