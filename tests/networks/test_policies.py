"""Resize policies: the planning, without a network."""

from __future__ import annotations

import subprocess
import sys

import pytest

from posebench.errors import UnsupportedSizeError
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.policies import (
    POLICIES,
    Policy,
    canonical_policy,
    check_size,
    network_size,
    output_size as decoded_size,
)
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

TRAINED, OTHER, ODD = InputSize(256, 192), InputSize(128, 96), InputSize(96, 72)
HEATMAP = ModelSpec(BackboneSpec("resnet"), HeadSpec("heatmap"), HeatmapCodec(), TRAINED)
SIMCC = ModelSpec(BackboneSpec("resnet"), HeadSpec("simcc"), SimccCodec(), TRAINED)
RTMCC = ModelSpec(BackboneSpec("resnet"), HeadSpec("rtmcc", {"gau": {}}), SimccCodec(), TRAINED)


def test_planning_loads_no_torch() -> None:
    code = "import sys, posebench.networks.policies; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("spec", [HEATMAP, SIMCC, RTMCC])
def test_every_policy_is_native_at_the_trained_size(spec: ModelSpec, policy: Policy) -> None:
    assert canonical_policy(spec, TRAINED, policy) == "native"
    check_size(spec, 100, TRAINED, policy, size_locked=True)
    assert decoded_size(spec, TRAINED, policy) == TRAINED
    assert network_size(spec, TRAINED, policy) == TRAINED


def test_heatmap_networks_have_nothing_to_pool_or_interpolate() -> None:
    assert [canonical_policy(HEATMAP, OTHER, policy) for policy in POLICIES] == [
        "native",
        "resample",
        "native",
        "native",
    ]
    assert [canonical_policy(SIMCC, OTHER, policy) for policy in POLICIES] == list(POLICIES)


@pytest.mark.parametrize(
    ("spec", "policy", "fed", "decoded"),
    [
        (HEATMAP, "native", OTHER, OTHER),
        (HEATMAP, "resample", TRAINED, TRAINED),
        (HEATMAP, "pool", OTHER, OTHER),
        (SIMCC, "resample", TRAINED, TRAINED),
        (SIMCC, "pool", OTHER, TRAINED),
        (SIMCC, "interpolate", OTHER, OTHER),
    ],
)
def test_sizes_of_crop_and_decoding(
    spec: ModelSpec, policy: Policy, fed: InputSize, decoded: InputSize
) -> None:
    check_size(spec, 32, OTHER, policy)
    assert network_size(spec, OTHER, policy) == fed
    assert decoded_size(spec, OTHER, policy) == decoded


@pytest.mark.parametrize(("spec", "layers"), [(SIMCC, "mlp_head_x"), (RTMCC, "mlp.1, cls_x")])
def test_native_simcc_elsewhere_says_what_is_locked(spec: ModelSpec, layers: str) -> None:
    with pytest.raises(UnsupportedSizeError) as caught:
        check_size(spec, 32, OTHER, "native")
    said = str(caught.value)
    assert "input grid 8x6 and 384+512 bins are fixed by training at 256x192" in said
    assert layers in said
    assert "resample, pool or interpolate" in said


@pytest.mark.parametrize(
    ("spec", "policy"), [(HEATMAP, "native"), (SIMCC, "pool"), (SIMCC, "interpolate")]
)
def test_a_size_off_the_stride_names_the_nearest_two(spec: ModelSpec, policy: Policy) -> None:
    with pytest.raises(UnsupportedSizeError, match="multiples of the stride 32") as caught:
        check_size(spec, 32, InputSize(96, 72), policy)
    assert "96x64 and 96x96" in str(caught.value)
    check_size(spec, 8, ODD, policy)
    check_size(spec, 32, ODD, "resample")


def test_branches_ask_for_more_than_the_stride() -> None:
    with pytest.raises(
        UnsupportedSizeError, match="multiples of 32: this network cannot round sides up"
    ) as caught:
        check_size(HEATMAP, 4, ODD, "native", divisor=32)
    assert "96x64 and 96x96" in str(caught.value)
    check_size(HEATMAP, 4, ODD, "native")
    check_size(HEATMAP, 4, ODD, "resample", divisor=32)
    check_size(HEATMAP, 4, OTHER, "native", divisor=32)


def test_only_existing_sizes_are_named() -> None:
    with pytest.raises(UnsupportedSizeError) as caught:
        check_size(HEATMAP, 32, InputSize(96, 20), "native")
    assert "Nearest valid: 96x32." in str(caught.value)


@pytest.mark.parametrize("policy", ["native", "pool", "interpolate"])
@pytest.mark.parametrize("spec", [HEATMAP, SIMCC])
def test_a_file_of_one_size_runs_elsewhere_by_resample_alone(
    spec: ModelSpec, policy: Policy
) -> None:
    with pytest.raises(UnsupportedSizeError, match="256x192 alone"):
        check_size(spec, 32, OTHER, policy, size_locked=True)
    check_size(spec, 32, OTHER, "resample", size_locked=True)
