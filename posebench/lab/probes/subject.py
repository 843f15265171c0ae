"""What a probe looks at: a network's features and learned vectors, an untrained twin, people.

An exported graph has its last layer alone, where that can be found, and no twin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.last_layer import ReadLayers, open_layers
from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.people import People
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import Codec, SimccCodec
from posebench.networks.features import (
    TOKENS,
    AnswerVectors,
    Features,
    LearnedVectors,
    find_answer_layers,
    heatmap_vectors,
)
from posebench.networks.model import Network, PoseModel, build_model
from posebench.networks.spec import ModelSpec
from posebench.results.probes import Arm

ReadFeatures = Callable[[Tensor], Features]
# People whose crops set the statistics of a twin's BatchNorms.
_TWIN_CROPS = 64


@dataclass(frozen=True, eq=False)
class Look:
    """How one network is looked at: its answers, its features and the vectors that it learned.

    `vectors` is None, and features have no tokens, if the layer of its answers cannot be found.
    """

    answer: Callable[[Tensor], tuple[Tensor, ...]]
    features: ReadFeatures
    vectors: AnswerVectors | None

    def learned(self) -> AnswerVectors:
        """Return the learned vectors.

        Raises `UnsupportedProbeError` if they cannot be found.
        """
        if self.vectors is None:
            raise UnsupportedProbeError("The layer whose rows are its answers cannot be found.")
        return self.vectors


@dataclass(frozen=True, eq=False)
class Subject:
    """A network under probes: as it is, its untrained twin if it can have one, and people."""

    spec: ModelSpec
    trained: Look
    people: People
    twin: Look | None = None

    def arms(self) -> list[tuple[Arm, Look]]:
        """Return the network and, if there is one, its twin."""
        twins: list[tuple[Arm, Look]] = [] if self.twin is None else [("untrained", self.twin)]
        return [("trained", self.trained), *twins]

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of a network without a twin."""
        return () if self.twin else ("an exported graph does not tell how to build a twin",)


def check_even_bins(codec: Codec) -> None:
    """Raise `UnsupportedProbeError` for bins whose number tells no distance."""
    if isinstance(codec, SimccCodec) and codec.positions is not None:
        raise UnsupportedProbeError(
            "Its bins lie at quantiles: how many of them apart two are tells no distance."
        )


def open_subject(network: Network, people: People, seed: int) -> Subject:
    """Return what probes look at in a network."""
    if isinstance(network, PoseModel):
        twin = look_at(untrained_twin(network.spec, seed, people.crops))
        return Subject(network.spec, look_at(network.eval()), people, twin)
    read = open_layers(network) if isinstance(network, ExportedNetwork) else None
    if not isinstance(network, ExportedNetwork) or read is None:
        blind = Look(network, lambda x: Features({}, None, network(x)), None)
        return Subject(network.spec, blind, people)
    vectors = _exported_vectors(network.spec, read)
    return Subject(network.spec, Look(network, _exported_features(read), vectors), people)


def look_at(model: PoseModel) -> Look:
    """Return how a network that runs in torch is looked at."""
    found = None if find_answer_layers(model) is None else model.answer_vectors()
    return Look(model, model.features, found)


def untrained_twin(spec: ModelSpec, seed: int, crops: Tensor) -> PoseModel:
    """Return the same architecture with initial weights from `seed`.

    Its BatchNorms have the statistics of the first crops, as if it had seen data without learning.
    """
    model = build_model(spec)
    initialise(model, seed)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    model.train()
    with torch.no_grad():
        model(crops[:_TWIN_CROPS])
    return model.eval()


def _exported_features(read: ReadLayers) -> ReadFeatures:
    def features(x: Tensor) -> Features:
        layers = read(x.numpy())
        inputs = torch.from_numpy(layers[0].inputs).float()
        outputs = tuple(torch.from_numpy(layer.output).float() for layer in layers)
        if len(outputs) == 1:
            return Features({TOKENS: inputs}, None, outputs)
        return Features({}, inputs, outputs)

    return features


def _exported_vectors(spec: ModelSpec, read: ReadLayers) -> AnswerVectors:
    size = spec.input_size
    layers = read(np.zeros((1, 3, size.height, size.width), np.float32))
    weights = [torch.tensor(layer.weight).float() for layer in layers]
    biases = [None if each.bias is None else torch.tensor(each.bias).float() for each in layers]
    if len(layers) == 1:
        return AnswerVectors(heatmap_vectors(weights[0], biases[0], spec))
    names = ("simcc_x", "simcc_y")
    return AnswerVectors(None, dict(zip(names, map(LearnedVectors, weights, biases), strict=True)))
