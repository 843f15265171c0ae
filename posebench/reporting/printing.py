"""Print to the screen or a file: without a terminal to fit, tables keep whole lines."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from posebench.files.writing import naming_what_cannot_be_written, write_text
from posebench.reporting.messages import as_lines

WIDE = 240


def screen_width() -> int | None:
    """Return the width that output must fit, None in a file or pipe, where lines stay whole."""
    console = Console()
    return console.width if console.is_terminal or "COLUMNS" in os.environ else None


def print_fitting(renderable: RenderableType) -> None:
    """Print at the terminal's width; in a file or pipe every line stays whole.

    A string is text, with no markup in it.
    """
    if isinstance(renderable, str):
        renderable = Text(as_lines(renderable))
    width = screen_width()
    whole = width or _whole_width(renderable)
    Console(width=whole, soft_wrap=width is None).print(renderable)


def text_of(renderable: RenderableType) -> str:
    """Return what a renderable looks like in a file."""
    stream = io.StringIO()
    Console(file=stream, width=_whole_width(renderable), soft_wrap=True).print(renderable)
    return stream.getvalue()


def _whole_width(renderable: RenderableType) -> int:
    """Return the width at which a renderable folds nothing."""
    return max(WIDE, Console(width=100_000).measure(renderable).maximum)


def write_out(path: Path, text: str) -> None:
    """Write a file that was asked for.

    Raises `DataError` if that is not possible.
    """
    with naming_what_cannot_be_written(path):
        write_text(path, text)
