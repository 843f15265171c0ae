"""The cache as text: what it holds, what was removed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from posebench.files.cache_contents import KINDS, Contents, Pruned
from posebench.files.quantities import shown_size
from posebench.reporting.messages import say
from posebench.reporting.printing import print_fitting
from posebench.reporting.text_tables import terminal_table

_SHOWN = 5


def print_contents(contents: Contents) -> None:
    """Print what a cache holds, by kind, and the entries that posebench does not know."""
    if not contents.exists:
        say(f"There is no cache yet: {contents.folder} is made on first use.")
        return
    print(f"{contents.folder}: {shown_size(contents.size)}")
    rows = [
        (
            kind,
            str(facts["entries"]),
            shown_size(facts["bytes"]),
            _day(facts["oldest_use"]),
            _day(facts["newest_use"]),
        )
        for kind, facts in _kinds(contents).items()
    ]
    print_fitting(terminal_table(("kind", "entries", "size", "oldest use", "newest use"), rows))
    for entry in contents.entries:
        if entry.problem is not None:
            say(f"{entry.path}: {entry.problem}.")
    _print_foreign(contents.foreign)


def print_contents_json(contents: Contents) -> None:
    """Print what a cache holds as JSON; times are UTC."""
    document = {
        "folder": str(contents.folder),
        "exists": contents.exists,
        "bytes": contents.size,
        "kinds": _kinds(contents),
        "problems": {str(e.path): e.problem for e in contents.entries if e.problem},
        "foreign": [str(path) for path in contents.foreign],
    }
    print(json.dumps(document, indent=1))


def print_pruned(pruned: Pruned, contents: Contents, limit: int | None, *, dry_run: bool) -> None:
    """Print what was removed, what stayed and why, and how much is free now."""
    for entry in pruned.removed:
        say(f"{entry.kind}: {entry.path.name} ({shown_size(entry.size)})")
    for entry, reason in pruned.kept:
        say(f"kept {entry.path.name}: {reason}.")
    freed = sum(entry.size for entry in pruned.removed)
    verb = "Would remove" if dry_run else "Removed"
    many = len(pruned.removed)
    print(f"{verb} {many} {'entry' if many == 1 else 'entries'}, {shown_size(freed)}.", end=" ")
    print(f"{shown_size(pruned.left)} are left; {shown_size(pruned.free)} of the disk are free.")
    if limit is not None and pruned.left > limit:
        pinned = sum(e.size for e in contents.entries if KINDS[e.kind].pinned)
        print(f"That is more than {shown_size(limit)}: the rest is in use or too new", end="")
        print(
            f", or among the {shown_size(pinned)} of pulled and trained checkpoints, which only "
            "--kind checkpoints and --kind trained remove."
            if pinned
            else "."
        )


def _kinds(contents: Contents) -> dict[str, dict[str, Any]]:
    """Return number, bytes and times of use by kind, of the kinds that are there."""
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        entries = contents.of(kind)
        if entries:
            times = [entry.used for entry in entries]
            found[kind] = {
                "entries": len(entries),
                "bytes": sum(entry.size for entry in entries),
                "oldest_use": _time(min(times)),
                "newest_use": _time(max(times)),
            }
    return found


def _time(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat(timespec="seconds")


def _day(moment: str) -> str:
    return moment.partition("T")[0]


def _print_foreign(paths: tuple[Path, ...]) -> None:
    if not paths:
        return
    names = ", ".join(path.name for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    say(f"Not posebench's, or links, and never touched: {names}{more}.")
