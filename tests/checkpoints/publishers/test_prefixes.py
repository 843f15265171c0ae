"""Names of tensors with the prefixes of DataParallel, torch.compile, FSDP and Lightning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_networks import make_model, save_mmpose

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.publishers.prefixes import without_wrappers
from posebench.errors import CheckpointError
from posebench.networks.model import PoseModel


def assert_equal(checkpoint: Checkpoint, model: PoseModel) -> None:
    assert isinstance(checkpoint.network, PoseModel)
    found = checkpoint.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("_orig_mod.", "_orig_mod."),
        ("module._orig_mod.", "_orig_mod., module."),
        ("module.", "module."),
        ("model.", "model."),
        ("model.net.", "model., net."),
        ("_fsdp_wrapped_module.", "_fsdp_wrapped_module."),
    ],
)
def test_what_all_names_share_is_left_out_with_a_note(
    prefix: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "best.pth"
    model = save_mmpose(path, "heatmap", legacy=False)
    content = torch.load(path, weights_only=True)
    content["state_dict"] = {f"{prefix}{n}": t for n, t in content["state_dict"].items()}
    torch.save(content, path)
    checkpoint = load_checkpoint(path)
    assert_equal(checkpoint, model)
    assert checkpoint.provenance["left out of the tensors' names"] == said


def test_a_part_that_was_compiled_alone(tmp_path: Path) -> None:
    path, model = tmp_path / "best.pth", make_model("rtmcc")
    state = {
        n.replace("backbone.", "backbone._orig_mod."): t for n, t in model.state_dict().items()
    }
    torch.save(state, path)
    assert_equal(load_checkpoint(path), model)


def test_names_of_the_network_itself_stay() -> None:
    shape = torch.zeros(1)
    for names in (["backbone.a", "backbone.b"], ["a.x", "b.x"], ["steps", "module.a"], ["a.x"]):
        assert without_wrappers(dict.fromkeys(names, shape)) == (dict.fromkeys(names, shape), "")
    with pytest.raises(CheckpointError, match="two tensors of this file have one name"):
        without_wrappers({"a._orig_mod.x": shape, "a.x": shape})
