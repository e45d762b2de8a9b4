"""labbox without root: the one person who started it, with access to the engine's socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.root]

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.run import RunSpec
from labbox.errors import LabboxError

async def main(url, image, folder):
    engine = Engine(url, box="unprivileged")
    following = asyncio.create_task(engine.run())
    await engine.wait_available()
    (folder / "output").mkdir()
    common = dict(
        image=image, uid=os.getuid(), gid=os.getgid(), user_name="me", cpus=1, memory=64 << 20,
        output=folder / "output", cwd="/output",
    )
    words = ("sh", "-c", "id -u; echo mine >/output/file; cat; exit 6")
    run = RunSpec(name="labbox-unprivileged", command=words, spool=folder / "spool", stdin=True, **common)
    await engine.create_and_start(run)
    await engine.write_input(run.spool, b"typed\\n")
    shell = await engine.exec_pty(run.name, uid=run.uid, gid=run.gid, env={}, command=("sleep", "99"))
    await shell.close()
    await engine.close_input(run.spool)
    state = await engine.wait(run.name)
    print(state.exit_code, state.oom, (run.spool / "stdout").read_text().split())
    await engine.remove(run.name)
    hosts = ("a.example:1",)
    second = "labbox-unprivileged-2"
    opening = RunSpec(name=second, command=words, spool=folder / "spool2", hosts=hosts, **common)
    try:
        await engine.create_and_start(opening)
    except LabboxError as error:
        print(error.code, error.hint)
    await engine.remove(opening.name)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
"""
UID = 70077


@pytest.fixture
def folder() -> Iterator[Path]:
    found = Path(tempfile.mkdtemp(prefix="labbox-unprivileged-"))  # tmp_path is closed to others
    os.chown(found, UID, UID)
    yield found
    shutil.rmtree(found)


def test_runs_without_root(engine_url: str, small_image: str, folder: Path) -> None:
    group = Path(engine_url.removeprefix("unix://")).stat().st_gid
    with docker.APIClient(engine_url, version="1.41") as api:
        for name in ("labbox-unprivileged", "labbox-unprivileged-2"):  # of a test that was killed
            for found in api.containers(all=True, filters={"name": f"^/{name}$"}):
                api.remove_container(found["Id"], force=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, engine_url, small_image, str(folder)],
        user=UID,
        group=UID,
        extra_groups=[group],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"6 False ['{UID}', 'typed']",
        "unavailable labbox needs root on the box for templates that open hosts",
    ]
    assert (folder / "output/file").stat().st_uid == UID
