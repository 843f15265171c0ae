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
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise _absent(
            argument,
            "To load it from Hugging Face, huggingface_hub is needed.",
            'Run: pip install "posebench-pose[hub]"',
        ) from None
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return _cached(argument) or _snapshot(argument, only_cached=False)
    except GatedRepoError:
        why, hint = "Its terms have to be accepted.", "Do so on its page, then run `hf auth login`."
    except RepositoryNotFoundError:
        why = "Hugging Face has no repository of that name, or it is private."
        hint = "Check the name; for a private one run `hf auth login`."
    except RevisionNotFoundError:
        why = "The repository on Hugging Face has no such revision."
        hint = "Name a branch, a tag or a commit behind the @."
    except LocalEntryNotFoundError:
        why, hint = _unreachable()
    except (HfHubHTTPError, OSError, ValueError) as error:
        why = f"It cannot be fetched from Hugging Face: {str(error).strip().partition(chr(10))[0]}"
        hint = "Check the name and the network."
    raise _absent(argument, why, hint)


def _cached(argument: str) -> Path | None:
    """Return the folder of a repository that the cache has whole, or None."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _snapshot(argument, only_cached=True)
    except LocalEntryNotFoundError:
        return None
    return folder if all((folder / name).is_file() for name in _NEEDED) else None


def _snapshot(argument: str, *, only_cached: bool) -> Path:
    """Return the folder of a repository's files, as huggingface_hub finds or fetches them."""
    import huggingface_hub

    found = _ID.fullmatch(argument)
    assert found is not None
    fetched = huggingface_hub.snapshot_download(
        found[1],
        revision=found[2],
        allow_patterns=list(_FILES),
        local_files_only=only_cached,
    )
    return Path(str(fetched))


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


def _unreachable() -> tuple[str, str]:
    """Return why neither network nor cache has a repository, and what to do about it."""
    from huggingface_hub import constants

    why = f"It is not in Hugging Face's cache ({constants.HF_HUB_CACHE}), and "
    copy = "fetch it on a machine with a network and copy its folder into the cache."
    if constants.HF_HUB_OFFLINE:
        said = "HF_HUB_OFFLINE is set, so it is not fetched."
        return why + said, f"Unset HF_HUB_OFFLINE, or {copy}"
    return why + "Hugging Face cannot be reached.", f"Check the network, or {copy}"


def _absent(argument: str, why: str, hint: str) -> CheckpointError:
    what = f"There is no file {argument}, and no embedded or published checkpoint of that name."
    return CheckpointError(f"{what} {why}", hint=hint)
