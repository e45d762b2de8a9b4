"""Packages that exist as source only: built by anybody's code, which changes nothing that others use."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_packages import backend

from labbox.errors import LabboxError

BUILDER = 69998


@pytest.fixture
async def building_box(open_box: Callable[..., Any], links: Path) -> Any:
    """A box that has the machine's own index too: the build needs pip."""
    environ = dict(os.environ)
    return await open_box(
        {**environ, "PIP_FIND_LINKS": f"{environ.get('PIP_FIND_LINKS', '')} {links}".strip()}
    )


def content(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


EVIL = """
import glob, os
said = ["%d" % os.getuid()]
own = [STATE + "/" + name for name in ("wheels", "environments", "environments-cache")]
for folder in (*own, "/build/..", "/labbox", "/usr"):
    try:
        found = os.listdir(folder)
        open(os.path.join(folder, "evil"), "w").close()
        said.append("wrote " + folder)
    except OSError:
        pass
os.makedirs("/build/wheels", exist_ok=True)
os.symlink(STATE + "/environments", "/build/wheels/labother-1.0-py3-none-any.whl")
with open("/build/wheels/labgreet-1.0-py3-none-any.whl", "w") as file:
    file.write("another one's name")
os.makedirs("/build/wheels/folder-1.0-py3-none-any.whl")
return said
"""


async def test_a_build_script_changes_nothing_that_others_use(
    building_box: Any, wheel: Callable[..., Path], source: Callable[..., Path]
) -> None:
    wheel("labgreet")
    others = await building_box.prepare(("requirements", "labgreet\n"))
    before = {name: content(building_box.state / name) for name in ("wheels", "environments")}
    source("labevil", backend("labevil", f"STATE = {str(building_box.state)!r}\n{EVIL}"))
    prepared = await building_box.prepare(("requirements", "labevil\nlabgreet\n"))
    ran = await building_box.run(
        prepared, "python3", "-c", "import labevil, labgreet; print(labevil.found, labgreet.version)"
    )
    assert ran.lines == (f"['{BUILDER}'] 1.0",)
    for name, files in before.items():
        after = content(building_box.state / name)
        assert {path: digest for path, digest in after.items() if path in files} == files
        assert not [path for path in after if path.endswith("/evil")]
    assert (await building_box.prepare(("requirements", "labgreet\n"))) == others
    assert list((building_box.state / "environments-cache/built").iterdir()) == []
    assert "labevil==1.0 --hash=sha256:" in prepared.lock


async def test_a_build_that_fails_is_told_with_its_last_words(
    building_box: Any, source: Callable[..., Path]
) -> None:
    source("labbroken", backend("labbroken", "raise SystemExit('cannot find the header lab.h')"))
    with pytest.raises(LabboxError) as caught:
        await building_box.prepare(("requirements", "labbroken\n"))
    assert caught.value.code == "invalid"
    assert caught.value.message.startswith("cannot build labbroken")
    assert "cannot find the header lab.h" in caught.value.message
    assert caught.value.hint
    assert any("lab.h" in line for line in building_box.lines)


@pytest.mark.attack("S9")
async def test_builds_that_sleep_hold_up_nobody_else(building_box: Any, source: Callable[..., Path]) -> None:
    names = [f"labsleeps{number}" for number in range(6)]
    for name in names:
        source(name, backend(name, "import time\ntime.sleep(3000)"))
    source("labquick", backend("labquick"))
    await building_box.prepare(("requirements", "labquick\n"), asker="70009")  # the base image is there then
    sleeping = [
        asyncio.create_task(building_box.prepare(("requirements", f"{name}\n"), asker="70001"))
        for name in names
    ]
    for _ in range(200):
        if sum(line.startswith("some packages have no wheel") for line in building_box.lines) >= 3:
            break
        await asyncio.sleep(0.05)
    for each in sleeping:  # what they asked for goes on without them
        each.cancel()
    source("labother", backend("labother"))
    waiting = asyncio.create_task(building_box.prepare(("requirements", "labother\n"), asker="70001"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    async with asyncio.timeout(60):  # the same, which is built once for both, in a place of who has one
        await building_box.prepare(("requirements", "labother\n"), asker="70002")
        await waiting
    await asyncio.wait(sleeping)
