"""The differences of a published pair besides its head."""

from __future__ import annotations

from dataclasses import replace

from posebench.zoo.confounds import NOT_KNOWN, confounds, data_seen
from posebench.zoo.published import find_published, published_checkpoints

HEATMAP = find_published("mmpose/cspnext-m_coco_256x192")
SIMCC = find_published("mmpose/rtmpose-m_coco_256x192")


def test_cspnext_and_rtmpose_differ_in_initial_weights_data_and_length() -> None:
    found = {each.factor: (each.one, each.other) for each in confounds(HEATMAP, SIMCC)}
    assert found == {
        "initial weights": (
            "imagenet-1k",
            "mmpose/cspnext-m_aic+coco_256x192, a heatmap network after 210 epochs on aic+coco",
        ),
        "data seen in all": ("imagenet-1k, coco", "aic, coco"),
        "epochs": ("210", "420"),
    }
    assert str(confounds(HEATMAP, SIMCC)[-1]) == "epochs (210 against 420)"


def test_a_factor_known_of_one_side_alone_is_listed() -> None:
    unknown = replace(SIMCC, epochs=None, initialised_from=None)
    found = {each.factor: each.other for each in confounds(SIMCC, unknown)}
    assert found["epochs"] == found["initial weights"] == NOT_KNOWN
    assert confounds(unknown, unknown) == ()
    assert confounds(HEATMAP, HEATMAP) == ()


def test_initial_weights_are_an_entry_or_a_data_set() -> None:
    ids = {entry.id for entry in published_checkpoints()}
    for entry in published_checkpoints():
        if entry.initialised_from is not None:
            assert entry.initialised_from in ids or "/" not in entry.initialised_from
        assert entry.trained_on.split("+")[0] in data_seen(entry)
        assert (entry.gflops is None) == (entry.gflops_convention is None)
        assert entry.epochs is None or 10 <= entry.epochs <= 1000


def test_conventions_of_flops_are_kept_apart() -> None:
    found = {
        entry.publisher: entry.gflops_convention
        for entry in published_checkpoints()
        if entry.gflops is not None
    }
    assert len(set(found.values())) == len(found) >= 2
    assert "8.9" in str(found["hrnet"])
