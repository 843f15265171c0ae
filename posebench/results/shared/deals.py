"""How shards of a run were dealt: each notes it beside its lock, and another deal is refused.

Shards of two deals would leave out cells and run others twice, whatever is run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import PosebenchError, UsageError
from posebench.files.json_file import read_json
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.results.shared.copied import copy_files
from posebench.results.shared.locks import Shard

_PREFIX = ".deal-"


@dataclass(frozen=True)
class Deal:
    """What a shard was dealt from: hashes of what was asked for, and of all that each shard gets.

    Deals of one `plan` have to be the same in `dealt`.
    """

    index: int
    count: int
    plan: str
    dealt: str

    @property
    def shard(self) -> Shard:
        """The shard that noted it."""
        return Shard(self.index, self.count)


def deal_file(folder: Path, shard: Shard) -> Path:
    """Return the file in a run directory where a shard notes its deal."""
    return folder / f"{_PREFIX}{shard.index}-of-{shard.count}.json"


def deal_files(folder: Path) -> list[Path]:
    """Return the files in a run directory where shards noted their deals."""
    return sorted(folder.glob(f"{_PREFIX}*.json"))


def is_deal_file(name: str) -> bool:
    """Tell whether a file of this name notes a deal."""
    return name.startswith(_PREFIX)


def keep_deal(folder: Path, deal: Deal) -> None:
    """Note the deal of a shard in a run directory.

    Raises `UsageError` if another shard there was dealt otherwise.
    """
    own = deal_file(folder, deal.shard)
    before = own.read_bytes() if own.is_file() else None
    with naming_what_cannot_be_written(folder):
        # Of shards that start together, at least one sees the note of the other.
        write_json(own, mapping_from_record(deal))
    try:
        others = [each for each in _deals_in(folder) if each.shard != deal.shard]
        _check([(folder, each) for each in (*others, deal)])
    except UsageError:
        if before is None:
            own.unlink()
        else:
            own.write_bytes(before)
        raise


def check_deals(folders: Sequence[Path]) -> None:
    """Raise `UsageError` if shards in these run directories were dealt in different ways."""
    _check([(folder, deal) for folder in folders for deal in _deals_in(folder)])


def copy_deals(folders: Sequence[Path], out: Path) -> None:
    """Copy the notes of run directories to another one, which keeps its own."""
    for folder in folders:
        for deal in _deals_in(folder):
            if not deal_file(out, deal.shard).exists():
                copy_files(folder, out, [deal_file(folder, deal.shard)])


def _deals_in(folder: Path) -> Iterator[Deal]:
    for path in deal_files(folder):
        try:
            value, _ = read_json(path, "note of a shard's deal")
            deal = record_from_mapping(Deal, value, where=path.name)
        except (PosebenchError, TypeError):
            continue  # damaged: its shard notes it again
        if path == deal_file(folder, deal.shard):
            yield deal


def _check(found: Sequence[tuple[Path, Deal]]) -> None:
    first: dict[tuple[int, str], tuple[Path, Deal]] = {}
    for folder, deal in found:
        other, known = first.setdefault((deal.count, deal.plan), (folder, deal))
        if known.dealt == deal.dealt:
            continue
        raise UsageError(
            f"Shard {known.shard} in {other} and shard {deal.shard} in {folder} were dealt in two "
            "ways, so that some cells are in no shard and others in two: the machines plan the "
            "suite differently.",
            hint="Compare `posebench run --dry-run --shard` on both: one may lack an engine or a "
            f"file. Mend that and run the shard again. After a change of files on purpose, delete "
            f"{deal_file(other, known.shard)}.",
        )
