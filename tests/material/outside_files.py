"""Where tests find what the repository cannot hold: real data, and MMPose's own environment."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
NO_TEST_DATA = "needs real test data: set POSEBENCH_TEST_DATA to their folder (CONTRIBUTING.md)"
NO_PEER = "needs MMPose 1.3.2: set POSEBENCH_PEER_PYTHON to its Python (CONTRIBUTING.md)"


def real_data_folder() -> Path | None:
    """Return the folder of real test data, or None where there is none.

    It is what POSEBENCH_TEST_DATA names, or else the folder `shared` beside the checkout.
    """
    folder = Path(os.environ.get("POSEBENCH_TEST_DATA") or CHECKOUT.parent / "shared").expanduser()
    return folder if (folder / "data").is_dir() else None


def peer_python() -> Path | None:
    """Return the interpreter of the environment that MMPose is installed in, or None."""
    default = "~/.cache/posebench-peer/bin/python"
    path = Path(os.environ.get("POSEBENCH_PEER_PYTHON") or default).expanduser()
    return path if path.is_file() else None


def peer_script() -> Path | None:
    """Return the script by which MMPose computes what is compared, or None where there is none.

    It is POSEBENCH_PEER_SCRIPT, or else `peer/mmpose_peer.py` in the folder of real test data.
    """
    default = (real_data_folder() or CHECKOUT) / "peer" / "mmpose_peer.py"
    path = Path(os.environ.get("POSEBENCH_PEER_SCRIPT") or default).expanduser()
    return path if path.is_file() else None
