"""What a daemon made for a person, and was killed before it gave it to them, is given by the next one."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from labbox.custom import Configuration
from labbox.daemon.containers import layers
from labbox.daemon.containers.run import RunSpec, prepare_spool
from labbox.daemon.jobs import results
from labbox.daemon.jobs.folders import WorkerFolders
from labbox.daemon.people.accounts import Account
from labbox.daemon.workers import Workers
from labbox.model import Limits

pytestmark = pytest.mark.root

UID = 70_321
ADA = Account(name="ada", uid=UID, gid=UID, groups=(), admin=False, home=Path("/"), limits=Limits())


class Killed(BaseException):
    """The daemon ends here."""


def results_of_a_run(state: Path) -> set[Path]:
    folder = results.make(state, ADA, "2026/01/02/7-study", 1)
    assert {path.stat().st_gid for path in (folder, folder.parent, folder.parent.parent)} == {UID}
    results.make_owned(folder / "code", ADA)
    return {folder / "output", folder / "code"}


def layer_of_a_run(state: Path) -> set[Path]:
    layers.make(state / "code", UID, UID)
    return {state / "code" / layers.UPPER}


def spool_of_a_run(state: Path) -> set[Path]:
    run = RunSpec(
        name="run", image="base", command=("true",), uid=UID, gid=UID, user_name="ada",
        output=state / "output", spool=state / "spool", cpus=1, memory=1 << 26, stdin=True,
    )  # fmt: skip
    prepare_spool(run)
    return {run.spool / name for name in ("stdin", "close", "stdout", "stderr")}


def snapshots(state: Path) -> set[Path]:
    with ThreadPoolExecutor() as threads:
        folders = WorkerFolders(cast("Workers", None), Configuration(), state, threads)
        return {folders._snapshots(ADA)}


@pytest.mark.parametrize("make", [results_of_a_run, layer_of_a_run, spool_of_a_run, snapshots])
def test_what_was_made_is_given_by_the_next_daemon(
    make: Callable[[Path], set[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give, left = os.chown, 0

    def give_or_end(path: Path, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        give(path, uid, gid, follow_symlinks=follow_symlinks)

    kills = 0
    while True:  # killed before the first time that something is given, then before the second, …
        state = tmp_path / f"killed-{kills}"
        state.mkdir()
        left = kills
        with monkeypatch.context() as patched:
            patched.setattr(os, "chown", give_or_end)
            try:
                make(state)
            except Killed:
                kills += 1
            else:
                break
        assert {path.lstat().st_uid for path in make(state)} == {UID}
    assert kills
