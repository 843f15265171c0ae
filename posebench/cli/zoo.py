"""`posebench zoo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli.examples import epilog_of

app = typer.Typer(help="Published checkpoints: facts, files, hashes.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Id or file name of a published checkpoint.")]


@app.command("ls", epilog=epilog_of("zoo ls"))
def ls_command(
    paradigm: Annotated[str | None, typer.Option(help="heatmap, simcc or regression.")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Backbone, or the beginning of its name: hrnet, resnet50.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set with a published result: coco, crowdpose, mpii.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Trained input size, HxW.")] = None,
    family: Annotated[str | None, typer.Option(help="rtmpose, vitpose, hrnet, ...")] = None,
    publisher: Annotated[str | None, typer.Option(help="mmpose, hrnet, simcc or vitpose.")] = None,
    families: Annotated[
        bool, typer.Option("--families", help="Architectures, and which of them can be loaded.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with everything known.")
    ] = False,
) -> None:
    """List published checkpoints with one published number each."""
    from posebench.networks.sizes import InputSize
    from posebench.reporting.tables.zoo_listing import print_architectures, print_entries
    from posebench.zoo.selection import Selection, architectures, select

    if families:
        print_architectures(architectures(), as_json=json)
        return
    wanted = Selection(
        paradigm, backbone, dataset, InputSize.parse(size) if size else None, family, publisher
    )
    print_entries(select(wanted), dataset, as_json=json)


@app.command("show", epilog=epilog_of("zoo show"))
def show_command(
    name: Id,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show all that is known of a published checkpoint, with the source of every number."""
    from posebench.reporting.messages import say
    from posebench.reporting.tables.zoo_listing import entry_listing, print_json
    from posebench.zoo import find_published
    from posebench.zoo.published import records_of

    entry = find_published(name)
    if json:
        print_json(records_of((entry,))[0])
    else:
        say(entry_listing(entry))


@app.command("pull", epilog=epilog_of("zoo pull"))
def pull_command(
    name: Id,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder to put it in; by default posebench's cache."),
    ] = None,
) -> None:
    """Fetch a published checkpoint and check its hash; a broken transfer goes on."""
    from posebench.reporting.messages import say
    from posebench.reporting.progress import progress_bars
    from posebench.zoo import find_published
    from posebench.zoo.pulling import pull
    from posebench.zoo.transfer import MEGABYTE

    entry = find_published(name)
    with progress_bars("MB") as report:
        pulled = pull(
            entry,
            folder,
            lambda done, total: report(entry.id, done // MEGABYTE, total // MEGABYTE),
        )
    say(str(pulled.path))
    say(f"sha256 {pulled.sha256}")
    say(
        "It is the published file: its hash begins with the publisher's."
        if pulled.checked
        else "The publisher gives no hash to check it by."
    )


@app.command("verify", epilog=epilog_of("zoo verify"))
def verify_command(
    file: Annotated[Path, typer.Argument(help="A checkpoint file from anywhere.")],
) -> None:
    """Tell whether a file is a published one; exit code 1 if it is not."""
    from posebench.reporting.messages import say
    from posebench.zoo.pulling import verify

    verdict = verify(file)
    say(f"{file}\nsha256 {verdict.sha256}\n{verdict.reason}")
    raise typer.Exit(0 if verdict.published else 1)
