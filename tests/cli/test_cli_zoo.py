"""`posebench zoo`, and pulled files as arguments of other commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import small_checkpoint

from posebench.reporting.tables.zoo_listing import entry_listing
from posebench.zoo import find_published, published_checkpoints
from posebench.zoo.pulling import pulled_path

Run = Callable[..., Any]
RTMPOSE = "mmpose/rtmpose-m_body7_256x192"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def listed(run: Run, *options: str) -> list[dict[str, Any]]:
    done = run("zoo", "ls", "--json", *options)
    assert (done.code, done.err) == (0, "")
    entries: list[dict[str, Any]] = json.loads(done.out)
    return entries


def test_ls_lists_all_in_whole_lines(run: Run) -> None:
    done = run("zoo", "ls")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == len(published_checkpoints()) + 2
    row = next(line for line in lines if line.startswith(f"{RTMPOSE} "))
    # projects/rtmpose/README.md of MMPose.
    assert " ".join(row.split()) == f"{RTMPOSE} simcc 17 74.9 AP coco val2017 det56.4 yes pull"


def test_ls_fits_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run("zoo", "ls")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "no room for paradigm, K, data, split, flip, file" in done.out


def test_ls_filters(run: Run) -> None:
    assert len(listed(run)) == len(published_checkpoints())
    simcc = listed(run, "--paradigm", "simcc", "--size", "64x64", "--backbone", "hrnet")
    assert {entry["backbone"] for entry in simcc} == {"hrnet-w32", "hrnet-w48"}
    assert {entry["input_size"] for entry in simcc} == {"64x64"}
    crowd = listed(run, "--dataset", "crowdpose", "--publisher", "mmpose", "--family", "rtmpose")
    assert [entry["id"] for entry in crowd] == ["mmpose/rtmpose-m_crowdpose_256x192"]
    done = run("zoo", "ls", "--dataset", "ochuman", "--backbone", "vit-h")
    assert "ochuman" in done.out and "val2017" not in done.out


@pytest.mark.parametrize(
    ("option", "value", "valid"),
    [
        ("--paradigm", "simc", "simcc"),
        ("--backbone", "resnet5O", "resnet50"),
        ("--dataset", "crowd-pose", "crowdpose"),
        ("--family", "rtm-pose", "rtmpose"),
        ("--publisher", "mm-pose", "mmpose"),
    ],
)
def test_ls_names_the_nearest_value(run: Run, option: str, value: str, valid: str) -> None:
    done = run("zoo", "ls", option, value)
    assert done.code == 2
    assert option in done.err and f"Did you mean {valid!r}" in done.err


def test_ls_families_says_what_can_be_loaded(run: Run) -> None:
    from posebench.networks.backbones import BACKBONES

    done = run("zoo", "ls", "--families", "--json")
    rows = json.loads(done.out)
    assert {row["loaded_as"] for row in rows} - {None} == set(BACKBONES)
    assert [row["loaded_as"] is None for row in rows] == sorted(
        row["loaded_as"] is None for row in rows
    )
    assert sum(row["files"] for row in rows) == len(published_checkpoints())
    by_name = {row["name"]: row for row in rows}
    assert by_name["cspnext"]["loaded_as"] == "cspnext"
    assert by_name["tokenpose"] == {"name": "tokenpose", "files": 6, "loaded_as": None}
    table = run("zoo", "ls", "--families").out
    assert "hourglass" in table and "only as an exported file" in table


def test_show_says_everything(run: Run) -> None:
    done = run("zoo", "show", "mmpose/cspnext-m_aic+coco_256x192")
    assert done.code == 0
    for said in ("f2f7d6f6", "Apache-2.0", "udp True", "19 (aic+coco)", "boxes gt", "det56.4"):
        assert said in done.out
    for said in ("caveat", "cspnext_udp_coco.md:", "https://download.openmmlab.com", "AP 74.8"):
        assert said in done.out
    assert json.loads(run("zoo", "show", RTMPOSE, "--json").out)["id"] == RTMPOSE
    listings = {entry_listing(entry) for entry in published_checkpoints()}
    assert len(listings) == len(published_checkpoints())


def test_show_names_the_nearest_id(run: Run) -> None:
    done = run("zoo", "show", "mmpose/rtmpose-m_body7_256x129")
    assert done.code == 2 and f"Did you mean {RTMPOSE}" in done.err


def test_pull_and_verify(run: Run, tmp_path: Path) -> None:
    entry = next(e for e in published_checkpoints() if e.urls and not e.sha256_prefix)
    file = tmp_path / "mine" / entry.file_name
    file.parent.mkdir()
    file.write_bytes(b"weights")
    done = run("zoo", "pull", entry.id, "--dir", file.parent)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == str(file)
    assert "no hash to check it by" in done.out
    done = run("zoo", "verify", file)
    assert done.code == 1 and "no hash is published" in done.out
    done = run("zoo", "pull", "hrnet/hrnet-w32_coco_256x192")
    assert done.code == 2
    assert "drive.google.com" in done.err and "pose_hrnet_w32_256x192.pth" in done.err
    assert run("zoo", "verify", tmp_path / "none.pth").code == 2


def test_inspect_takes_the_id_of_a_pulled_file(run: Run) -> None:
    done = run("inspect", RTMPOSE)
    assert done.code == 2 and f"posebench zoo pull {RTMPOSE}" in done.err
    assert run("eval", RTMPOSE).code == 2
    path = pulled_path(find_published(RTMPOSE))
    path.parent.mkdir(parents=True)
    small_checkpoint(path.with_suffix(".safetensors")).rename(path)
    done = run("inspect", RTMPOSE)
    assert done.code == 0 and str(path) in done.out
