"""What a removed member owned stays with the project; names they made elsewhere show them nothing."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from passable import passable

from labbox.daemon.people import BOX, Account, People
from labbox.daemon.people.giving import Given, give
from labbox.protocol import UserAdd

pytestmark = pytest.mark.root
DEFAULT = b"\x02\x00\x00\x00" + b"".join(
    tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + b"\xff" * 4
    for tag, bits in ((1, 7), (4, 7), (32, 0))
)


async def add(people: People, *names: str) -> None:
    for name in names:
        await people.add(UserAdd(name=name), BOX)


async def account(people: People, name: str) -> Account:
    found = await people.account(name)
    assert found is not None
    return found


def as_user(one: Account, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import os\n{script}"],
        user=one.uid, group=one.gid, extra_groups=one.groups, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.attack("S18")
@pytest.mark.parametrize("removed", ["from the project", "from the box"])
async def test_a_hard_link_keeps_no_view_for_a_removed_member(
    people: People, state: Path, tried: Callable[..., None], removed: str
) -> None:
    passable(state)
    await add(people, "ada", "bob")
    project = await people.projects.add("atlas", ("ada", "bob"), BOX)
    ada, bob = await account(people, "ada"), await account(people, "bob")
    folder, home = state / "projects" / "atlas", bob.home
    made = as_user(ada, f"os.umask(0o002); open('{folder}/hers', 'w').write('ada\\'s')")
    assert made.returncode == 0, made.stderr
    (folder / "hers").chmod(0o664)  # as many programs leave it
    script = f"""
os.umask(0)
os.mkdir('{folder}/deep', 0o700); os.mkdir('{folder}/deep/er', 0o700)
for name in ('his', 'deep/er/his'):
    open('{folder}/' + name, 'w').write('bob\\'s')
os.chmod('{folder}/deep/er/his', 0o600)
os.symlink('/etc/passwd', '{folder}/link')
os.link('{folder}/hers', '{home}/hers'); os.link('{folder}/his', '{home}/his')
open('{home}/own', 'w').write('of home'); os.link('{home}/own', '{folder}/own')
"""
    linked = as_user(bob, script)  # as it was before the folders were disks of their own
    assert linked.returncode == 0, linked.stderr
    named = [(1, 6, -1), (2, 6, bob.uid), (4, 6, -1), (16, 6, -1), (32, 4, -1)]  # `setfacl -m u:bob:rw`
    access = b"".join(struct.pack("<HHi", *entry) for entry in named)
    os.setxattr(folder / "hers", "system.posix_acl_access", struct.pack("<I", 2) + access)
    if removed == "from the box":
        await people.remove("bob", delete_files=False, by=BOX)
        aside = next((state / "homes").glob("bob~*"))
        aside.chmod(0o755)
        gone = bob
        for kept, shown in ((aside / "hers", "hers"), (aside / "his", "his"), (aside / "own", "own")):
            shutil.move(kept, state / f"seen-{shown}")
        seen = {name: str(state / f"seen-{name}") for name in ("hers", "his", "own")}
        without = Account(**{**{f: getattr(gone, f) for f in gone.__struct_fields__}, "groups": ()})
    else:
        await people.projects.leave("atlas", "bob", BOX)
        without = await account(people, "bob")
        seen = {name: f"{home}/{name}" for name in ("hers", "his", "own")}
    for path in seen.values():
        for mode in ("r", "a"):
            tried()
            opened = as_user(without, f"open('{path}', '{mode}')")
            assert "PermissionError" in opened.stderr, (path, mode, opened.stderr)
        tried()
        assert "PermissionError" in as_user(without, f"os.chmod('{path}', 0o666)").stderr
    for name in ("his", "own", "deep", "deep/er", "deep/er/his", "link"):
        status = (folder / name).lstat()
        assert (status.st_uid, status.st_gid) == (project.gid, project.gid), name
    assert (folder / "hers").stat().st_uid == ada.uid
    assert Path("/etc/passwd").stat().st_uid == 0
    hers = as_user(
        ada, f"open('{folder}/deep/er/his', 'a').write('and ada\\'s'); os.mkdir('{folder}/deep/new')"
    )
    assert hers.returncode == 0, hers.stderr
    assert (await people.audit_page()).entries[0].action in ("project files given", "user removed")
    given = [one for one in (await people.audit_page()).entries if one.action == "project files given"]
    assert [(one.target, one.detail) for one in given] == [
        ("atlas", f"of uid {bob.uid}: 6 things; 3 hard links closed")
    ]


@pytest.mark.attack("S18")
def test_what_is_swapped_meanwhile_leads_nowhere_else(tmp_path: Path, tried: Callable[..., None]) -> None:
    """Somebody exchanges a folder of theirs and a link to a victim's all the time while root walks."""
    victim, folder = tmp_path / "victim", tmp_path / "project"
    victim.mkdir()
    (victim / "secret").write_text("x")
    os.chown(victim / "secret", 70001, 70001)  # of the same person, but outside
    (victim / "secret").chmod(0o604)
    folder.mkdir()
    folder.chmod(0o777)
    passable(tmp_path)
    swap = f"""
import os
os.chdir({str(folder)!r})
os.umask(0); os.mkdir('a'); open('a/secret', 'w').close(); os.symlink({str(victim)!r}, 'b')
print('ready', flush=True)
while True:
    os.rename('a', 'c'); os.rename('b', 'a'); os.rename('a', 'b'); os.rename('c', 'a')
"""
    swapping = subprocess.Popen(
        [sys.executable, "-c", swap], user=70001, group=70001, extra_groups=(), stdout=subprocess.PIPE
    )
    try:
        assert swapping.stdout is not None
        assert swapping.stdout.readline() == b"ready\n"
        for _ in range(400):
            tried()
            give(folder, 70001, 75000, DEFAULT)
            status = (victim / "secret").stat()
            assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (70001, 70001, 0o604)
            assert victim.stat().st_uid == 0
    finally:
        swapping.kill()
        swapping.communicate()


def test_very_deep_and_very_wide_folders_are_walked_with_few_descriptors(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.chown("d", 70001, 70001, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    for number in range(1500):
        (tmp_path / f"w{number}").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert give(tmp_path, 70001, 75000, DEFAULT) == Given(things=3000)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert give(tmp_path, 70001, 75000, DEFAULT) == Given()
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)
