"""Pages of jobs by a part of their name: however it is looked up, all that have it, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sqlite3 import Connection

import pytest

from labbox.daemon.store import Store, jobs, pages
from labbox.model import JobKind, JobState, Resources

NAMES = (
    "Study 7",
    "study 77",
    "STRASSE",
    "Straße ß",
    "ab",
    'say "no"',
    "a*b OR c",
    "東京の実験",
    "x\tz",
    "Study 7",
)
PARTS = (
    *(
        "study",
        "study 7",
        "y 77",
        "strasse",
        "sse",
        "a",
        "ab",
        '"',
        '"no"',
        "* OR",
        "b OR",
        "東京",
        "京の実験",
    ),
    *("nothing", "q", "", "x\tz", "NEAR(", "study*", "folded:", "\0", "stu\0dy", "'; DROP", "--"),
)


def fill(db: Connection, count: int = 400) -> None:
    number = jobs.add_submission(db, spec="{}", handed="{}")
    for n in range(count):
        new = jobs.NewJob(
            kind=JobKind.CONTAINER,
            name=NAMES[n % len(NAMES)] + ("" if n % 3 else f" {n}"),
            owner=("ada", "grace")[n % 4 == 0],
            project=None,
            state=(JobState.QUEUED, JobState.HELD)[n % 7 == 0],
            submitted_at=n,
            day="2026/11/30",
            resources=Resources(cpus=1.0, memory=1, gpus=0),
            priority=0,
            time_limit=None,
            retries=0,
        )
        jobs.add(db, new, number)


def every(db: Connection, part: str, owner: str | None, states: tuple[JobState, ...]) -> list[int]:
    rows = db.execute("SELECT id, name, owner, state FROM jobs ORDER BY id DESC")
    return [
        row["id"]
        for row in rows
        if part.casefold() in row["name"].casefold()
        and owner in (None, row["owner"])
        and (not states or row["state"] in states)
    ]


@pytest.mark.parametrize("walks", [False, True], ids=["few are looked up", "many are walked through"])
async def test_a_part_of_a_name_finds_what_a_look_at_all_finds(
    store: Store, walks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if walks:
        monkeypatch.setattr(pages, "_NAMED", 1)
    await store.write(fill)
    for part in PARTS:
        for owner in (None, "grace"):
            for states in ((), (JobState.HELD,)):
                asked = {"owner": owner, "states": states, "name": part, "array": None}

                def both(db: Connection, asked: Mapping[str, object] = asked) -> tuple[list[int], list[int]]:
                    owner, states, part = asked["owner"], asked["states"], asked["name"]
                    wanted = every(db, part, owner, states)  # type: ignore[arg-type]
                    found, before = list[int](), None
                    while page := pages.page(db, limit=60, before=before, **asked):  # type: ignore[arg-type]
                        found += [row.id for row in page]
                        before = found[-1]
                    return found, wanted

                found, wanted = await store.read(both)
                assert found == wanted, (part, owner, states)


async def test_a_new_name_is_found_and_the_old_one_no_longer(store: Store) -> None:
    await store.write(lambda db: fill(db, 3))

    def rename(db: Connection) -> None:
        jobs.change(
            db, 1, submission=1, name="Müller-Lyer", resources=Resources(cpus=1.0, memory=1, gpus=0),
            priority=0, time_limit=None, retries=0, group=None,
        )  # fmt: skip

    await store.write(rename)

    def named(part: str) -> Callable[[Connection], list[int]]:
        return lambda db: [
            row.id
            for row in pages.page(db, owner=None, states=(), name=part, array=None, limit=9, before=None)
        ]

    assert await store.read(named("MÜLLER-l")) == [1]
    assert await store.read(named("study 7 0")) == []
