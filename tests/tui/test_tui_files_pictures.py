"""A picture of the file manager and of each of its dialogs, compared with the one that was found good."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from textual.pilot import Pilot

from labbox.files.places.base import Space
from labbox.files.places.local import LocalPlace
from labbox.tui import browsing
from labbox.tui.app import LabboxApp

THEN = 1_795_262_400
FREE = 69 << 30


class Scene(NamedTuple):
    """Keys and the texts, | between, that show that the picture has come; “…text” among the keys waits."""

    name: str
    keys: tuple[str, ...]
    arrived: str
    size: tuple[int, int] = (100, 30)
    theme: str = "labbox-dark"
    more: tuple[str, ...] = ()  # files that are there beside those of all pictures


_TWO = ("end", "space", "up", "space")
_PAPERS = ("down", "down", "enter", "…▸~/papers")
_SCANS = (*"scans", "…Search: scans", "escape")
_TRASH = tuple(
    f"{part}/{name}"
    for name in ("old-run.csv", "figures.tar.zst", "notes.md")
    for part in (".local/share/Trash/files", ".local/share/Trash/info")
)

SCENES = (
    Scene("files", (), "2026-07.csv", (120, 34)),
    Scene("files-small", (), "F10Quit", (80, 24)),
    Scene("files-light", ("down", "space", "space"), "2 items", (120, 34), "labbox-light"),
    Scene("files-blue", ("down", "space"), "1 item", (80, 24), "labbox-blue"),
    Scene("files-sixteen", ("down", "space"), "1 item", (80, 24), "labbox-ansi"),
    Scene("tabs", ("ctrl+t", "down", "down", "enter", "…▸~/papers"), " papers "),
    Scene("search", ("2", "0"), "Search: 20"),
    Scene("filter", ("ctrl+f", *"csv"), "filter csv"),
    Scene("menu", ("f9", "right", "right"), "Go where one often is", (100, 34)),
    Scene("palette", ("ctrl+p", *"ren"), "Rename many"),
    Scene("help", ("f1",), "Delete to the trash", (100, 40)),
    Scene("copy", ("end", "up", "f5"), "Copy “run.sh” to:|onto itself"),
    Scene(
        "copy-many",
        ("end", "space", "up", "space", "tab", "down", "down", "enter", "…▸~/papers", "tab", "f5"),
        "Copy 2 items|nothing in the way",
    ),
    Scene(
        "conflicts",
        (*_TWO, "tab", *_PAPERS, "tab", "f5", "…F3 Each", "f3", "…Action", "o", "k", "up"),
        "what is there is replaced|Done",
        (80, 24),
        more=("papers/subjects.csv", "papers/run.sh"),
    ),
    Scene("move", ("end", "f6"), "Move “subjects.csv” to:|onto itself"),
    Scene("delete", ("end", "f8"), "1 file,"),
    Scene("erase", ("end", "f20"), "Nothing brings it back|1 file,"),
    Scene("mkdir", ("f7",), "Make a folder"),
    Scene("rename", ("end", "f18"), "New name"),
    Scene("rename-many", ("plus", *".csv", "enter", "…3 items", "ctrl+n"), "Rename 3 items"),
    Scene("place", ("alt+f1",), "Results of job"),
    Scene("jump", ("alt+c", "s", "tab"), "study/"),
    Scene("bookmarks", ("alt+b", "ctrl+backslash"), "Bookmarks"),
    Scene("find", ("alt+f7",), "Containing text"),
    Scene("pack", ("down", "down", "alt+f5"), "Pack “papers” into:|1 folder,"),
    Scene("chmod", ("end", "ctrl+x", "c"), "Octal"),
    Scene("quick-view", ("end", "up", "up", "up", "ctrl+q"), "pendulum", (120, 30)),
    Scene("trash", ("ctrl+x", "t", "…3 things", "space"), "1 marked", more=_TRASH),
    Scene("trash-restore", ("ctrl+x", "t", "…3 things", "end", "f5"), "1 is there", (80, 24), more=_TRASH),
    Scene("trash-empty", ("ctrl+x", "t", "…3 things", "e"), "Empty it", more=_TRASH),
    Scene("mask", ("plus", *"*.csv"), "Mark|*.csv"),
    Scene("new-file", ("f16",), "New file"),
    Scene("symlink", ("end", "ctrl+x", "s", "…Target", "down", "ctrl+u", *"study/all.csv"), "study/all.csv"),
    Scene("checksums", (*_TWO, "ctrl+x", "h"), "Checksums"),
    Scene("unpack", (*_SCANS, "alt+f6"), "Unpack|2 files", more=("scans.zip",)),
    Scene("archive", (*_SCANS, "enter"), "scans.zip!|monday.csv", more=("scans.zip",)),
    Scene("sync", ("tab", *_PAPERS, "tab", "ctrl+x", "y"), "Synchronise|files,|+ "),
    Scene("flat", ("ctrl+b",), "flat"),
    Scene("transfers", ("ctrl+x", "j"), "Copy raw"),
    Scene("undo", ("end", "f18", "…New name", "end", *".old", "enter", "…csv.old", "alt+z"), "Undo: rename"),
)


def furnish(home: Path, more: tuple[str, ...] = ()) -> None:
    """Some of everything, from one moment; what is there `more` is a day younger."""
    for name in ("study/code", "papers", "raw"):
        (home / name).mkdir(parents=True)
    for number, name in enumerate(("2026-07.csv", "2026-11.csv", "subjects.csv")):
        (home / name).write_text("a,b\n" * (number * 900 + 1))
    (home / "notes.md").write_text("# Notes\n\nthe pendulum swings\n")
    (home / "data.tar.zst").write_bytes(bytes(3_000_000))
    (home / "run.sh").write_text("true\n")
    (home / "run.sh").chmod(0o755)
    (home / "latest").symlink_to("study")
    (home / "lost").symlink_to("nowhere")
    (home / "odd\x1b[2J\nname").touch()
    for path in sorted(home.rglob("*"), reverse=True):
        os.utime(path, (THEN, THEN), follow_symlinks=False)
    for number, name in enumerate(more):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == "info":
            day = f"2026-11-{20 - number * 3:02d}T09:30:00"
            (path.parent / f"{path.name}.trashinfo").write_text(
                f"[Trash Info]\nPath=~/{'study/' * (number == 1)}{path.name}\nDeletionDate={day}\n"
            )
            continue
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                for scan in ("monday.csv", "deep/tuesday.csv"):
                    archive.writestr(zipfile.ZipInfo(scan, (2026, 11, 20, 9, 30, 0)), scan * 40)
        else:
            path.write_text(name * number if "Trash" in name else name)
        os.utime(path, (THEN + 86_400,) * 2)
        os.utime(path.parent, (THEN, THEN))


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_picture_of_the_files(
    scene: Scene,
    fakes: Any,
    snap_compare: Any,
    wait: Any,
    shown: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def space(self: LocalPlace, path: str) -> Space:
        return Space(2 * FREE, FREE)

    monkeypatch.setattr(browsing, "_free", lambda folder: FREE)
    monkeypatch.setattr("labbox.tui.screens.files.KEEP_AFTER", 1e6)  # or a slow one shows what it wrote
    monkeypatch.setattr(LocalPlace, "space", space)
    furnish(tmp_path, scene.more)
    box = fakes.full_box(60)
    box.add_transfer()
    app = LabboxApp(box, scene.theme)

    async def act(pilot: Pilot[int]) -> None:
        await wait(pilot, lambda: "ada (admin)@lab" in shown(pilot) and "Files on lab" in shown(pilot))
        await wait(pilot, lambda: "Copy raw" in shown(pilot) and shown(pilot).count("run.sh") == 2)
        await wait(pilot, lambda: all(each.free for each in app.screen.browsers.values()))  # type: ignore[attr-defined]
        for key in scene.keys:
            if key.startswith("…"):
                await wait(pilot, lambda text=key[1:]: text in shown(pilot))
            else:
                await pilot.press(key)
                await pilot.pause()
        await wait(pilot, lambda: all(part in shown(pilot) for part in scene.arrived.split("|")))
        await pilot.pause(0.3)

    try:
        assert snap_compare(app, terminal_size=scene.size, run_before=act)
    finally:
        box.close()
