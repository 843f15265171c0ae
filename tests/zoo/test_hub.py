"""Checkpoints by their Hugging Face id, from a cache laid out as huggingface_hub lays it out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from posebench.zoo.hub import checkpoint_name, hub_name, is_hub_id

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ID = "poses/vitpose-tiny"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Hugging Face home that has one model: blobs, a snapshot of links to them, a ref."""
    transformers = pytest.importorskip("transformers")
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=[64, 48],
        out_indices=[2],
    )  # fmt: skip
    config = transformers.VitPoseConfig(
        backbone_config=backbone, num_labels=17, use_simple_decoder=True
    )
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("saved")
    transformers.VitPoseForPoseEstimation(config).eval().save_pretrained(made)
    home = tmp_path_factory.mktemp("home")
    model = home / "hub" / f"models--{ID.replace('/', '--')}"
    for name in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (model / name).mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    for index, file in enumerate(("config.json", "model.safetensors")):
        blob = model / "blobs" / f"{index:040x}"
        shutil.copy(made / file, blob)
        (model / "snapshots" / COMMIT / file).symlink_to(Path("..", "..", "blobs", blob.name))
    return home


def command(
    home: Path, *arguments: object, offline: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run posebench in a process of its own: huggingface_hub reads its settings once."""
    settings = {"HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline))}
    # Nothing listens there, and no test asks a network.
    settings |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, "-m", "posebench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **settings, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("name", [ID, f"{ID}@main", f"{ID}@{COMMIT}"])
def test_what_the_cache_has_is_used(cache: Path, name: str) -> None:
    done = command(cache, "inspect", name)
    assert done.returncode == 0, done.stderr
    assert f"{COMMIT}" in done.stdout and "huggingface" in done.stdout


def test_results_go_by_the_model_s_name(cache: Path, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    # Without the switch too: what the cache has is not asked for again.
    done = command(
        cache, "eval", ID, "--dataset", people, "--limit", 1, "--replicates", 0, "--json", out,
        offline=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(out.read_text())["results"]
    assert result["checkpoint"]["name"] == "vitpose-tiny"


def test_what_it_lacks_is_not_fetched_offline(cache: Path) -> None:
    done = command(cache, "inspect", "poses/other")
    assert done.returncode == 2 and "HF_HUB_OFFLINE is set" in done.stderr
    assert str(cache / "hub") in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr


def test_a_missing_network_is_said(cache: Path) -> None:
    done = command(cache, "inspect", "poses/other", offline=False)
    assert done.returncode == 2 and "Hugging Face cannot be reached" in done.stderr
    assert "There is no file poses/other" in done.stderr


def test_a_missing_package_is_said(cache: Path) -> None:
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        f"from posebench.cli import main; main(['inspect', {ID!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "posebench-pose[hub]"' in done.stderr
    assert f"There is no file {ID}" in done.stderr


def test_what_may_be_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("usyd-community/vitpose-base-simple")
    assert is_hub_id("usyd-community/vitpose-base-simple@v1.0")
    for other in ("simcc-s", "weights/a.pth", "a/b/c", "../a", "./a", "/a/b", "a/b.ONNX", "a b/c"):
        assert not is_hub_id(other)
    (tmp_path / "weights").mkdir()
    assert not is_hub_id("weights/a")


def test_names_of_folders(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b.v1" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    assert (hub_name(snapshot), checkpoint_name(snapshot)) == ("a/b.v1", "b.v1")
    assert (hub_name(tmp_path), checkpoint_name(tmp_path)) == (None, tmp_path.name)
    assert checkpoint_name(tmp_path / "b.v1.pth") == "b.v1"


def test_an_id_of_the_zoo_s_publishers_is_a_slip(cache: Path) -> None:
    done = command(cache, "inspect", "mmpose/rtmpose-m_body7_256x19")
    assert done.returncode == 2 and "Did you mean mmpose/rtmpose-m_body7_256x192" in done.stderr
