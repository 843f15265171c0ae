"""Blocks of Markdown pages that a command printed.

A block stands between `<!-- printed by: COMMAND -->` and `<!-- end -->`; commands run in the
repository. Tables in Markdown stand as they are, everything else in a fence.
`python tests/material/printed_blocks.py PAGE...` prints them anew.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from posebench.cli import app

_BLOCK = re.compile(r"<!-- printed by: (posebench .+?) -->\n(.*?)<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class PrintedBlock:
    """A command, and what a page says that it prints, fence included."""

    command: str
    text: str


def blocks_of(page: Path) -> list[PrintedBlock]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [PrintedBlock(*found.groups()) for found in _BLOCK.finditer(text)]


def printed(command: str) -> str:
    """Return what a command prints where there is no terminal, as a block of a page."""
    words = shlex.split(command)[1:]
    done = CliRunner().invoke(app, words)
    if done.exit_code not in (0, 1) or not done.stdout:
        raise RuntimeError(f"{command} printed no result: {done.output}")
    lines = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
    is_markdown = "md" in words
    return f"\n{lines}\n\n" if is_markdown else f"```\n{lines}\n```\n"


def print_anew(page: Path) -> None:
    """Replace the blocks of a page by what their commands print now."""

    def replaced(found: re.Match[str]) -> str:
        command = found.group(1)
        return f"<!-- printed by: {command} -->\n{printed(command)}<!-- end -->"

    page.write_text(_BLOCK.sub(replaced, page.read_text(encoding="utf-8")), encoding="utf-8")


def pages_below(root: Path) -> Iterator[Path]:
    """Yield the pages with printed blocks."""
    for folder in ("results", "docs"):
        yield from (page for page in sorted((root / folder).rglob("*.md")) if blocks_of(page))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print_anew(Path(name))
