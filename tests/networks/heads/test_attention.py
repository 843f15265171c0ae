"""The attention head against a plain loop over instances, heads, keypoints and pixels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from posebench.errors import SpecError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.heads.attention import Attention, AttentionHead
from posebench.networks.model import PoseModel, build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

BACKBONE = BackboneSpec("resnet", {"depth": 18, "base_channels": 4, "out_stage": 3})
SIZE = InputSize(64, 48)


def small_model(**options: object) -> PoseModel:
    model = build_model(
        ModelSpec(BACKBONE, HeadSpec("heatmap-attention", options), HeatmapCodec(), SIZE)
    )
    initialise(model, 0)
    return model.eval()


def scrambled(head: AttentionHead) -> AttentionHead:
    """Give every parameter values of about 1, so that each one shows in the answer."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return head.double().eval()


def normalised(vector: Tensor, attention: Attention) -> Tensor:
    centred = vector - vector.mean()
    unit = centred / math.sqrt(float((centred**2).mean()) + attention.norm.eps)
    return unit * attention.norm.weight + attention.norm.bias


def looped(
    attention: Attention, vectors: list[Tensor], tokens: list[Tensor] | None
) -> list[Tensor]:
    asking = [normalised(vector, attention) for vector in vectors]
    read = asking if tokens is None else tokens
    width = len(vectors[0]) // attention.heads
    answers = []
    for vector, asked in zip(vectors, asking, strict=True):
        parts = []
        for head in range(attention.heads):
            own = slice(head * width, (head + 1) * width)
            query = (attention.query.weight @ asked + attention.query.bias)[own]
            keys = [(attention.key.weight @ t + attention.key.bias)[own] for t in read]
            values = [(attention.value.weight @ t + attention.value.bias)[own] for t in read]
            shares = [math.exp(float(query @ key) / math.sqrt(width)) for key in keys]
            mixed = sum((s * v for s, v in zip(shares, values, strict=True)), torch.zeros(()))
            parts.append(mixed / sum(shares))
        answers.append(vector + attention.out.weight @ torch.cat(parts) + attention.out.bias)
    return answers


def test_heatmaps_are_those_of_a_plain_loop() -> None:
    head = small_model(attention_heads=2).head
    assert isinstance(head, AttentionHead)
    scrambled(head)
    features = torch.randn(2, 16, 3, 2, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        (heatmaps,) = head(features)
        for instance, maps in zip(features, heatmaps, strict=True):
            tokens = list(instance.flatten(1).T)
            vectors = list(head.queries.weight)
            vectors = looped(head.cross_attention, vectors, tokens)
            vectors = looped(head.self_attention, vectors, None)
            for vector, offset, found in zip(vectors, head.queries.bias, maps, strict=True):
                expected = torch.stack([vector @ token + offset for token in tokens])
                torch.testing.assert_close(found.flatten(), expected, rtol=1e-9, atol=1e-9)


def test_without_its_values_it_is_a_plain_heatmap_head() -> None:
    model, plain = (
        small_model(),
        build_model(ModelSpec(BACKBONE, HeadSpec("heatmap"), HeatmapCodec(), SIZE)),
    )
    head = model.head
    assert isinstance(head, AttentionHead)
    with torch.no_grad():
        for attention in (head.cross_attention, head.self_attention):
            attention.out.weight.zero_()
        own = model.state_dict()
        plain.load_state_dict({k: v for k, v in own.items() if "backbone" in k}, strict=False)
        plain.get_parameter("head.final_layer.weight").copy_(head.queries.weight[..., None, None])
        plain.get_parameter("head.final_layer.bias").copy_(head.queries.bias)
        crops = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(2))
        one, other = model(crops)[0], plain.eval()(crops)[0]
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpecError, match="16 channels in 3 heads"):
        small_model(attention_heads=3)
    with pytest.raises(SpecError, match="final_layer_kernel of heatmap-attention is 1"):
        small_model(final_layer_kernel=3)
    with pytest.raises(SpecError, match="one map for each keypoint"):
        build_model(
            ModelSpec(
                BACKBONE, HeadSpec("heatmap-attention"), HeatmapCodec(decoder="udp-regress"), SIZE
            )
        )
