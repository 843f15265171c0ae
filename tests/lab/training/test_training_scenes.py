from __future__ import annotations

import numpy as np
import pytest

from posebench.datasets.synthetic import SPLITS, render_scene
from posebench.lab.training.scenes import rendered_scenes
from posebench.suites.training_data import RenderedData


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path))
    return tmp_path


def test_the_store_holds_the_scenes_of_the_training_split(cache):
    seen = []
    store = rendered_scenes(RenderedData(scenes=3), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    scenes = [render_scene(SPLITS["train"].seed, index, "standard") for index in range(3)]
    persons = [(scene, person) for scene in scenes for person in scene.persons]
    assert len(store) == len(persons)
    for index, (scene, person) in enumerate(persons):
        np.testing.assert_array_equal(store.image(index), scene.image)
        np.testing.assert_array_equal(store.keypoints[index], person.keypoints)
        x, y, width, height = person.bbox_xywh
        np.testing.assert_allclose(store.bbox_xyxy[index], (x, y, x + width, y + height))


def test_scenes_are_rendered_once(cache):
    first = rendered_scenes(RenderedData(scenes=2), lambda *_: None)
    again = rendered_scenes(RenderedData(scenes=2), lambda *_: pytest.fail("rendered again"))
    np.testing.assert_array_equal(first.pixels, again.pixels)


def test_training_and_validation_scenes_differ():
    assert SPLITS["train"].seed != SPLITS["val"].seed
