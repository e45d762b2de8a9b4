"""Projects: a gid, a folder, members; what is shared is reached by those who share it and by nobody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from passable import passable

from labbox.custom import Configuration
from labbox.daemon.people import BOX, Account, People
from labbox.daemon.store import Store, events
from labbox.errors import LabboxError
from labbox.protocol import UserAdd

pytestmark = pytest.mark.root


async def add(people: People, *names: str) -> list[Account]:
    for name in names:
        await people.add(UserAdd(name=name), BOX)
    found = [await people.account(name) for name in names]
    return [one for one in found if one is not None]


def as_user(account: Account, script: str) -> subprocess.CompletedProcess[str]:
    """Run it with the account's ids, as a session of theirs has them."""
    return subprocess.run(
        [sys.executable, "-c", f"import os; os.umask(0o027)\n{script}"],
        user=account.uid,
        group=account.gid,
        extra_groups=account.groups,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_project_is_a_gid_with_a_folder_and_members(
    people: People, store: Store, state: Path
) -> None:
    ada, grace = await add(people, "ada", "grace")
    made = await people.projects.add("atlas", ("ada",), BOX)
    assert made.members == ("ada",)
    assert people.projects.folders("ada") == {"atlas": str(state / "projects" / "atlas")}
    assert people.projects.folders("grace") == {}
    assert [one.name for one in people.projects.page(grace).projects] == []
    await people.projects.join("atlas", "grace", BOX)
    assert [one.members for one in people.projects.page(grace).projects] == [("ada", "grace")]
    await people.projects.leave("atlas", "ada", BOX)
    assert people.projects.folders("ada") == {}
    groups = {name: found.groups for name in ("ada", "grace") if (found := await people.account(name))}
    assert made.gid in groups["grace"]
    assert made.gid not in groups["ada"]
    assert groups["ada"] == ada.groups
    status = (state / "projects" / "atlas").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, made.gid, 0o2770)
    heard = await store.read(lambda db: events.after(db, 0, limit=100, reader="grace"))
    assert [one.kind for one in heard].count("project") == 3
    page = await people.audit_page()
    assert [(one.action, one.target, one.detail) for one in page.entries[:3]] == [
        ("project member remove", "atlas", "ada"),
        ("project member add", "atlas", "grace"),
        ("project add", "atlas", "ada"),
    ]


async def test_what_one_puts_there_the_others_can_work_on(people: People, state: Path) -> None:
    passable(state)
    await add(people, "ada", "grace", "eve")
    await people.projects.add("atlas", ("ada", "grace"), BOX)
    ada, grace, eve = [await people.account(name) for name in ("ada", "grace", "eve")]
    assert ada is not None
    assert grace is not None
    assert eve is not None
    for folder, others in ((state / "shared", (grace, eve)), (state / "projects/atlas", (grace,))):
        made = as_user(ada, f"os.mkdir('{folder}/raw'); open('{folder}/raw/a', 'w').write('ada')")
        assert made.returncode == 0, made.stderr
        for other in others:
            changed = as_user(other, f"open('{folder}/raw/a', 'a').write('{other.name}')")
            assert changed.returncode == 0, changed.stderr
    refused = as_user(eve, f"open('{state}/projects/atlas/raw/a').read()")
    assert "PermissionError" in refused.stderr
    assert "PermissionError" in as_user(eve, f"os.listdir('{state}/projects')").stderr


async def test_who_shares_what_lives_through_a_restart(
    people: People, store: Store, configuration: Configuration, state: Path
) -> None:
    await add(people, "ada")
    made = await people.projects.add("atlas", ("ada",), BOX)
    again = People(store, configuration, state)
    await again.start()
    await again.close()
    assert again.projects.folders("ada") == {"atlas": str(state / "projects" / "atlas")}
    ada = await again.account("ada")
    assert ada is not None
    assert made.gid in ada.groups


async def test_a_removed_project_keeps_its_files_unless_they_are_to_go(people: People, state: Path) -> None:
    await people.projects.add("atlas", (), BOX)
    folder = state / "projects/atlas"
    (folder / "raw").mkdir()
    await people.projects.remove("atlas", delete_files=False, by=BOX)
    assert (folder / "raw").is_dir()
    with pytest.raises(LabboxError, match="of an earlier one is still there"):
        await people.projects.add("atlas", (), BOX)
    (folder / "raw").rmdir()
    folder.rmdir()
    first = await people.projects.add("atlas", (), BOX)
    await people.projects.remove("atlas", delete_files=True, by=BOX)
    assert not folder.exists()
    assert (await people.projects.add("atlas", (), BOX)).gid != first.gid  # none is given twice


async def test_whoever_gets_a_name_later_is_in_no_project(people: People, state: Path) -> None:
    await add(people, "ada")
    await people.projects.add("atlas", ("ada",), BOX)
    await people.add(UserAdd(name="boss", admin=True), BOX)
    await people.remove("ada", delete_files=True, by=BOX)
    for left in ("homes", "results"):
        for name in (state / left).glob("ada"):
            subprocess.run(["rm", "-rf", str(name)], check=True)
    await add(people, "ada")
    assert people.projects.folders("ada") == {}


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "A", "x" * 33, "\x1b[1m", "größe"])
async def test_names_that_cannot_be_are_refused(people: People, name: str) -> None:
    with pytest.raises(LabboxError, match="as a project's name") as caught:
        await people.projects.add(name, (), BOX)
    assert "\x1b" not in caught.value.message


async def test_who_or_what_is_not_there_is_said(people: People) -> None:
    await people.projects.add("atlas", (), BOX)
    for refused, words in (
        (people.projects.add("atlas", (), BOX), "there is one of that name"),
        (people.projects.add("other", ("eve",), BOX), "cannot find a user “eve”"),
        (people.projects.join("atlas", "eve", BOX), "cannot find a user “eve”"),
        (people.projects.leave("atlas", "eve", BOX), "they are not in it"),
        (people.projects.join("none", "eve", BOX), "cannot find a project “none”"),
        (people.projects.remove("none", delete_files=False, by=BOX), "cannot find a project “none”"),
    ):
        with pytest.raises(LabboxError, match=words):
            await refused
