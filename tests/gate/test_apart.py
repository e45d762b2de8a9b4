"""Shared folders are disks of their own to whoever logs in: no hard link leads out of one, or into it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from labbox.daemon.gate.launch import account_mounts
from labbox.daemon.people import BOX

pytestmark = pytest.mark.root
_TRY = """
import errno, os, sys
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    try: os.link(source, target); print('linked', source, target)
    except OSError as error: print(errno.errorcode[error.errno])
"""


@pytest.mark.attack("S18")
async def test_no_hard_link_leads_out_of_a_shared_folder_or_into_it(
    box: Any, tried: Callable[..., None]
) -> None:
    for project in ("atlas", "borealis"):
        await box.people.projects.add(project, ("ada",), BOX)
    ada = await box.people.account("ada")
    places = [
        box.home(),
        box.state / "shared",
        *(box.state / "projects" / one for one in ("atlas", "borealis")),
    ]
    files = [str(place / "of-ada") for place in places]
    pairs = [
        (files[one], f"{places[two]}/link-{one}")
        for one in range(len(places))
        for two in range(len(places))
        if one != two
    ]
    made = f"for name in {files!r}: open(name, 'w').close()"
    words = [word for pair in pairs for word in pair]
    process = await box.gate.launcher._processes.spawn(
        kind="exec", name="ada", uid=ada.uid, gid=ada.gid, groups=ada.groups, home=str(ada.home), pty=False,
        argv=(sys.executable, "-c", f"{made}\n{_TRY}", *words), env={}, mounts=account_mounts(ada),
        fds=_output(box.state / "said"),
    )  # fmt: skip
    assert await process.wait() == 0
    tried(len(pairs))
    assert (box.state / "said").read_text().split() == ["EXDEV"] * len(pairs)
    done = await box.run(box.ssh("echo", "0"))  # a login has them, too
    assert done.returncode == 0


def _output(path: Any) -> tuple[int, int, int]:
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    return os.open(os.devnull, os.O_RDONLY), out, out
