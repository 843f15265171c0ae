"""The words for transforms, and suites that have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.errors import SpecError
from posebench.suites.suite import Suite, load_suite
from posebench.suites.transforms import IDENTITY, Transform, _valid_texts, parse_transform


@pytest.mark.parametrize(
    ("text", "transform"),
    [
        ("none", IDENTITY),
        ("w8", Transform("whole", 8)),
        ("w4a8", Transform("whole", 4, 8)),
        ("a8", Transform("whole", None, 8)),
        ("head-w4", Transform("head", 4)),
        ("answers-w3a3", Transform("answers", 3, 3)),
        ("tokens-a4", Transform("tokens", None, 4)),
        ("prune-30", Transform(pruned=30)),
        ("backbone-prune-90-layer", Transform("backbone", pruned=90, ranking="layer")),
        ("prune-5-channel", Transform(pruned=5, ranking="channel")),
    ],
)
def test_a_text_means_one_transform(text: str, transform: Transform) -> None:
    assert parse_transform(text) == transform
    assert str(transform) == text


def test_every_valid_text_is_read_and_written_again() -> None:
    texts = list(_valid_texts())
    assert len(texts) == len(set(texts)) > 1000
    assert [str(parse_transform(text)) for text in texts] == texts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("w10", "bits outside of 2 to 8"),
        ("weights-8", "Valid are such as none, w8"),
        ("heads-w4", "Did you mean 'head-w4'?"),
        ("prune50", "Did you mean 'prune-50'?"),
        ("prune-0", "Did you mean 'prune-"),
        ("prune-100", "Did you mean 'prune-10'?"),
        ("whole-w8", "Did you mean"),
        ("w1", "bits outside of 2 to 8"),
        ("w4a9", "bits outside of 2 to 8"),
        ("tokens-w4", "Such as tokens-a4"),
        ("tokens-prune-50", "tokens are activations"),
        ("", "Valid are such as"),
    ],
)
def test_an_unknown_text_gives_the_nearest_valid_one(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_transform(text)
    assert said in str(caught.value)


def test_numbers_of_a_transform() -> None:
    bits = [parse_transform(text).bits for text in ("none", "prune-50", "w4a8", "tokens-a3")]
    assert bits == [32, 32, 4, 3]
    assert [parse_transform(text).kept for text in ("none", "w4", "prune-30")] == [1, 1, 0.7]


def test_a_suite_says_the_line_of_an_unknown_transform(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    text = "name: a\ndescription: b\ncheckpoints: [heatmap-s]\ntransforms:\n  - none\n  - w88\n"
    file.write_text(text)
    with pytest.raises(SpecError, match=r"(?s)suite\.yaml.*6.*'w88' has bits outside"):
        load_suite(file)
    file.write_text(text.replace("w88", "none"))
    with pytest.raises(SpecError, match="transforms lists 'none' twice"):
        load_suite(file)


def test_a_suite_has_no_transform_by_default() -> None:
    assert Suite("a", "b", ("heatmap-s",)).transforms == ("none",)
