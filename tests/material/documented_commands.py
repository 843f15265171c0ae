"""Shell commands in Markdown pages, and whether posebench's parser knows their words."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from posebench.cli import app


def commands_in(page: Path) -> list[list[str]]:
    """Return the commands of a page's bash blocks as words, line continuations joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [part for line in words for part in _parts(line) if part]


def _parts(words: list[str]) -> list[list[str]]:
    """Return what `&&` joins."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def unknown_words(command: list[str]) -> list[str]:
    """Return the subcommands and options of a `posebench` command that do not exist."""
    known: Any = typer.main.get_command(app)
    words = command[1:]
    while hasattr(known, "commands") and words and not words[0].startswith("-"):
        if words[0] not in known.commands:
            return words[:1]
        known = known.commands[words.pop(0)]
    options = {option for each in known.params for option in (*each.opts, *each.secondary_opts)}
    options.add("--help")
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [option for option in given if option not in options]
