"""The facts of an OpenVINO IR that its runtime does not give, and a check before it is opened.

Format: OpenVINO IR v10 and v11, an XML file beside a file of weights. The XML is read piece by
piece; a declaration of a document type, and so of entities, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from posebench.errors import CheckpointError

MAX_XML = 128 * 2**20
MAX_DEPTH = 64
_FLOATING = {"f16", "f32", "f64", "bf16", "FP16", "FP32", "FP64", "BF16"}
_ENCODINGS = ("utf-8", "us-ascii", "ascii")
_DAMAGED = "Download or copy both files again and compare their sizes with the publisher's."


@dataclass
class OpenvinoFacts:
    """`parameters` counts floating-point constants; `framework` made the network."""

    parameters: int = 0
    framework: str = ""
    version: str = ""
    depth: int = field(default=0, repr=False)


def read_openvino_facts(xml: bytes, weights: int, *, where: str) -> OpenvinoFacts:
    """Read the facts of an IR; `weights` is the number of bytes in its file of weights.

    Raises `CheckpointError` if the XML is damaged, unsafe or not OpenVINO's, or if a constant lies
    outside the weights.
    """
    if len(xml) > MAX_XML:
        raise CheckpointError(f"{where} has {len(xml)} bytes of XML, more than any network's.")
    facts = OpenvinoFacts()
    parser = expat.ParserCreate()

    def declaration(*_: object) -> None:
        raise CheckpointError(
            f"{where} declares a document type or entities, which no OpenVINO file does.",
            hint="Nothing was expanded. Get the file from its publisher again.",
        )

    def start(name: str, attributes: dict[str, str]) -> None:
        facts.depth += 1
        if facts.depth > MAX_DEPTH:
            raise CheckpointError(f"{where} is nested too deeply.")
        if facts.depth == 1 and (name != "net" or "version" not in attributes):
            raise CheckpointError(
                f"{where} is XML, but not an OpenVINO network: it begins with <{name[:40]}>."
            )
        if name == "data" and "offset" in attributes:
            _count(facts, attributes, weights, where)
        elif name == "framework":
            facts.framework = attributes.get("value", "")
        elif name in ("MO_version", "Runtime_version"):
            facts.version = attributes.get("value", "")

    def end(_: str) -> None:
        facts.depth -= 1

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = declaration
    parser.XmlDeclHandler = lambda _version, encoding, _alone: _check_encoding(encoding, where)
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise CheckpointError(
            f"{where} is cut off or not an OpenVINO file ({error}).", hint=_DAMAGED
        ) from None
    return facts


def _check_encoding(encoding: str | None, where: str) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise CheckpointError(
            f"{where} is written in {encoding[:40]!r}, which no OpenVINO file is.",
            hint="Nothing was read. Get the file from its publisher again.",
        )


def _count(facts: OpenvinoFacts, data: Mapping[str, str], weights: int, where: str) -> None:
    """Add a constant's values.

    Raises `CheckpointError` if its bytes are missing.
    """
    try:
        begin, size = int(data["offset"]), int(data["size"])
        shape = [int(side) for side in data.get("shape", "").split(",") if side.strip()]
    except (KeyError, ValueError):
        raise CheckpointError(f"{where} has a constant without a place.", hint=_DAMAGED) from None
    if begin < 0 or size < 0 or begin + size > weights:
        raise CheckpointError(
            f"{where} names weights up to byte {begin + size}, its .bin file has {weights}.",
            hint=_DAMAGED,
        )
    if data.get("element_type") in _FLOATING:
        facts.parameters += math.prod(shape)
