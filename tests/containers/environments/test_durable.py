"""What was published just before a power cut is made again; what was flushed stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from labbox.daemon.containers.environments import durable
from labbox.daemon.containers.environments.durable import Marks


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "boot_id"
    path.write_text("first\n")
    monkeypatch.setattr(durable, "_BOOT", path)
    return path


def _marks(folder: Path) -> Marks:
    places = (folder / "environments", folder / "wheels")
    for place in places:
        place.mkdir(exist_ok=True)
    return Marks(folder / "durable", places)


def test_only_what_was_not_flushed_before_a_boot_is_doubtful(tmp_path: Path, boot: Path) -> None:
    marks = _marks(tmp_path)
    (tmp_path / "environments" / "from before marks").mkdir()
    assert marks.open() == []
    (tmp_path / "environments" / "flushed").mkdir()
    (tmp_path / "wheels" / "flushed").mkdir()
    assert marks.settle() == 2
    assert marks.settle() == 0
    late = tmp_path / "wheels" / "late"
    late.mkdir()
    (tmp_path / "environments" / "x.tmp-1").mkdir()
    assert _marks(tmp_path).open() == [], "a daemon started anew trusts the kernel"
    boot.write_text("second\n")
    assert _marks(tmp_path).open() == [late]


def test_a_folder_made_again_under_an_old_name_has_no_mark(tmp_path: Path, boot: Path) -> None:
    marks = _marks(tmp_path)
    marks.open()
    path = tmp_path / "environments" / "name"
    path.mkdir()
    marks.settle()
    marks.forget([path])
    path.rmdir()
    path.mkdir()
    boot.write_text("second\n")
    assert _marks(tmp_path).open() == [path]
