"""Every screen and dialog as a scene: size, theme, and the keys that lead there from the first screen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Scene(NamedTuple):
    """How to come to a picture: keys to press, and texts, | between, that show that one has arrived.

    Among the keys, “…text” waits for a text.
    """

    name: str
    keys: tuple[str, ...]
    arrived: str
    size: tuple[int, int] = (100, 30)
    theme: str = "labbox-dark"
    start: str = "jobs"


SCENES = (
    Scene("jobs", (), "F10Quit", (120, 32)),
    Scene("jobs-small", (), "F10Quit", (80, 24)),
    Scene("jobs-light", ("down", "space", "space"), "2 marked", (120, 32), "labbox-light"),
    Scene("jobs-blue", (), "F10Quit", (80, 24), "labbox-blue"),
    Scene("jobs-sixteen", ("space",), "1 marked", (80, 24), "labbox-ansi"),
    Scene("jobs-large", (), "F10Quit", (200, 50)),
    Scene("filter", ("slash", *"eeg", "enter"), "with “eeg”: 5"),
    Scene("menu", ("f9", "right"), "Kill at once", (80, 24)),
    Scene("palette", ("ctrl+p", *"job"), "Waiting jobs"),
    Scene("help", ("f1",), "Submit a project folder"),
    Scene("cancel", ("f8",), "Cancel job 1000", (80, 24)),
    Scene("why", ("down", "down", "down", "w"), "grace used less"),
    Scene("rerun", ("f6",), "Run job 1000 again", (80, 24)),
    Scene("priority", ("equals_sign",), "Higher goes first", (80, 24)),
    Scene("log", ("f3",), "end of log|SEED=7", (100, 30)),
    Scene("log-search", ("f3", "slash", *"trial  5", "enter"), "trial  55|SEED=7"),
    Scene("info", ("f4",), "peak memory", (100, 40)),
    Scene("history", ("t",), "Peak memory"),
    Scene("accounting", ("H",), "0.34 h"),
    Scene("array", ("down", "down", "down", "down", "a"), "✓ succeeded 17"),
    Scene("graph", ("down", "down", "down", "g"), "└─ 996"),
    Scene("submit", ("f2", "down", "down", "enter"), "F2 submits it."),
    Scene("folder", ("f2",), "study/", (80, 24)),
    Scene("results", ("f5",), "table.csv"),
    Scene("results-table", ("f5", "…table.csv", "end", "enter"), "sub-20"),
    Scene("results-picture", ("f5", "…figure.png", "down", "enter"), "120 × 80"),
    Scene("notices", ("n",), "Nothing to tell"),
    Scene("usage", ("S",), "912.0"),
    Scene("box", ("B",), "✓ healthy", (100, 36)),
    Scene("users", ("U",), "katherine"),
    Scene("users-add", ("U", "f2"), "Add a user"),
    Scene("projects", ("P",), "tides"),
    Scene("projects-add", ("P", "…tides", "f2"), "Make a project", (80, 24)),
    Scene("projects-remove", ("P", "…tides", "f8"), "Delete its files", (80, 24)),
    Scene("account", ("A",), "nightly"),
)


def furnish(home: Path) -> None:
    """Projects and the results of job 1000 below a home, with times that stand still."""
    from PIL import Image

    output = home / "jobs/2026/11/21/1000/output"
    output.mkdir(parents=True)
    rows = [f"sub-{n:02d},{'ab'[n % 2]},{0.31 + n / 100:.3f}" for n in range(1, 21)]
    (output / "table.csv").write_text("participant,condition,mean_rt\n" + "\n".join(rows) + "\n")
    picture = Image.new("RGB", (120, 80))
    picture.putdata([(x * 2, y * 3, 120) for y in range(80) for x in range(120)])
    picture.save(output / "figure.png")
    (output / "notes.txt").write_text("first line\nsecond \x1b]0;title\x07 line\n")
    (output / "raw").mkdir()
    (output / "raw" / "data.bin").write_bytes(bytes(range(256)))
    (home / "study" / "code").mkdir(parents=True)
    (home / "study" / "code" / "app.py").write_text("print(1)\n")
    (home / "papers" / "pendulum").mkdir(parents=True)
    (home / "papers" / "pendulum" / "run.sh").write_text("true\n")
    for path in (output, *output.rglob("*")):
        os.utime(path, (1795262400, 1795262400))
