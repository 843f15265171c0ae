"""Checkpoints by their Hugging Face id, such as `usyd-community/vitpose-base-simple`.

huggingface_hub (extra `hub`) fetches what its cache lacks; what the cache has is used as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

from posebench.errors import CheckpointError

# An owner, a name, and the revision, if one is asked for.
_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_NEEDED = ("config.json", "model.safetensors")
# Endings of checkpoint files: a path that is not there is no id.
_ENDINGS = (
    ".pth", ".pt", ".tar", ".onnx", ".xml", ".bin", ".zip", ".safetensors", ".json", ".yaml",
)  # fmt: skip
_SNAPSHOTS, _MODELS = "snapshots", "models--"


def is_hub_id(argument: str) -> bool:
    """Tell whether a name that is no file may be an id: `owner/name`, `owner/name@revision`."""
    found = _ID.fullmatch(argument)
    if found is None or found[1].lower().endswith(_ENDINGS):
        return False
    owner = found[1].partition("/")[0]
    return owner not in (".", "..") and not Path(owner).is_dir()


def hub_folder(argument: str) -> Path:
    """Return the folder that holds a repository's model, fetched if the cache lacks it.

    Raises `CheckpointError` if it is not there and cannot be fetched, with the reason and what to
    do about it.
    """
    found = _ID.fullmatch(argument)
    assert found is not None
    repository, revision = found.groups()
    try:
        import huggingface_hub
    except ImportError:
        raise _absent(
            argument,
            "To load it from Hugging Face, huggingface_hub is needed.",
            'Run: pip install "posebench-pose[hub]"',
        ) from None
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def snapshot(*, only_cached: bool) -> Path:
        fetched = huggingface_hub.snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(_FILES),
            local_files_only=only_cached,
        )
        return Path(str(fetched))

    try:
        try:
            folder = snapshot(only_cached=True)
            if all((folder / name).is_file() for name in _NEEDED):
                return folder
        except LocalEntryNotFoundError:
            pass
        return snapshot(only_cached=False)
    except GatedRepoError:
        why = f"{repository} on Hugging Face asks you to accept its terms."
        raise _absent(argument, why, "Accept them on its page, then run `hf auth login`.") from None
    except RepositoryNotFoundError:
        why = "Hugging Face has no repository of that name, or it is private."
        raise _absent(
            argument, why, "Check the name; for a private one run `hf auth login`."
        ) from None
    except RevisionNotFoundError:
        why = f"{repository} on Hugging Face has no revision {revision}."
        raise _absent(argument, why, "Name a branch, a tag or a commit behind the @.") from None
    except LocalEntryNotFoundError:
        raise _unreachable(argument) from None
    except (OSError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise _absent(argument, f"It cannot be fetched from Hugging Face: {said}", None) from None


def hub_name(path: Path) -> str | None:
    """Return the id of a repository whose folder in the cache this is, or None if it is none."""
    if path.parent.name != _SNAPSHOTS or not path.parent.parent.name.startswith(_MODELS):
        return None
    return path.parent.parent.name.removeprefix(_MODELS).replace("--", "/")


def checkpoint_name(path: Path) -> str:
    """Return what a checkpoint goes by: its name on Hugging Face, a folder's, or a file's stem."""
    hub = hub_name(path)
    if hub is not None:
        return hub.rpartition("/")[2]
    return path.name if path.is_dir() else path.stem


def _unreachable(argument: str) -> CheckpointError:
    """Return the error that neither network nor cache has a repository."""
    from huggingface_hub import constants

    why = f"It is not in Hugging Face's cache ({constants.HF_HUB_CACHE}), and "
    if constants.HF_HUB_OFFLINE:
        return _absent(
            argument,
            why + "HF_HUB_OFFLINE is set, so it is not fetched.",
            "Unset HF_HUB_OFFLINE, or fetch it on a machine with a network and copy its folder "
            "into the cache.",
        )
    return _absent(
        argument,
        why + "Hugging Face cannot be reached.",
        "Check the network, or fetch it on another machine and copy its folder into the cache.",
    )


def _absent(argument: str, why: str, hint: str | None) -> CheckpointError:
    what = f"There is no file {argument}, and no embedded or published checkpoint of that name."
    return CheckpointError(f"{what} {why}", hint=hint)
