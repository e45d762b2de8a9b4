"""Python environments on a real engine: made once, shared, usable by jobs, and nothing half-made."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labbox.daemon.containers.environments import service
from labbox.errors import LabboxError
from labbox.files.software.asked import Line, Requirements, Software

INSTALLER = 69999


def everything(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_symlink())


def _module(prepared: Any) -> Path:
    """Where the one module of `labgreet` stands, whatever Python the base image has."""
    (found,) = prepared.environment.glob("lib/python3.*/site-packages/labgreet.py")
    return Path(found)


async def test_a_job_imports_packages_with_bytecode_and_runs_their_scripts(
    box: Any, wheel: Callable[..., Path]
) -> None:
    wheel(
        "labgreet",
        files={"labgreet.py": "def main():\n    print('hello', __file__)\n"},
        scripts="greet = labgreet:main",
    )
    wheel("labtop", requires=("labgreet",))
    prepared = await box.prepare(("requirements", "labtop\n"))
    assert prepared.environment == box.state / "environments" / prepared.name
    assert [line.split(" ")[0] for line in prepared.lock.splitlines()] == ["labgreet==1.0", "labtop==1.0"]
    assert "--hash=sha256:" in prepared.lock
    ran = await box.run(prepared, "greet")
    assert (ran.code, ran.lines) == (
        0,
        (f"hello {_module(prepared)}",),
    ), ran
    check = "import sys, labtop; print(sys.prefix, open(labtop.__cached__, 'rb').read(8)[4])"
    ran = await box.run(prepared, "python3", "-W", "ignore", "-c", check)
    assert ran.lines == (f"{prepared.environment} 1",)  # 1: bytecode that is not checked against its source


async def test_nobody_but_the_installer_can_write_what_others_use(
    box: Any, wheel: Callable[..., Path]
) -> None:
    wheel("labgreet")
    prepared = await box.prepare(("requirements", "labgreet\n"))
    for folder in (box.state / "environments", box.state / "wheels"):
        for path in (folder, *everything(folder)):
            status = path.lstat()
            assert status.st_uid == INSTALLER
            assert not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            assert status.st_mode & stat.S_IROTH
    assert stat.S_IMODE((box.state / "environments-cache").stat().st_mode) == 0o700
    module = _module(prepared)
    assert module.samefile(next((box.state / "wheels").glob("*/site/labgreet.py")))
    ran = await box.run(prepared, "sh", "-c", f"echo x >> {module}")
    assert ran.code != 0


async def test_the_same_request_costs_no_program_and_no_time(box: Any, wheel: Callable[..., Path]) -> None:
    wheel("labgreet")
    first = await box.prepare(("requirements", "labgreet\n"))
    box.progress.clear()
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        assert await box.prepare(("requirements", "labgreet\n")) == first
        times.append(time.perf_counter() - begin)
    assert box.progress == []
    assert sorted(times)[5] < 0.05  # 2 ms here; a program could not even start in that


async def test_after_a_restart_the_answer_is_still_known(
    open_box: Callable[..., Any], wheel: Callable[..., Path]
) -> None:
    wheel("labgreet")
    first = await (await open_box()).prepare(("requirements", "labgreet\n"))
    again = await open_box()
    assert await again.prepare(("requirements", "labgreet\n")) == first
    assert again.progress == []


async def test_environments_share_wheels_and_differ_by_what_they_hold(
    box: Any, wheel: Callable[..., Path]
) -> None:
    wheel("labone")
    wheel("labtwo")
    one = await box.prepare(("requirements", "labone\n"))
    both = await box.prepare(("requirements", "labtwo\nlabone\n"))
    turned = await box.prepare(("requirements", "# the same\nlabone\nlabtwo\n"))
    assert one.name != both.name
    assert turned.name == both.name
    assert len(list((box.state / "wheels").iterdir())) == 2


async def test_who_asks_at_once_shares_one_build_that_outlives_them(
    open_box: Callable[..., Any], wheel: Callable[..., Path]
) -> None:
    wheel("labmany", files={f"labmany/m{number}.py": f"x = {number}\n" for number in range(400)})
    box = await open_box()
    askers = [asyncio.create_task(box.prepare(("requirements", "labmany\n"))) for _ in range(8)]
    while not any(progress.phase == "packages" for progress in box.progress):
        await asyncio.sleep(0.005)
    for asker in askers:
        asker.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError)
        for each in await asyncio.gather(*askers, return_exceptions=True)
    )
    before = len(box.progress)
    prepared = await box.prepare(("requirements", "labmany\n"))
    assert len(list((box.state / "environments").iterdir())) == 1
    phases = [progress.phase for progress in box.progress[before:]]
    assert "environment" in phases  # it went on, and the last one to ask follows its end
    assert not list((box.state / "wheels").glob("*.tmp-*"))
    ran = await box.run(prepared, "python3", "-c", "import labmany.m399; print(labmany.m399.x)")
    assert ran.lines == ("399",)


async def test_progress_counts_packages_and_files_to_their_totals(
    box: Any, wheel: Callable[..., Path]
) -> None:
    wheel("labmany", files={f"labmany/m{number}.py": "x = 1\n" for number in range(120)})
    await box.prepare(("requirements", "labmany\n"))
    ends = {progress.phase: (progress.done, progress.total, progress.unit) for progress in box.progress}
    assert ends == {
        "packages": (1, 1, "packages"),
        "bytecode": (120, 120, "files"),
        "environment": (1, 1, "packages"),
    }


async def test_wheels_that_bring_the_same_file_are_both_whole(box: Any, wheel: Callable[..., Path]) -> None:
    for name in ("labone", "labtwo"):
        wheel(name, files={"shared/__init__.py": "", f"shared/{name}.py": f"name = {name!r}\n"})
    wheel("labthree")
    prepared = await box.prepare(("requirements", "labone\nlabtwo\nlabthree\n"))
    ran = await box.run(
        prepared, "python3", "-c", "import shared.labone as a, shared.labtwo as b; print(a.name, b.name)"
    )
    assert ran.lines == ("labone labtwo",)
    assert sorted(path.name for path in (box.state / "wheels").glob("*/site/shared/*.py")) == [
        "__init__.py", "__init__.py", "labone.py", "labtwo.py",
    ]  # fmt: skip


async def test_a_file_where_another_wheel_has_a_folder_is_told(box: Any, wheel: Callable[..., Path]) -> None:
    wheel("labone", files={"shared.py": "x = 1\n"})
    wheel("labtwo", files={"shared.py/inner.py": "x = 2\n"})
    with pytest.raises(LabboxError, match=r"shared\.py. is a file in one and a folder in another") as caught:
        await box.prepare(("requirements", "labone\nlabtwo\n"))
    assert caught.value.code == "invalid"


async def test_requirements_with_constraints(box: Any, wheel: Callable[..., Path]) -> None:
    wheel("labone", "1.0")
    wheel("labone", "2.0")
    asks = Requirements(
        requirements=(Line(text="labone", file="r.txt", number=2),),
        constraints=(Line(text="labone<2", file="limits.txt", number=1),),
    )
    prepared = await box.prepare(software=Software(requirements=asks))
    assert prepared.lock.startswith("labone==1.0 ")


async def test_pyproject_is_used_and_its_python_respected(box: Any, wheel: Callable[..., Path]) -> None:
    wheel("labone")
    prepared = await box.prepare(("pyproject", '[project]\nname = "x"\ndependencies = ["labone"]\n'))
    assert prepared.lock.startswith("labone==1.0 ")
    with pytest.raises(LabboxError, match=r"cannot use Python 3\.\S+: the project requires >=9"):
        await box.prepare(("pyproject", '[project]\nname = "x"\nrequires-python = ">=9"\n'))


async def test_an_environment_yml_of_pip_packages_needs_no_conda(
    box: Any, wheel: Callable[..., Path]
) -> None:
    wheel("labone")
    text = "dependencies:\n- python>=3.9\n- pip\n- pip:\n  - labone\n"
    prepared = await box.prepare(("conda", text))
    assert prepared.lock.startswith("labone==1.0 ")
    assert "VIRTUAL_ENV" in prepared.env


async def test_a_project_without_wishes_gets_the_bare_image(box: Any) -> None:
    prepared = await box.prepare(("requirements", "# nothing yet\n"))
    assert (prepared.environment, prepared.name, prepared.path) == (None, "", ())
    assert prepared.image.startswith("sha256:")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labone\nlabone=>1\n", "cannot use line 2 of requirements.txt: “labone=>1” names no package"),
        ("labone\nno-such-lab\n", "cannot find the package no-such-lab (line 2 of requirements.txt)"),
        ("labone==7\n", "cannot find labone==7 (line 1 of requirements.txt)"),
        ("labone\nlabtwo\n", "cannot put together"),
    ],
)
async def test_broken_requirements_get_a_sentence(
    box: Any, wheel: Callable[..., Path], text: str, words: str
) -> None:
    wheel("labone", "1.0")
    wheel("labone", "2.0")
    wheel("labtwo", requires=("labthree", "labone<2"))
    wheel("labthree", requires=("labone>=2",))
    with pytest.raises(LabboxError) as caught:
        await box.prepare(("requirements", text))
    assert caught.value.code == "invalid"
    assert words in caught.value.message
    assert caught.value.hint
    assert (await box.prepare(("requirements", "labone\n"))).lock.startswith("labone==2.0 ")


async def test_an_index_out_of_reach_is_tried_again_and_then_the_earlier_answer_serves(
    open_box: Callable[..., Any], wheel: Callable[..., Path], links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labbox.daemon.containers.environments.python._RETRY_AFTER", 0.0)
    away = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_FIND_LINKS": str(links),
        "PIP_RETRIES": "0",
    }
    box = await open_box(away)
    with pytest.raises(LabboxError, match="cannot reach the package index: Connection refused") as caught:
        await box.prepare(("requirements", "labone\n"))
    assert caught.value.code == "unavailable"
    assert any("trying again" in line for line in box.lines)

    wheel("labone")
    there = {**away, "PIP_NO_INDEX": "1"}
    first = await (await open_box(there)).prepare(("requirements", "labone\n"))
    for path in (box.state / "environments-notes/known").iterdir():  # as if that had been days ago
        known = json.loads(path.read_text())
        path.write_text(json.dumps({**known, "at": known["at"] - 3 * 86400}))
    (links / "labone-1.0-py3-none-any.whl").unlink()
    # the same settings, but nothing answers any more
    later = await open_box(there)
    monkeypatch.setattr(later.environments._pythons, "resolve", _unreachable)
    again = await later.prepare(("requirements", "labone\n"))
    assert again == first
    assert any("made for this file before" in line for line in later.lines)


async def _unreachable(*_arguments: Any) -> None:
    raise LabboxError("unavailable", "cannot reach the package index: Connection refused")


@pytest.mark.root
async def test_a_full_disk_is_said_and_leaves_nothing_half_made(
    open_box: Callable[..., Any], wheel: Callable[..., Path], tmp_path: Path
) -> None:
    wheel("labbig", files={f"labbig/m{number}.py": "x = '" + "y" * 100_000 + "'\n" for number in range(60)})
    small = tmp_path / "small"
    small.mkdir()
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o055)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        box = await open_box(folder=small)
        with pytest.raises(LabboxError, match="no space left") as caught:
            await box.prepare(("requirements", "labbig\n"))
        assert caught.value.code == "unavailable"
        assert list((small / "environments").iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", small], check=True)


async def test_what_is_not_used_is_removed_and_what_is_kept_works(
    box: Any, wheel: Callable[..., Path]
) -> None:
    wheel("labone")
    wheel("labtwo")
    old = await box.prepare(("requirements", "labone\n"))
    used = await box.prepare(("requirements", "labtwo\n"))
    long_ago = time.time() - 90 * 86400
    for path in (*(box.state / "environments").iterdir(), *(box.state / "wheels").iterdir()):
        os.utime(path, (long_ago, long_ago))
    assert await box.environments.prune(30 * 86400, frozenset({used.name})) == 1
    assert not old.environment.exists()
    assert list((box.state / "wheels").iterdir()) == []
    ran = await box.run(used, "python3", "-c", "import labtwo; print(labtwo.version)")
    assert ran.lines == ("1.0",)
    again = await box.prepare(("requirements", "labone\n"))
    assert again == old
    assert again.environment.exists()


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from labbox.custom import Configuration, Template, recipe
from labbox.daemon.containers.base import BaseImage
from labbox.daemon.containers.chores import by_ourselves
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.outside import Outside
from labbox.daemon.containers.environments import EnvironmentPlan, Environments
from labbox.files.software.asked import Line, Requirements, Software

async def main(url, state, text):
    connection = Connection(url)
    await connection.greet()
    base = BaseImage(connection, recipe=recipe(), scratch=Path(state))
    outside = Outside(connection, by_ourselves)
    environments = Environments(connection, base, Configuration(), Path(state), box="killed", outside=outside)
    python = Template(name="python", title="Python", entries=("app.py",), command=("python3", "{entry}"))
    lines = tuple(Line(text=one, file="r.txt", number=0) for one in text.splitlines())
    wanted = Requirements(requirements=lines)
    plan = EnvironmentPlan(template=python, software=Software(requirements=wanted))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(environments.run())
        await environments.prepare(plan, lambda what: print(getattr(what, "phase", what), flush=True))
        running.cancel()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_daemon_killed_at_any_moment_leaves_no_half_environment(
    open_box: Callable[..., Any], wheel: Callable[..., Path], links: Path, state: Path, engine_url: str
) -> None:
    wheel("labmany", files={f"labmany/m{number}.py": f"x = {number}\n" for number in range(1500)})
    await (await open_box()).prepare(("requirements", "# the image's Python is known then\nlabmany\n"))
    subprocess.run(
        ["rm", "-rf", *(state / "environments").iterdir(), *(state / "wheels").iterdir()], check=True
    )
    environ = {
        **os.environ,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(links),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    kills = 0
    for delay in (0.0, 0.05, 0.1, 0.2, 0.35, 0.6):
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", DAEMON, engine_url, str(state), f"labmany\n# {delay}\n"),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert daemon.stdout is not None
        async with asyncio.timeout(30):
            await daemon.stdout.readline()  # the first word of progress: it has begun
            try:
                await asyncio.wait_for(daemon.wait(), delay)
            except TimeoutError:
                daemon.send_signal(signal.SIGKILL)
                kills += 1
            await daemon.wait()
        for folder in (each for each in (state / "environments").iterdir() if ".tmp-" not in each.name):
            modules = list(folder.glob("lib/python3*/site-packages/labmany/m*.py"))
            compiled = list(folder.glob("lib/python3*/site-packages/labmany/__pycache__/*.pyc"))
            assert (len(modules), len(compiled)) == (1500, 1500)
    assert kills >= 3
    box = await open_box()
    prepared = await box.prepare(("requirements", "labmany\n"))
    ran = await box.run(prepared, "python3", "-c", "import labmany.m1499; print('whole')")
    assert ran.lines == ("whole",)
    assert not [*state.glob("environments/*.tmp-*"), *state.glob("wheels/*.tmp-*")]


async def test_what_is_asked_for_before_the_box_has_tidied_up_is_told_to_come_back(
    open_box: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_START_LIMIT", 0.01)
    box = await open_box(running=False)
    with pytest.raises(LabboxError, match="still clears away") as caught:
        await box.prepare(("requirements", "labgreet\n"))
    assert (caught.value.code, caught.value.hint) == ("unavailable", "try again in a minute")
