"""`trained:` of suites: what is refused and where, and the recipes that arms become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from posebench.errors import PosebenchError, SpecError, UsageError
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.sizes import InputSize
from posebench.suites.arms import Training, trainings_of
from posebench.suites.collection import files_of
from posebench.suites.schema import suite_schema
from posebench.suites.settling import settled
from posebench.suites.shipped import shipped_suites
from posebench.suites.suite import Suite, load_suite
from posebench.suites.training_data import FolderData, RenderedData

BASE = {
    "model": {
        "backbone": {
            "family": "resnet",
            "options": {"depth": 18, "base_channels": 4, "out_stage": 3},
        },
        "head": {"kind": "heatmap"},
        "codec": {"kind": "heatmap"},
        "input_size": "64x48",
        "keypoints": "coco",
    },
    "optimisation": {"samples": 64, "batch_size": 8},
    "data": {"scenes": 8},
    "scales": {"mini": {"set": {"optimisation.samples": 32}, "images": 5, "seeds": 1}},
}
ARMS: dict[str, Any] = {
    "narrow": {"model.codec.sigma": 1.0},
    "wide": {"model.codec.sigma": 3.0, "labels": {"sigma": 3}},
}


def written(folder: Path, **trained: Any) -> Path:
    """Write a suite of two arms that differ in their targets, and its base recipe."""
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    fields = {"base": "base.yaml", "arms": ARMS, "factor": "model.codec.sigma", **trained}
    path = folder / "suite.yaml"
    suite = {"name": "n", "description": "d", "trained": fields}
    path.write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
    return path


def trainings(path: Path) -> dict[str, Training]:
    trained = load_suite(path).trained
    assert trained is not None
    return {each.name: each for each in trainings_of(trained, path.parent)}


def people(folder: Path) -> Path:
    (folder / "people").mkdir()
    return folder / "people"


def test_every_arm_meets_all_data_and_seeds(tmp_path: Path) -> None:
    people(tmp_path)
    data = ["synthetic", {"folder": str(tmp_path / "people"), "keypoints": "crowdpose", "limit": 7}]
    found = trainings(written(tmp_path, data=data, seeds=[0, 4]))
    assert list(found) == [
        f"{arm}_{place}_s{seed}"
        for place in ("synthetic", "people")
        for seed in (0, 4)
        for arm in ("narrow", "wide")
    ]
    one, other = found["narrow_synthetic_s4"], found["wide_people_s0"]
    assert one.labels == {"arm": "narrow", "seed": "4", "data": "synthetic"}
    assert other.labels == {"arm": "wide", "seed": "0", "data": "people", "sigma": "3"}
    assert one.recipe.seed == 4
    assert one.recipe.model.codec == HeatmapCodec(sigma=1.0)
    assert other.recipe.model.codec == HeatmapCodec(sigma=3.0)
    assert one.recipe.data == RenderedData(scenes=8)
    assert other.recipe.data == FolderData(str(tmp_path / "people"), limit=7, keypoints="crowdpose")
    assert len(other.recipe.model.keypoints.keypoints) == 14


def test_overrides_of_scale_data_and_arm_come_in_this_order(tmp_path: Path) -> None:
    data = {
        "name": "synthetic",
        "set": {"model.input_size": "64x64", "augmentation.shift": 0.1},
        "scales": {"mini": {"model.input_size": "32x32"}},
    }
    arms = {name: {**arm, "augmentation": {"flip_probability": 0.0}} for name, arm in ARMS.items()}
    path = written(tmp_path, data=[data], arms=arms)
    usual = trainings(path)["narrow_synthetic_s0"].recipe
    assert (usual.model.input_size, usual.optimisation.samples) == (InputSize(64, 64), 64)
    assert usual.augmentation.shift == 0.04  # the arm's mapping replaces the whole
    mini = trainings(written(tmp_path, data=[data], arms=arms, scale="mini"))
    recipe = mini["narrow_synthetic_s0"].recipe
    assert (recipe.model.input_size, recipe.optimisation.samples) == (InputSize(32, 32), 32)


def test_an_arm_at_twice_the_budget(tmp_path: Path) -> None:
    found = trainings(written(tmp_path, seeds=[3, 5], plateau=["wide"]))
    longer = found["wide_synthetic_s3_2x"]
    assert longer.labels == {**found["wide_synthetic_s3"].labels, "budget": "2x"}
    assert longer.recipe.optimisation.samples == 128
    assert len(found) == 5


def test_an_arm_may_see_a_share_of_the_samples_at_every_scale(tmp_path: Path) -> None:
    arms = {"narrow": {**ARMS["narrow"], "share": 0.5}, "wide": ARMS["wide"]}
    factor = ["model.codec.sigma", "optimisation.samples"]
    for scale, samples in ((None, 64), ("mini", 32)):
        found = trainings(written(tmp_path, arms=arms, factor=factor, scale=scale))
        assert found["narrow_synthetic_s0"].recipe.optimisation.samples == samples / 2
        assert found["wide_synthetic_s0"].recipe.optimisation.samples == samples
    with pytest.raises(SpecError, match="share must be a number above 0, at most 10, not 'half'"):
        written_share = {**arms, "narrow": {"share": "half"}}
        load_suite(written(tmp_path, arms=written_share, factor=factor))


def test_arms_start_from_other_arms(tmp_path: Path) -> None:
    arms = {
        "student": {"distillation": {"teacher": {"arm": "teacher"}, "weight": 0.25}},
        "started": {"initialise": {"arm": "teacher", "part": "backbone"}},
        "teacher": {},
    }
    factor = ["initialise", "distillation"]
    found = trainings(written(tmp_path, arms=arms, factor=factor, seeds=[2]))
    assert next(iter(found)) == "teacher_synthetic_s2"
    student, started = found["student_synthetic_s2"], found["started_synthetic_s2"]
    assert student.sources == {"distillation": "teacher_synthetic_s2"}
    assert started.sources == {"initialise": "teacher_synthetic_s2"}
    files = {"teacher_synthetic_s2": Path("t.safetensors")}
    distillation = student.with_sources(files).distillation
    assert distillation is not None
    assert (distillation.teacher, distillation.weight) == ("t.safetensors", 0.25)
    initialise = started.with_sources(files).initialise
    assert initialise is not None
    assert (initialise.checkpoint, initialise.part) == ("t.safetensors", "backbone")


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (
            {"factor": "model.head"},
            r"narrow and wide differ in model.codec.sigma \(1.0 and 3.0\) on synthetic",
        ),
        ({"arms": {"a": {"optimisation.sampels": 3}}}, "arm a: unknown key 'optimisation.sampels'"),
        ({"arms": {"a": {"model.input_size.width": 3}}}, "leads through 'input_size'"),
        ({"arms": {"a": {"initialise": {"arm": "b"}}}}, "there is no arm 'b'"),
        (
            {"arms": {"a": {"initialise": {"arm": "b"}}, "b": {"initialise": {"arm": "a"}}}},
            "The arms a, b wait for one another's weights",
        ),
        ({"scale": "minni"}, "There is no scale 'minni'"),
        ({"base": "bass.yaml"}, "There is no base recipe bass.yaml"),
    ],
)
def test_what_recipes_cannot_be_made_of(tmp_path: Path, trained: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        trainings(written(tmp_path, **trained))


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [1, 1]}, "seeds must be different numbers"),
        ({"plateau": ["wite"]}, "line .*: there is no arm 'wite'.*wide"),
        ({"arms": {"a b": {}}}, "the arm 'a b' must be of letters"),
        (
            {"arms": {"a": {"labels": {"seed": 3}}}},
            "'seed' is a label that trained",
        ),
        ({"arms": {"a": {"seed": 3}}}, "line .*: seed belongs to each training, not to an arm"),
        ({"data": ["syntetic"]}, "'syntetic' has no `folder`"),
        ({"data": ["synthetic", {"name": "synthetic"}]}, "two data sets are called 'synthetic'"),
        ({"data": [{"folder": "a", "evalute": {}}]}, "unknown key 'trained.data.0.evalute'"),
        ({"scales": {"big": {"imagess": 3}}}, "unknown key 'trained.scales.big.imagess'"),
        ({"scales": {"big": {"seeds": 0}}}, "seeds must be 1 or more"),
    ],
)
def test_what_a_suite_cannot_say(tmp_path: Path, trained: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load_suite(written(tmp_path, **trained))


def test_data_sets_are_for_checkpoints(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text() + "datasets: [synthetic-crowd]\n", encoding="utf-8")
    with pytest.raises(SpecError, match="datasets are for `checkpoints`"):
        load_suite(path)


def suite_with_folder(tmp_path: Path) -> Suite:
    data = ["synthetic", {"folder": "people", "evaluate": {"split": "test"}}]
    return load_suite(written(tmp_path, data=data, seeds=[0, 1, 2]))


def test_absent_data_are_left_out_with_a_word(tmp_path: Path) -> None:
    found = settled(suite_with_folder(tmp_path), tmp_path)
    assert [entry.name for entry in found.suite.dataset_entries] == ["synthetic"]
    assert "--data-root people=FOLDER" in found.absent[0]


def test_data_may_lie_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "mine").mkdir(parents=True)
    suite = load_suite(written(tmp_path, data=[{"folder": "~/mine"}]))
    (entry,) = settled(suite, tmp_path).suite.dataset_entries
    assert (entry.name, entry.called) == (str(tmp_path / "home" / "mine"), "mine")


def test_a_scale_limits_images_and_seeds(tmp_path: Path) -> None:
    place = people(tmp_path)
    (place / "keypoints.yaml").write_text("", encoding="utf-8")
    found = settled(suite_with_folder(tmp_path), tmp_path, "mini").suite
    assert found.trained is not None
    assert (found.trained.seeds, found.trained.scale) == ((0,), "mini")
    rendered, folder = found.dataset_entries
    assert (rendered.name, rendered.split, rendered.limit) == ("synthetic", "val", 5)
    assert (folder.name, folder.split, folder.limit) == (str(place), "test", 5)
    assert folder.keypoints == str(place / "keypoints.yaml")


def test_options_say_where_data_are(tmp_path: Path) -> None:
    suite, other = suite_with_folder(tmp_path), tmp_path / "elsewhere"
    with pytest.raises(UsageError, match="there is no such folder"):
        settled(suite, tmp_path, roots={"people": other})
    other.mkdir()
    found = settled(suite, tmp_path, roots={"people": other})
    assert found.absent == ()
    assert found.suite.trained is not None
    assert found.suite.trained.data_entries[1].label == "people"
    assert found.suite.dataset_entries[1].name == str(other)
    with pytest.raises(UsageError, match="no folder 'peeple'") as error:
        settled(suite, tmp_path, roots={"peeple": other})
    assert "people" in str(error.value.hint)


def test_options_of_training_need_a_suite_that_trains() -> None:
    with pytest.raises(UsageError, match="suites that have `trained:`"):
        settled(Suite("n", "d", ("a",)), Path(), "mini")


def test_the_schema_knows_what_is_trained() -> None:
    schema = suite_schema()
    assert {"base", "arms", "factor", "data"} <= set(
        schema["$defs"]["TrainedCheckpoints"]["properties"]
    )


@pytest.mark.parametrize("path", files_of(shipped_suites()["lab/all"]), ids=lambda path: path.stem)
@pytest.mark.parametrize("scale", ["tiny", "small", "medium"])
def test_suites_of_the_lab_fit_at_every_scale(path: Path, scale: str) -> None:
    found = settled(load_suite(path), path.parent, scale).suite
    assert found.trained is not None
    assert len(trainings_of(found.trained, path.parent)) >= 2 * len(found.trained.arms)


def test_the_base_of_the_lab_says_what_no_scale_is(tmp_path: Path) -> None:
    path = shipped_suites()["lab/no_deconv"]
    with pytest.raises(PosebenchError, match="tiny, small, medium"):
        settled(load_suite(path), path.parent, "huge")
