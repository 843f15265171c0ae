"""Suites: what is shipped, what is refused and where, and the schema for editors."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from posebench.errors import SpecError
from posebench.suites.claims import find_claims, shipped_claims
from posebench.suites.collection import is_collection, load_collection
from posebench.suites.schema import DESCRIPTIONS, suite_schema
from posebench.suites.shipped import find_suite, folder_of, shipped_suites
from posebench.suites.suite import CheckpointEntry, ScoringEntry, Suite, check_suite, load_suite


def written(folder: Path, more: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(f"name: n\ndescription: d\n{more}", encoding="utf-8")
    return path


def test_short_and_long_forms(tmp_path: Path) -> None:
    text = "checkpoints:\n- a.pth\n- {file: b.pth, labels: {pair: s}}\nflip: [own, false]\n"
    suite = load_suite(written(tmp_path, text))
    assert suite.checkpoint_entries == (
        CheckpointEntry("a.pth"),
        CheckpointEntry("b.pth", labels={"pair": "s"}),
    )
    assert suite.flip == ("own", False)
    assert [entry.name for entry in suite.dataset_entries] == ["synthetic"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checkpoints: []\n", "line 3: checkpoints is empty"),
        ("checkpoints: [a]\nsizes:\n- 64x48\n- 64by48\n", "line 6: '64by48' is not an input size"),
        ("checkpoints: [a]\nsizes: [64x48, 64x48]\n", "line 4: sizes lists '64x48' twice"),
        ("checkpoints: [a]\npolicies: [resize]\n", "line 4: policies.0"),
        ("checkpoints:\n- file: a\n  label: {}\n", "line 5: unknown key 'checkpoints.0.label'"),
        ("checkpoints: [a]\nscoring:\n  nmss: hard\n", "line 5: unknown key 'scoring.nmss'"),
        (
            "checkpoints: [a]\nscoring:\n  nms_threshold: 2\n",
            "line 5: nms_threshold is 2.0, and OKS lies between 0 and 1",
        ),
        ("checkpoints: [a]\nscoring:\n  interval: bcaa\n", "line 5: scoring.interval"),
        ("checkpoints: [a]\nscoring:\n  keypoint_threshold: .nan\n", "line 5: .nan is not"),
        ("checkpoints: [a]\nbatch_size: 0\n", "line 4: batch_size"),
        ("checkpoints: [a]\nbatch_size: 1000000000\n", "line 4: batch_size must lie between"),
        ("checkpoints: [a]\nscoring: {replicates: 1000000000}\n", "replicates must lie between"),
        ("checkpoints: [a]\nscoring: {seed: -1}\n", "seed must not be negative"),
        ("checkpoints: [a]\ndatasets: [{name: b, limit: 0}]\n", "line 4: limit must be 1 or more"),
        (
            "checkpoints: [{file: a, labels: {pair: 1}}]\n",
            "labels.pair: Input should be a valid str",
        ),
        ("checkpoints: [{file: a, name: x}, {file: b, name: x}]\n", "name of two checkpoints"),
        (
            "checkpoints: [a]\nboxes:\n- gt\n- {file: gt, shift: [3, 0]}\n",
            "line 6: A box shift of (3, 0) is more than",
        ),
        ("checkpoints: [a]\nboxes: [{file: gt, scale: 0}]\n", "A box scale of 0 does not lie"),
        ("checkpoints: [a]\nboxes: [{file: gt, shift: 0.5}]\n", "boxes.0"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_suite(written(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "[/red]"])
def test_a_name_that_is_no_folder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"name: '{name}'\ndescription: d\ncheckpoints: [a]\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"line 1: name .* must be of letters"):
        load_suite(file)


def test_shipped_suites_fit_and_are_found_by_name() -> None:
    suites = shipped_suites()
    assert "quickstart" in suites
    for name, path in suites.items():
        read = load_collection if is_collection(path) else load_suite
        assert read(path).name == name.rpartition("/")[2]
        assert find_suite(name) == path


def test_an_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'quickstart'"):
        find_suite("quickstar")


def test_the_schema_knows_every_key_that_is_read() -> None:
    schema = suite_schema()
    raw = yaml.safe_load(shipped_suites()["quickstart"].read_text(encoding="utf-8"))
    assert set(raw) <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name"]
    sources = ("checkpoints", "trained", "suites")
    assert schema["anyOf"] == [{"required": [name]} for name in sources]
    collection = yaml.safe_load(shipped_suites()["lab/all"].read_text(encoding="utf-8"))
    assert set(collection) <= set(schema["then"]["propertyNames"]["enum"])


def test_the_schema_describes_every_field() -> None:
    schema = suite_schema()
    for name, record in {"Suite": schema, **schema["$defs"]}.items():
        assert set(record["properties"]) == set(DESCRIPTIONS[name])
        assert all(each["description"] for each in record["properties"].values())
    claim = schema["$defs"]["Claim"]["properties"]
    assert claim["direction"]["enum"] == ["greater", "less", "within"]
    assert {"checkpoint", "size"} <= set(claim["treatment"]["properties"])


def test_the_schema_knows_every_field_that_a_claim_may_select_by() -> None:
    properties = suite_schema()["$defs"]["Claim"]["properties"]
    for claim in shipped_claims().values():
        for part in ("treatment", "control", "at"):
            known = properties[part]
            labels = [re.compile(pattern) for pattern in known["patternProperties"]]
            for name in getattr(claim, part):
                assert name in known["properties"] or any(each.match(name) for each in labels)


INLINE = """checkpoints: [a]
claims:
  - C1-runs
  - id: mine
    statement: B is better.
    treatment: {checkpoint: b}
    control: {checkpoint: a}
