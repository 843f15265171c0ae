"""Facts on published checkpoints, as their publishers' tables and configs state them.

`published.json` has one line per file; every number names the table and line it was read from
(`sources`, in the repositories and at the commits listed at the top). Where a source contradicts
itself or its own files, the entry holds the value that proved right, and a caveat says so.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from posebench.errors import SpecError, ZooError
from posebench.networks.names import Paradigm
from posebench.networks.sizes import InputSize

SCHEMA_VERSION = 1
DATA_FILE = "published.json"
WEIGHTS_SUFFIX = ".pth"


@dataclass(frozen=True)
class CodecFacts:
    """The codec that a file was published with; a field is None if no source gives it."""

    kind: Paradigm
    decoder: str | None = None
    sigma: float | tuple[float, float] | None = None
    blur_kernel: int | None = None
    split_ratio: float | None = None
    normalize: bool | None = None


@dataclass(frozen=True)
class CropFacts:
    """How the publisher cuts and normalises a crop."""

    udp: bool
    padding: float
    channels: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class FlipFacts:
    """The flip test that the publisher's config runs."""

    test: bool | None = None
    shift_heatmap: bool | None = None
    shift_coords: bool | None = None


@dataclass(frozen=True)
class PublishedResult:
    """One published measurement, in points, and the protocol behind it.

    `boxes` and `flip_test` are None if no source gives them; `decoder` and `udp` are None unless
    they differ from the file's own. `sources` are `publisher:file:line`.
    """

    dataset: str
    split: str
    metrics: Mapping[str, float]
    sources: tuple[str, ...]
    boxes: str | None = None
    flip_test: bool | None = None
    decoder: str | None = None
    udp: bool | None = None
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishedCheckpoint:
    """One published file.

    `urls` lead to the file itself. Without them, `page` is where to get it by hand, as
    `published_name` if that is known. Without both, no file is published. `results` start with the
    one on the data that the file is meant for.

    `trained_on` is the data of the last training, which took `epochs`. `initialised_from` is the
    source of its initial weights: the id of another entry, or the data they were trained on, in the
    publisher's words (`imagenet-1k`). `gflops` follow `gflops_convention`: compare them neither
    across conventions nor with the counts of `networks.costs`.
    """

    id: str
    paradigm: Paradigm
    family: str
    architecture: str
    backbone: str
    decoding: str
    input_size: InputSize
    keypoints: str
    keypoint_count: int
    trained_on: str
    codec: CodecFacts
    results: tuple[PublishedResult, ...]
    licence: str | None
    head: str | None = None
    crop: CropFacts | None = None
    flip: FlipFacts | None = None
    urls: tuple[str, ...] = ()
    onnx_url: str | None = None
    page: str | None = None
    published_name: str | None = None
    sha256_prefix: str | None = None
    config: str | None = None
    parameters_m: float | None = None
    gflops: float | None = None
    gflops_convention: str | None = None
    epochs: int | None = None
    initialised_from: str | None = None
    caveats: tuple[str, ...] = ()

    @property
    def publisher(self) -> str:
        """The first part of the id."""
        return self.id.partition("/")[0]

    @property
    def file_name(self) -> str:
        """The file's local name: the published one, unless another file shares it."""
        if self.urls:
            return self.urls[0].rpartition("/")[2]
        return self.id.replace("/", "_") + WEIGHTS_SUFFIX

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets with a published result."""
        return tuple(dict.fromkeys(result.dataset for result in self.results))


@dataclass(frozen=True)
class Match:
    """The entry that a file belongs to, and what identified it: its hash or its name."""

    entry: PublishedCheckpoint
    by: Literal["hash", "file name"]


def plain_entries(document: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the entries of a data file with its shared tables filled in."""
    if document.get("schema") != SCHEMA_VERSION:
        raise SpecError(f"{DATA_FILE} has schema {document.get('schema')}, not {SCHEMA_VERSION}.")
    sources, crops, counts = (document[key] for key in ("sources", "crops", "keypoint_counts"))
    return tuple(
        entry
        | {
            "licence": sources[entry["id"].partition("/")[0]]["licence"],
            "gflops_convention": _convention(sources, entry),
            "keypoint_count": counts[entry["keypoints"]],
            "crop": crops[entry["crop"]] if "crop" in entry else None,
        }
        for entry in document["checkpoints"]
    )


def _convention(sources: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """Return what an entry's publisher counts as FLOPs, or None without a number."""
    own = sources[entry["id"].partition("/")[0]]
    convention: str | None = own["gflops_convention"] if "gflops" in entry else None
    return convention


@functools.cache
def published_checkpoints() -> tuple[PublishedCheckpoint, ...]:
    """Return every entry.

    This takes milliseconds because the data file is not validated here; a test does that.
    """
    return tuple(_entry(plain) for plain in plain_entries(read_document()))


def _entry(plain: dict[str, Any]) -> PublishedCheckpoint:
    values = _with_tuples(plain)
    values["input_size"] = InputSize.parse(plain["input_size"])
    values["codec"] = CodecFacts(**_with_tuples(plain["codec"]))
    values["results"] = tuple(PublishedResult(**_with_tuples(each)) for each in plain["results"])
    if plain["crop"] is not None:
        values["crop"] = CropFacts(**_with_tuples(plain["crop"]))
    if "flip" in plain:
        values["flip"] = FlipFacts(**plain["flip"])
    return PublishedCheckpoint(**values)


def _with_tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}


@functools.cache
def read_document() -> dict[str, Any]:
    """Return the parsed data file."""
    file = importlib.resources.files("posebench.zoo") / DATA_FILE
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def published_sources() -> dict[str, dict[str, str | None]]:
    """Return repository, commit and licence of every publisher."""
    table: dict[str, dict[str, str | None]] = read_document()["sources"]
    return table


def find_published(name: str) -> PublishedCheckpoint:
    """Return the entry with this id or file name.

    The publisher in front of an id may be left out if the rest is unique. Raises `ZooError`, with
    the nearest ids, if no entry has that name.
    """
    import difflib

    entries = published_checkpoints()
    stem = name.removesuffix(WEIGHTS_SUFFIX)
    bare = [entry for entry in entries if entry.id.partition("/")[2] == name]
    for entry in entries:
        if name == entry.id or stem == entry.file_name.removesuffix(WEIGHTS_SUFFIX):
            return entry
    if len(bare) == 1:
        return bare[0]
    ids = [entry.id for entry in entries]
    close = [entry.id for entry in bare] or difflib.get_close_matches(name, ids, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    raise ZooError(
        f"There is no published checkpoint {name!r}.", hint=f"{meant}`posebench zoo ls` lists all."
    )


def facts_for(path: Path, sha256: str) -> Match | None:
    """Return the entry of a file, found by its hash, else by its name without the suffix."""
    entries = published_checkpoints()
    for entry in entries:
        if entry.sha256_prefix is not None and sha256.startswith(entry.sha256_prefix):
            return Match(entry, "hash")
    for entry in entries:
        if path.stem == entry.file_name.removesuffix(WEIGHTS_SUFFIX):
            return Match(entry, "file name")
    return None


def records_of(entries: Sequence[PublishedCheckpoint]) -> list[dict[str, Any]]:
    """Return entries as plain JSON data."""
    from pydantic import TypeAdapter

    adapter = TypeAdapter(list[PublishedCheckpoint])
    plain: list[dict[str, Any]] = adapter.dump_python(list(entries), mode="json")
    return plain
