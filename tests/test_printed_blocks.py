"""What pages say that a command prints is what it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from printed_blocks import PrintedBlock, blocks_of, pages_below, printed

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = [
    pytest.param(block, id=f"{page.parent.name}-{page.stem}-{number}")
    for page in pages_below(ROOT)
    for number, block in enumerate(blocks_of(page))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_what_its_command_prints(
    block: PrintedBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert block.text == printed(block.command)


def test_verdicts_in_the_table_of_all_claims_are_those_below_it() -> None:
    page = ROOT / "results" / "lab" / "README.md"
    (block,) = blocks_of(page)
    said = re.findall(r"([A-Z]\d+-[\w-]+): (\w+, [^|<]+?)(?=<br>| \|)", page.read_text("utf-8"))
    lines = [line.split(" | ") for line in block.text.splitlines() if line.startswith("| ")]
    rows = [(cells[1], " | ".join(cells[3:])) for cells in lines]
    assert len(said) > 20
    for name, text in said:
        assert any(name == of and text in row for of, row in rows), name


def test_every_page_of_results_has_its_blocks() -> None:
    with_blocks = {page.parent.name for page in pages_below(ROOT)}
    assert {"quickstart", "resolution", "capacity", "decoders", "crowd", "ci"} <= with_blocks
