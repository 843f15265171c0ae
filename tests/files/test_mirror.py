"""A folder's copy at a URL: complete, made of whole files, and never at the cost of the folder."""

from __future__ import annotations

import logging
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from posebench.errors import MissingExtraError, UsageError
from posebench.files.mirror import Mirror

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = uuid.uuid4().hex
    return f"memory://{name}/run" if request.param == "memory" else f"file://{tmp_path}/{name}/run"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"run.yaml": "a", "cells/x.json": "xx", "cells/.hidden": "h"}.items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "own"


def visible(name: Path) -> bool:
    return not name.name.startswith(".")


def at(url: str) -> dict[str, bytes]:
    system, root = fsspec.core.url_to_fs(url)
    return {str(path).removeprefix(f"{root}/"): system.cat_file(path) for path in system.find(root)}


def test_what_was_copied_comes_back(url: str, folder: Path, tmp_path: Path) -> None:
    assert Mirror(url, folder, visible).push_all()
    assert at(url) == {"run.yaml": b"a", "cells/x.json": b"xx"}
    other = tmp_path / "other"
    (other / "cells").mkdir(parents=True)
    (other / "run.yaml").write_text("own")
    assert Mirror(url, other, visible).fetch() == 1
    assert (other / "cells/x.json").read_text() == "xx"
    assert (other / "run.yaml").read_text() == "own"
    assert sorted(path.name for path in other.rglob("*")) == ["cells", "run.yaml", "x.json"]


def test_a_mirror_that_is_not_there_yet_is_empty(url: str, folder: Path) -> None:
    assert Mirror(url, folder, visible).fetch() == 0


def test_a_file_that_changed_is_copied_again_and_no_other(url: str, folder: Path) -> None:
    mirror = Mirror(url, folder, visible)
    mirror.push([folder / "run.yaml", folder / "cells/x.json"])
    system, root = fsspec.core.url_to_fs(url)
    system.pipe_file(f"{root}/cells/x.json", b"zz")
    (folder / "run.yaml").write_text("b")
    assert mirror.push([folder / "run.yaml", folder / "cells/x.json"])
    assert at(url) == {"run.yaml": b"b", "cells/x.json": b"zz"}
    (folder / "cells/x.json").write_text("longer")
    assert mirror.push_all()
    assert at(url)["cells/x.json"] == b"longer"


def test_files_of_equal_size_are_told_apart_by_content_where_that_is_asked_for(
    url: str, folder: Path
) -> None:
    assert Mirror(url, folder, visible).push_all()
    (folder / "cells/x.json").write_text("yy")
    (folder / "run.yaml").write_text("b")
    assert Mirror(url, folder, visible, lambda name: name.parts[0] == "cells").push_all()
    assert at(url) == {"run.yaml": b"a", "cells/x.json": b"yy"}


def test_what_cannot_be_copied_is_said_and_costs_nothing_else(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror(url, folder, visible)
    put = mirror._system.put_file

    def refuse(source: str, *others: Any, **more: Any) -> None:
        if source.endswith("x.json"):
            raise OSError(28, "No space left on device")
        put(source, *others, **more)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(mirror._system, "put_file", refuse)
        assert not mirror.push_all()
    assert "x.json is not in the mirror" in caplog.text and "No space left" in caplog.text
    assert at(url) == {"run.yaml": b"a"}
    assert mirror.push_all()
    assert at(url)["cells/x.json"] == b"xx"


def test_a_url_that_nothing_knows(folder: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        Mirror("nowhere://x", folder, visible)


def test_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError) as raised:
        Mirror("memory://x", folder, visible)
    assert "[mirror]" in str(raised.value.hint)
