"""A network's ONNX graph for one input size, made once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import logging
import threading
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import nn

from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.errors import MissingExtraError, UnsupportedExecutionError, first_line
from posebench.files.cache import cache_directory, mark_used
from posebench.files.environment import package_version
from posebench.files.hashing import code_sha256, content_key
from posebench.files.records import mapping_from_record
from posebench.files.writing import put_when_written
from posebench.networks.model import Network
from posebench.networks.sizes import InputSize
from posebench.prediction.engines.probing import noise_crops, relative_gap

_log = logging.getLogger(__name__)

INPUT = "crops"
# How far the outputs of an fp32 export may lie from its network's, relative to the largest one.
EXPORT_TOLERANCE = 1e-3
_OPSET = 17
_DIGEST = hashlib.sha256().digest_size
# torch's exporter keeps its settings in globals.
_EXPORTING = threading.Lock()


def onnx_graph(network: Network, size: InputSize) -> bytes:
    """Return the ONNX graph of a network that takes any number of crops of `size`.

    Its input is `INPUT`; its outputs come in the network's order. Raises
    `UnsupportedExecutionError` if the network cannot be exported.
    """
    if not isinstance(network, nn.Module):
        raise UnsupportedExecutionError(
            "Its weights are out of reach, so it cannot be exported to another engine.",
            hint="Leave --engine out to run the file in its own runtime.",
        )
    require("onnx", extra="onnx")
    libraries = {name: package_version(name) for name in ("torch", "onnx")}
    identity = {
        "code_sha256": code_sha256(),
        "libraries": libraries,
        "opset": _OPSET,
        "size": str(size),
        "spec": mapping_from_record(network.spec),
        "structure": str(network),
        "weights_sha256": _weights_sha256(network),
    }
    return cached_graph(identity, lambda: _export(network, size))


def cached_graph(identity: Mapping[str, object], make: Callable[[], bytes]) -> bytes:
    """Return the graph that `identity` names, made anew if the cache lacks it or it is damaged."""
    try:
        path = cache_directory() / "exports" / f"{content_key(identity)}.onnx.sha256"
        kept = path.read_bytes() if path.is_file() else b""
    except (OSError, RuntimeError):  # the latter where the user has no home folder
        return make()
    digest, graph = kept[:_DIGEST], kept[_DIGEST:]
    if kept and hashlib.sha256(graph).digest() == digest:
        mark_used(path)
        return graph
    if kept:
        _log.warning("The export in %s is damaged. It is made again.", path)
    graph = make()
    try:
        with put_when_written(path) as temporary:
            temporary.write_bytes(hashlib.sha256(graph).digest() + graph)
    except OSError as error:
        _log.warning("The export is not kept: %s cannot be written (%s).", path, error.strerror)
    return graph


def require(*modules: str, extra: str) -> None:
    """Check that all these modules are installed.

    Raises `MissingExtraError` if one is not, and names the first.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError.of("This engine", module, extra)


def check_answers(
    network: Network,
    exported: ExportedNetwork,
    size: InputSize,
    tolerance: float,
    *,
    crops: int = 3,
) -> None:
    """Check that an export answers as its network does, for a number of noise crops.

    `tolerance` is how far outputs may lie apart, relative to the largest one. Raises
    `UnsupportedExecutionError` if they lie farther apart.
    """
    # By default three crops: the graph was traced with two.
    noise = noise_crops(crops, size)
    with torch.inference_mode():
        wanted, outputs = network(noise), exported(noise)
    if [each.shape for each in wanted] != [each.shape for each in outputs]:
        raise UnsupportedExecutionError(
            "The export's outputs have other shapes than its network's."
        )
    gap = relative_gap(wanted, outputs)
    if not gap <= tolerance:
        raise UnsupportedExecutionError(
            f"The export's outputs differ from its network's by {gap:.1e} of the largest."
        )


def _weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 of all tensors of a network, including those it does not save."""
    digest = hashlib.sha256()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _export(network: nn.Module, size: InputSize) -> bytes:
    crops, stream = torch.zeros(2, 3, size.height, size.width), io.BytesIO()
    with _EXPORTING, torch.inference_mode(), warnings.catch_warnings():
        # Height and width are fixed, so that decisions made by them may become part of the graph.
        warnings.simplefilter("ignore")
        names = [f"output{index}" for index in range(len(network(crops)))]
        try:
            # The exporter built on torch.export takes 6 to 60 times as long for graphs that run no
            # faster, and needs one more library.
            torch.onnx.export(
                network,
                (crops,),
                stream,  # type: ignore[arg-type]
                dynamo=False,
                input_names=[INPUT],
                output_names=names,
                dynamic_axes={name: {0: "N"} for name in (INPUT, *names)},
                opset_version=_OPSET,
            )
        except Exception as error:  # what cannot be exported raises errors of many kinds
            raise UnsupportedExecutionError(
                f"The network cannot be exported to ONNX: {first_line(error)}"
            ) from error
    return stream.getvalue()