"""


def test_claims_may_stand_in_a_suite(tmp_path: Path) -> None:
    suite = load_suite(written(tmp_path, INLINE))
    found = find_claims(suite.claims, tmp_path)
    assert [claim.id for claim in found] == ["C1-runs", "mine"]
    assert found[1].match_by is None and found[1].treatment == {"checkpoint": "b"}
    typed = written(tmp_path, INLINE.replace("{checkpoint: a}", "{chekpoint: a}"))
    with pytest.raises(SpecError, match=r"line 9: there is no field 'chekpoint'") as caught:
        load_suite(typed)
    assert caught.value.hint is not None and "checkpoint" in caught.value.hint
    twice = (*suite.claims, replace(found[1], id="C1-runs"))
    with pytest.raises(SpecError, match="two claims 'C1-runs'"):
        find_claims(twice, tmp_path)


def test_a_suite_in_memory_is_checked_as_one_in_a_file_is() -> None:
    check_suite(Suite("n", "d", ("a",)))
    with pytest.raises(SpecError, match="nms_threshold is nan"):
        check_suite(Suite("n", "d", ("a",), scoring=ScoringEntry(nms_threshold=float("nan"))))


def test_the_folder_that_paths_are_relative_to(tmp_path: Path) -> None:
    path = written(tmp_path, "checkpoints: [a]\n")
    assert folder_of(str(path)) == tmp_path
    assert folder_of(str(tmp_path)) == tmp_path
    assert folder_of("ci") == shipped_suites()["ci"].parent
    for gone in ("", str(tmp_path / "gone")):
        with pytest.raises(SpecError, match="no file"):
            folder_of(gone)


def test_scoring_says_which_intervals_and_whose_numbers(tmp_path: Path) -> None:
    text = "checkpoints: [a]\nscoring: {interval: bca, official: true}\n"
    scoring = load_suite(written(tmp_path, text)).scoring
    assert (scoring.interval, scoring.official) == ("bca", True)
    properties = suite_schema()["$defs"]["ScoringEntry"]["properties"]
    assert properties["interval"]["enum"] == ["percentile", "bca"]
