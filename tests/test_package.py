"""What an installation holds, and that shipped checkpoints are what the recipes say."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import posebench
from posebench.checkpoints import load_checkpoint
from posebench.lab.training import Recipe, load_recipe
from posebench.networks.codecs import SimccCodec
from posebench.networks.heads import whole_head
from posebench.networks.spec import FlipSpec, HeadSpec
from posebench.suites import recipe_from_mapping
from posebench.zoo import embedded_names, resolve

RECIPES = Path(__file__).resolve().parents[1] / "suites" / "recipes"
LARGEST_TOTAL = 16_000_000
# One head and codec for all recipes of a pair to be compared without them.
NEUTRAL: dict[str, Any] = {"head": HeadSpec("simcc"), "codec": SimccCodec(), "flip": FlipSpec()}

EMBEDDED = embedded_names()
needs_embedded = pytest.mark.skipif(not EMBEDDED, reason="no checkpoint is embedded yet")
each_embedded = pytest.mark.parametrize(
    "name", EMBEDDED or [pytest.param("", marks=needs_embedded)]
)


def recipes() -> dict[str, Recipe]:
    if not RECIPES.is_dir():
        pytest.skip("needs the checkout's suites/recipes")
    return {path.stem: load_recipe(path) for path in sorted(RECIPES.glob("*.yaml"))}


def test_the_distribution_is_posebench_pose():
    distribution = importlib.metadata.distribution("posebench-pose")
    assert distribution.version == posebench.__version__
    scripts = [entry for entry in distribution.entry_points if entry.group == "console_scripts"]
    assert [(script.name, script.value) for script in scripts] == [
        ("posebench", "posebench.cli:main")
    ]


def test_the_command_runs_as_a_module_too():
    command = [sys.executable, "-m", "posebench", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == f"posebench {posebench.__version__}\n"


def test_the_package_is_typed():
    assert importlib.resources.files("posebench").joinpath("py.typed").is_file()


def test_recipes_are_named_as_their_files():
    assert {name: recipe.name for name, recipe in recipes().items()} == {
        name: name for name in recipes()
    }


def test_a_pair_differs_only_in_how_keypoints_are_located():
    pairs = defaultdict(list)
    for recipe in recipes().values():
        pairs[recipe.pair].append(recipe)
    assert {"s", "m", "l", "m-64x48"} <= set(pairs)
    for pair, members in pairs.items():
        assert [recipe.model.paradigm for recipe in members] == ["heatmap", "simcc"], pair
        heatmap, simcc = (
            replace(recipe, name="same", model=replace(recipe.model, **NEUTRAL))
            for recipe in members
        )
        assert heatmap == simcc, pair


@needs_embedded
def test_embedded_checkpoints_are_small_together():
    sizes = [resolve(name).stat().st_size for name in EMBEDDED]
    assert sum(sizes) <= LARGEST_TOTAL


@needs_embedded
def test_embedded_checkpoints_come_in_pairs():
    pairs = defaultdict(set)
    for name in EMBEDDED:
        recipe = embedded_recipe(name)
        pairs[recipe.pair].add(recipe.model.paradigm)
    assert all(paradigms == {"heatmap", "simcc"} for paradigms in pairs.values())


def embedded_recipe(name: str) -> Recipe:
    provenance = load_checkpoint(resolve(name)).provenance
    return recipe_from_mapping(provenance["recipe"], where=name, folder=Path())


@each_embedded
def test_an_embedded_checkpoint_says_where_it_comes_from(name):
    checkpoint = load_checkpoint(resolve(name))
    provenance = checkpoint.provenance
    assert provenance["made_with"].startswith("posebench train, torch ")
    assert provenance["cpu_seconds"] > 0
    recipe = embedded_recipe(name)
    assert provenance["final"]["samples"] == recipe.steps * recipe.optimisation.batch_size
    assert 0.2 < provenance["final"]["AP"] < 1
    assert recipe.name == name
    assert recipe.model == checkpoint.spec


@each_embedded
def test_an_embedded_checkpoint_is_what_its_recipe_says(name):
    embedded, own = (
        replace(recipe, model=replace(recipe.model, head=whole_head(recipe.model.head)))
        for recipe in (embedded_recipe(name), recipes()[name])
    )
    assert embedded == own
