"""`posebench cache`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli.examples import epilog_of

app = typer.Typer(help="What posebench keeps so that nothing is made twice.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option(
        help="A cache elsewhere, or a folder of predictions (eval's --cache); by default the "
        "user's cache.",
        show_default=False,
    ),
]


@app.command("info", epilog=epilog_of("cache info"))
def info_command(
    folder: Folder = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where the cache is, and what each kind of entry takes."""
    from posebench.files.cache_contents import cache_contents, users_cache
    from posebench.reporting.tables.cache_listing import print_contents, print_contents_json

    contents = cache_contents(folder or users_cache())
    if json:
        print_contents_json(contents)
    else:
        print_contents(contents)


@app.command("prune", epilog=epilog_of("cache prune"))
def prune_command(
    max_size: Annotated[
        str | None,
        typer.Option(help="Remove the least recently used until it fits: 5GB, 500MB, 2GiB."),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Remove only what was not used for this long: 12h, 30d, 2w.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only entries of this kind; repeat for more kinds. Pulled checkpoints are "
            "removed only if named. posebench cache info lists kinds."
        ),
    ] = None,
    folder: Folder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed.")
    ] = False,
) -> None:
    """Remove the entries unused for longest, except those that a running process uses."""
    from posebench.cli.choices import one_of
    from posebench.errors import UsageError
    from posebench.files.cache_contents import KINDS, Limits, cache_contents, prune, users_cache
    from posebench.files.quantities import parse_age, parse_size
    from posebench.reporting.tables.cache_listing import print_contents, print_pruned

    if max_size is None and older_than is None:
        raise UsageError(
            "How much is to stay?", hint="Give --max-size 5GB, --older-than 30d, or both."
        )
    limits = Limits(
        None if max_size is None else parse_size(max_size),
        0.0 if older_than is None else parse_age(older_than),
        tuple(one_of(each, tuple(KINDS), "--kind") for each in kind or ()),
    )
    contents = cache_contents(folder or users_cache())
    if not contents.exists:
        print_contents(contents)
        return
    pruned = prune(contents, limits, dry_run=dry_run)
    print_pruned(pruned, contents, limits.size, dry_run=dry_run)
