"""Sentences for the screen: text that they quote from files, names and servers gives no commands.

A terminal obeys escape sequences, and a runner of GitHub Actions obeys every line that begins with
`::`.
"""

from __future__ import annotations

import logging
import sys

# Room for a path and a sentence or two; anything longer is a file's content.
LONGEST_LINE = 1000
_KEPT_END = 200
_WORKFLOW_COMMANDS = ("::", "##[")


def harmless(line: str) -> str:
    r"""Return a line with control characters as Python writes them (`\n`, `\x1b`); tabs stay."""
    text = "".join(
        each if each.isprintable() or each == "\t" else each.encode("unicode_escape").decode()
        for each in line
    )
    begin = text.lstrip()
    if begin.startswith(_WORKFLOW_COMMANDS):
        return f"{text[: len(text) - len(begin)]}\\x{ord(begin[0]):02x}{begin[1:]}"
    return text


def as_line(text: str) -> str:
    """Return a text as one harmless line, cut in the middle if it is very long."""
    line = harmless(text)
    left_out = len(line) - LONGEST_LINE
    if left_out <= 0:
        return line
    begin = line[: LONGEST_LINE - _KEPT_END]
    return f"{begin} … ({left_out} characters) … {line[-_KEPT_END:]}"


def as_lines(text: str) -> str:
    """Return a text with its line feeds, each of its lines made harmless by `as_line`."""
    return "\n".join(map(as_line, text.split("\n")))


def say(text: str, *, err: bool = False) -> None:
    """Print lines to the standard output, or the standard error."""
    stream = sys.stderr if err else sys.stdout
    stream.write(as_lines(text) + "\n")
    stream.flush()


def make_harmless(record: logging.LogRecord) -> bool:
    """Escape what a log line quotes; a filter for handlers, which lets every line pass."""
    record.msg, record.args = as_line(record.getMessage()), ()
    if record.exc_info and not record.exc_text:
        record.exc_text = as_lines(logging.Formatter().formatException(record.exc_info))
    return True
