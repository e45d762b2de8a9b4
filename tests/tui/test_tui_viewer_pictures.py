"""A picture of the viewer over a file of each kind, compared with the one that was found good."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from textual.pilot import Pilot

from labbox.locations import parse
from labbox.tui.app import LabboxApp
from labbox.tui.screens.viewer import ViewerScreen

STUDY = Path(__file__).parent.parent / "files/viewing/study.h5"
CODE = """'What the study does.'
import time


def trial(delay: float) -> str:
    # wait, then answer
    time.sleep(delay)
    return f"{delay:.3f} s"


for n in range(40):
    print(trial(n / 100), "übung \x1b[2J")
"""
TEXT = """# Reaction time

People press a key **as fast** as they can; see `app.py`.

1. read
2. press
   - left
   - right

> Ready?

| id | rt |
|---|---|
| sub-01 | 0.31 |
"""


def furnish(home: Path) -> None:
    """One file of each kind, the same at every run."""
    (home / "app.py").write_text(CODE + "\x1b]0;title\x07 end\n")
    (home / "README.md").write_text(TEXT)
    rows = [f"sub-{n:02d},{'ab'[n % 2]},{0.3 + n / 100:.3f}\n" for n in range(60)]
    (home / "table.csv").write_text("participant,condition,rt\n" + "".join(rows))
    picture = Image.new("RGB", (120, 80))
    picture.putdata([(x * 2, y * 3, 120) for y in range(80) for x in range(120)])
    picture.save(home / "figure.png")
    (home / "study.h5").write_bytes(STUDY.read_bytes())
    numpy.save(home / "latency.npy", numpy.arange(60.0).reshape(20, 3) / 7)
    (home / "data.bin").write_bytes(bytes(range(256)) * 4)
    answer = {"output_type": "execute_result", "data": {"text/plain": "0.41"}}
    failure = {"output_type": "error", "traceback": ["\x1b[31mZeroDivisionError\x1b[0m: division by zero"]}
    cells = [
        {"cell_type": "markdown", "source": ["## Analysis\n", "of *reaction times*"]},
        {"cell_type": "code", "execution_count": 1, "source": "mean(rt)", "outputs": [answer]},
        {"cell_type": "code", "execution_count": 2, "source": "1 / 0", "outputs": [failure]},
    ]
    (home / "analysis.ipynb").write_text(json.dumps({"cells": cells}))
    with zipfile.ZipFile(home / "runs.zip", "w") as held:
        for name in ("notes.txt", "raw/run1.csv", "raw/run2.csv"):
            held.writestr(name, "x" * 3000)


KINDS = {
    "code": ("app.py", (), "def trial"),
    "search": ("app.py", ("f7", *"delay", "enter"), "trial"),
    "numbers": ("app.py", ("l",), "   12 "),
    "hex": ("data.bin", (), "00000180"),
    "table": ("table.csv", (), "60 rows"),
    "picture": ("figure.png", (), "120 × 80"),
    "hdf5": ("study.h5", (), "@subject"),
    "array": ("latency.npy", (), "0.1428571"),
    "markdown": ("README.md", (), "Ready?"),
    "notebook": ("analysis.ipynb", (), "ZeroDivisionError"),
    "archive": ("runs.zip", (), "run2.csv"),
    "goto": ("app.py", ("f5",), "Go to"),
    "asked": ("data.bin", ("f7",), "Match case"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_picture(kind: str, fakes: Any, snap_compare: Any, wait: Any, shown: Any, tmp_path: Path) -> None:
    furnish(tmp_path)
    name, keys, arrived = KINDS[kind]
    box = fakes.full_box(5)
    app = LabboxApp(box, "labbox-dark")

    async def act(pilot: Pilot[int]) -> None:
        await wait(pilot, lambda: app.status is not None and app.caller is not None)
        screen = ViewerScreen(parse(f"~/{name}"))
        await app.push_screen(screen)
        await wait(pilot, lambda: screen.file.source is not None and screen.file.children)
        text = screen.text
        if text is not None and name.endswith(".py"):
            await wait(pilot, lambda: any(text._marks))
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await wait(pilot, lambda: arrived in shown(pilot))
        if kind == "search":
            await wait(pilot, lambda: text is not None and text.match is not None and not text.note)
        await pilot.pause()

    try:
        assert snap_compare(app, terminal_size=(90, 28), run_before=act)
    finally:
        box.close()
