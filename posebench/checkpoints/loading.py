"""`load_checkpoint`: the bytes of a file to a network, without executing anything in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posebench.checkpoints import huggingface_folder, native, torch_file
from posebench.checkpoints.averages import LAST
from posebench.checkpoints.contents import Contents, Identity
from posebench.checkpoints.findings import WEIGHTS, Finding, findings_of, read_overrides
from posebench.checkpoints.formats import Format, files_of, recognise_format
from posebench.checkpoints.graphs.exported import GRAPH_READERS, identify_graph, load_graph
from posebench.checkpoints.graphs.graphs import GraphFile
from posebench.checkpoints.load_report import LoadReport
from posebench.checkpoints.zoo_facts import ZooFindings, zoo_findings
from posebench.errors import CheckpointError, PosebenchError
from posebench.files.hashing import sha256_of
from posebench.networks.backbones import EXPORTED
from posebench.networks.model import Network
from posebench.networks.spec import ModelSpec, spec_to_mapping
from posebench.zoo.hub import checkpoint_name, hub_name

Evidence = tuple[tuple[str, Any, str], ...]


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    `evidence` lists (field of the spec, value, why); `parameters` counts learned values and is None
    if the file does not tell; `provenance` is what the file says about its making.
    """

    name: str
    path: Path
    sha256: str
    publisher: str
    spec: ModelSpec
    network: Network
    report: LoadReport
    parameters: int | None
    evidence: Evidence
    provenance: Mapping[str, Any]

    @property
    def last_step(self) -> bool:
        """Whether `--spec` chose the last step's weights in a file that also has their average."""
        return any((field, value) == (WEIGHTS, LAST) for field, value, _ in self.evidence)


@dataclass(frozen=True)
class Inspection:
    """What a file says about itself; `problem` says why it cannot be loaded, or is None."""

    name: str
    path: Path
    sha256: str
    publisher: str
    evidence: Evidence
    provenance: Mapping[str, Any]
    checkpoint: Checkpoint | None
    problem: str | None


@dataclass(frozen=True)
class _Adapter:
    """The functions that identify and load files of one format."""

    identify: Callable[[Path, tuple[Finding, ...]], Identity]
    load: Callable[[Path, tuple[Finding, ...]], Contents]


def _graph_adapter(read: Callable[[Path], GraphFile]) -> _Adapter:
    return _Adapter(
        lambda path, overrides: identify_graph(read(path), overrides),
        lambda path, overrides: load_graph(read(path), overrides),
    )


_ADAPTERS: dict[Format, _Adapter] = {
    "torch": _Adapter(torch_file.identify, torch_file.load),
    "safetensors": _Adapter(native.identify, native.load),
    "onnx": _graph_adapter(GRAPH_READERS["onnx"]),
    "openvino": _graph_adapter(GRAPH_READERS["openvino"]),
    "mmdeploy": _graph_adapter(GRAPH_READERS["mmdeploy"]),
    "huggingface": _Adapter(huggingface_folder.identify, huggingface_folder.load),
}


def load_checkpoint(path: Path, spec_file: Path | None = None) -> Checkpoint:
    """Load a checkpoint file or folder; `spec_file` overrules what it says about itself.

    Raises `CheckpointError` if the file cannot be read, recognised or matched tensor by tensor,
    `UnsafeCheckpointError` if it asks for code to be run, and `SpecError` if a spec is bad.
    """
    overrides = read_overrides(spec_file)
    with _naming(path):
        return _load(path, _recognise(path, overrides))


def inspect_checkpoint(path: Path, spec_file: Path | None = None) -> Inspection:
    """Identify a file, with reasons, even if it says too little to be loaded."""
    overrides = read_overrides(spec_file)
    with _naming(path):
        known = _recognise(path, overrides)
        identity = known.adapter.identify(path, known.told)
    checkpoint, problem = None, None
    try:
        with _naming(path):
            checkpoint = _load(path, known)
    except PosebenchError as error:
        problem = str(error)
    return Inspection(
        name=checkpoint_name(path),
        path=path,
        sha256=known.sha256,
        publisher=identity.publisher,
        evidence=checkpoint.evidence if checkpoint else _evidence(identity, known.zoo),
        provenance=identity.provenance,
        checkpoint=checkpoint,
        problem=problem,
    )


@dataclass(frozen=True)
class _Recognised:
    """A file's adapter and hash, and the findings on it from the zoo and then from the user."""

    adapter: _Adapter
    sha256: str
    zoo: ZooFindings
    told: tuple[Finding, ...]


def _recognise(path: Path, overrides: tuple[Finding, ...]) -> _Recognised:
    adapter = _ADAPTERS[recognise_format(path)]
    sha256 = sha256_of(*files_of(path))
    zoo = zoo_findings(path, sha256, lambda: adapter.identify(path, overrides).findings)
    return _Recognised(adapter, sha256, zoo, (*zoo.added, *overrides))


def _load(path: Path, known: _Recognised) -> Checkpoint:
    contents = known.adapter.load(path, known.told)
    identity = contents.identity
    return Checkpoint(
        name=checkpoint_name(path),
        path=path,
        sha256=known.sha256,
        publisher=identity.publisher,
        spec=contents.spec,
        network=contents.network,
        report=contents.report,
        parameters=contents.parameters,
        evidence=(*_evidence(identity, known.zoo), *_defaults(identity, contents.spec)),
        provenance=identity.provenance,
    )


def _evidence(identity: Identity, zoo: ZooFindings) -> Evidence:
    """Return every finding with its reason, and what the zoo says if it differs."""
    others = {fact.field: f"; {fact.why} says {fact.value}" for fact in zoo.contradicted}
    return tuple(
        (found.field, found.value, found.why + others.get(found.field, ""))
        for found in _shown(identity, identity.findings)
    )


def _defaults(identity: Identity, spec: ModelSpec) -> Evidence:
    """Return the fields of a spec that no finding set, with their defaults."""
    found = {finding.field for finding in identity.findings}
    leaves = _shown(identity, findings_of(spec_to_mapping(spec), "default"))
    return tuple((leaf.field, leaf.value, leaf.why) for leaf in leaves if leaf.field not in found)


def _shown(identity: Identity, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Leave out all of a graph's head except its kind: the spec does not know the layers inside."""
    family = next((f.value for f in identity.findings if f.field == "backbone.family"), None)
    if family not in list(EXPORTED):  # a list, as what a file names may be of any type
        return findings
    return tuple(f for f in findings if f.field == "head.kind" or not f.field.startswith("head."))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before an error, and replace characters that could move the cursor."""
    try:
        yield
    except CheckpointError as error:
        message = "".join(c if c.isprintable() or c == "\n" else "?" for c in error.message)
        name = path.name if hub_name(path) is None else checkpoint_name(path)
        named = message if path.name in message else f"{name}: {message}"
        raise type(error)(named, hint=error.hint) from None
