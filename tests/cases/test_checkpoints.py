"""Checkpoints under other names, with other keypoints or weights than they seem, and mad specs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import config_text, make_model, save_mmpose


def saved(path: Path, state: Any, **more: Any) -> Path:
    torch.save({"meta": {"cfg": config_text("heatmap")}, "state_dict": state, **more}, path)
    return path


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "model.", "_orig_mod.net."])
def test_40_prefixes_that_all_names_share(run: Any, tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}{name}": each for name, each in make_model("heatmap").state_dict().items()}
    done = run("inspect", saved(tmp_path / "compiled.pth", state))
    assert done.code == 0, done
    (said,) = [line for line in done.out.splitlines() if "left out of the tensors' names:" in line]
    assert sorted(said.partition(": ")[2].split(", ")) == sorted(re.findall(r"\w+\.", prefix))


def test_42_a_config_that_says_animals(run: Any, tmp_path: Path) -> None:
    text = config_text("heatmap").replace("CocoDataset", "AnimalKingdomDataset")
    assert "AnimalKingdomDataset" in text
    save_mmpose(tmp_path / "net.pth", "heatmap", cfg=text)
    done = run("inspect", tmp_path / "net.pth")
    assert (
        done.code == 2 and "AnimalKingdomDataset: its keypoints are not a built-in set" in done.out
    )
    assert "--spec" in done.out


def test_42_a_file_name_that_says_animals(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "rtmpose-t_simcc-apt36k_pt-aic-coco_210e-64x48-7a041aa1_20230206.pth"
    torch.save({"state_dict": make_model("rtmcc").state_dict()}, path)
    done = run("inspect", path)
    assert done.code == 2
    assert "file name: apt36k, whose keypoints are not a built-in set" in done.out


def test_43_averaged_weights_beside_the_last_steps(run: Any, tmp_path: Path) -> None:
    state = make_model("heatmap").state_dict()
    zeros = {name: torch.zeros_like(each) for name, each in state.items()}
    path = saved(tmp_path / "two.pth", zeros, state_dict_ema=state)
    done = run("inspect", path)
    assert done.code == 0, done
    assert "averaged  (state_dict_ema: " in done.out
    assert "dropped: the last step's weights" in done.out


@pytest.mark.parametrize("ratio", ["0.0", "nan", "-2.0", "0", "1e400", "None"])
def test_53_split_ratios_that_mean_nothing(run: Any, tmp_path: Path, ratio: str) -> None:
    text = config_text("rtmcc")
    assert "simcc_split_ratio=2.0" in text
    text = text.replace("simcc_split_ratio=2.0", f"simcc_split_ratio={ratio}")
    save_mmpose(tmp_path / "net.pth", "rtmcc", cfg=text)
    done = run("inspect", tmp_path / "net.pth")
    assert done.code == 2, done
    assert "split_ratio" in done.out + done.err


def doubled() -> str:
    """Return 40 lists of YAML that each hold the one before twice."""
    lists = (f"- &a{index} [*a{index - 1},*a{index - 1}]" for index in range(1, 40))
    return "\n".join(["input_size:", "- &a0 [x,x]", *lists])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (doubled(), "stands for more than 100000 values"),
        ("a: " + "[" * 25_000 + "]" * 25_000, "is nested too deeply"),
        ("a: " + "{b: " * 9_000 + "}" * 9_000, "is nested too deeply"),
    ],
)
def test_52_yaml_that_grows_or_goes_deep(run: Any, tmp_path: Path, text: str, said: str) -> None:
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text(text)
    empty = tmp_path / "none.json"
    empty.write_text("{}")
    for command in (
        ("inspect", "heatmap-s", "--spec", bomb),
        ("eval", "heatmap-s", "--spec", bomb),
        ("score", empty, "--ann", empty, "--dataset", bomb),
        ("run", bomb),
        ("suite", "validate", bomb),
        ("train", bomb, "--out", tmp_path / "out"),
    ):
        done = run(*command)
        assert done.code == 2 and said in done.err, (command, done)
