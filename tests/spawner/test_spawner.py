"""The spawner as a process of its own, asked by the daemon's side of it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ownpace import queued

from labbox.confine import ControlGroups, group_name
from labbox.daemon.processes import Process, Processes
from labbox.errors import LabboxError
from labbox.spawning import Mount

Run = Callable[..., Awaitable[tuple[Process, str]]]
as_root = os.geteuid() == 0


def exists(pid: int) -> bool:
    """Whether it runs; one that has ended and waits for its parent to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_runs_as_the_user_and_nothing_else(run: Run, ada: Any) -> None:
    process, text = await run(
        "import os; print(os.getresuid(), os.getresgid(), os.getgroups(), os.getcwd(), oct(os.umask(0)))"
    )
    assert await process.wait() == 0
    triple = (ada.uid,) * 3
    groups = os.getgroups() if not as_root else []
    assert text == f"{triple} {triple} {groups} {ada.home} 0o27\n"


async def test_environment_is_made_from_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_BOX", "1")
    process, text = await run("import os; print(sorted(os.environ))", env={"TERM": "xterm"})
    assert text == "['HOME', 'LOGNAME', 'TERM', 'USER']\n"
    assert await process.wait() == 0


async def test_no_descriptor_but_those_sent(run: Run) -> None:
    program = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')))"
    _process, text = await run(kind="exec", argv=("/usr/bin/python3", "-c", program))
    assert text == "[0, 1, 2, 3]\n"  # 3 is the folder that is being listed


async def test_commands_and_programs_give_way_to_screens(run: Run) -> None:
    program = "import os; print(os.nice(0), open('/proc/self/autogroup').read().split()[-1])"
    grouped = Path("/proc/self/autogroup").exists()
    for kind, nice in (("worker", 0), ("command", 5)):
        _process, text = await run(program if grouped else "import os; print(os.nice(0))", kind=kind)
        assert text.split() == [str(nice)] * (2 if grouped and as_root else 1), kind
    _process, text = await run(kind="exec", argv=("/usr/bin/nice",))
    assert text == "5\n"


async def test_exit_code_and_signal(run: Run) -> None:
    process, _text = await run("code = 7")
    assert await process.wait() == 7
    process, _text = await run("import os; os.kill(os.getpid(), 15)")
    assert await process.wait() == 143
    process, _text = await run("import sys; sys.exit(3)")
    assert await process.wait() == 3


async def test_exception_is_one_sentence(run: Run) -> None:
    process, text = await run("raise RuntimeError('boom')")
    assert (await process.wait(), text) == (1, "error: cannot go on: RuntimeError: boom\n")
    process, text = await run(
        "from labbox.errors import LabboxError; raise LabboxError('usage', 'cannot fly', 'walk')"
    )
    assert (await process.wait(), text) == (2, "error: cannot fly\nhint: walk\n")


@pytest.mark.parametrize(
    "spawner",
    [
        pytest.param(
            f"""
import errno, os
fork, asked = os.fork, []
def failing():
    asked.append(1)
    if len(asked) == {which}:
        raise OSError(errno.EAGAIN, "no more processes")
    return fork()
os.fork = failing
""",
            id=f"fork {which}",
        )
        for which in (1, 2)
    ],
    indirect=True,
)
async def test_a_start_that_fails_fails_no_other(run: Run) -> None:
    with suppress(LabboxError):  # without root a start is one fork
        await run("print('first')")
        await run("print('second')")
    process, text = await run("print('still there')")
    assert (await process.wait(), text) == (0, "still there\n")


@pytest.mark.parametrize(
    "spawner",
    [
        pytest.param(
            f"""
import os, signal
from labbox import spawner
step = spawner.{step}
def interrupted(*words):
    made = step(*words)
    os.kill(os.getpid(), signal.SIGINT)
    return made
spawner.{step} = interrupted
""",
            id=step,
        )
        for step in ("_become", "_renew_standard_streams", "_run")
    ],
    indirect=True,
)
async def test_an_interrupt_is_one_whenever_it_comes(run: Run) -> None:
    """Between two steps, before the work is begun and when it is over."""
    process, text = await run("print('done')")
    assert (await process.wait(), text) in ((130, ""), (130, "done\n"))


async def test_program_that_is_not_there_is_one_sentence(run: Run) -> None:
    process, text = await run(kind="exec", argv=("/nowhere/program",))
    assert await process.wait() == 1
    assert text.startswith("error: cannot go on: FileNotFoundError")


async def test_pty_becomes_the_controlling_terminal(processes: Processes, ada: Any) -> None:
    master, slave = os.openpty()
    code = (
        "import os; f=os.open('/dev/tty', os.O_RDWR); os.write(f, b'%d\\n' % (os.tcgetpgrp(f)==os.getpgrp()))"
    )
    process = await processes.spawn(
        kind="command",
        name="ada",
        uid=ada.uid,
        gid=ada.uid,
        home=str(ada.home),
        argv=(code,),
        fds=(slave,),
        pty=True,
    )
    os.close(slave)
    assert await process.wait() == 0
    assert select.select([master], [], [], 0)[0]
    assert os.read(master, 100) == b"1\r\n"
    os.close(master)


async def test_hang_up_of_the_terminal_ends_it(processes: Processes, ada: Any) -> None:
    master, slave = os.openpty()
    process = await processes.spawn(
        kind="exec", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home),
        argv=("/bin/sh", "-c", "echo; exec sleep 60"), fds=(slave,), pty=True,
    )  # fmt: skip
    os.close(slave)
    assert os.read(master, 10) == b"\r\n"  # it runs
    os.close(master)
    async with asyncio.timeout(5):
        assert await process.wait() == 128 + signal.SIGHUP


async def test_signal_reaches_the_program_and_kill_ends_all(processes: Processes, ada: Any) -> None:
    async def start(script: str) -> tuple[Process, str]:
        read, write = os.pipe()
        process = await processes.spawn(
            kind="exec", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home),
            argv=("/bin/sh", "-c", script), fds=(write, write, write),
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as stream:
            return process, await asyncio.to_thread(stream.readline)

    process, _line = await start("trap 'exit 9' TERM; echo; while :; do sleep 0.05; done")
    await process.signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await process.wait() == 9
    marker = f"31{time.time_ns() % 10**9}"
    process, _line = await start(f"(setsid sleep {marker} >/dev/null 2>&1 &) ; echo; sleep {marker}")
    await process.kill()
    async with asyncio.timeout(5):
        assert await process.wait() == 137
    if as_root:  # without a namespace, what made itself a session of its own lives on
        assert subprocess.run(["pgrep", "-f", marker], capture_output=True).stdout == b""


async def test_many_at_once(run: Run) -> None:
    ended = await asyncio.gather(*(run(f"code = {n}") for n in range(30)))
    assert [await process.wait() for process, _text in ended] == list(range(30))


async def test_descriptors_that_get_lost_are_noticed(spawner: Any, processes: Processes, ada: Any) -> None:
    program, _sock = spawner
    null = os.open(os.devnull, os.O_RDWR)
    arguments: Any = {
        "kind": "command", "name": "ada", "uid": ada.uid, "gid": ada.uid, "home": str(ada.home),
        "argv": ("code = 4",), "fds": (null,) * 3,
    }  # fmt: skip
    assert await (await processes.spawn(**arguments)).wait() == 4  # it has opened what it needs
    used = len(list(Path(f"/proc/{program.pid}/fd").iterdir()))
    subprocess.run(["prlimit", f"--pid={program.pid}", f"--nofile={used + 1}:4096"], check=True)
    with pytest.raises(LabboxError, match="too many open files"):
        await processes.spawn(**arguments)
    subprocess.run(["prlimit", f"--pid={program.pid}", "--nofile=1024:4096"], check=True)
    assert await (await processes.spawn(**arguments)).wait() == 4
    os.close(null)


# A child that gets to ask for its parent's death only when that has come about.
TOO_LATE = """
import os, select
from labbox import spawner
follow, parent = spawner.end_with_parent, os.pidfd_open(os.getpid())
def late(number):
    select.select([parent], [], [])
    follow(number)
spawner.end_with_parent = late
"""


@pytest.mark.parametrize("spawner", ["", TOO_LATE], indirect=True, ids=["at once", "too late"])
async def test_death_of_the_spawner_is_an_error_and_ends_everything(spawner: Any, ada: Any) -> None:
    program, sock = spawner
    service = Processes(sock)
    task = asyncio.create_task(service.run())
    await asyncio.sleep(0)
    process = await service.spawn(
        kind="exec", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home), argv=("/usr/bin/sleep", "60")
    )
    program.kill()
    with pytest.raises(LabboxError, match="the spawner has ended"):
        await asyncio.wait_for(task, 20)
    assert await process.wait() == 137
    with pytest.raises(LabboxError, match="the spawner has ended"):
        await service.spawn(kind="command", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home))
    async with asyncio.timeout(20):
        while exists(process.pid):
            await asyncio.sleep(0.01)


async def test_end_of_the_daemon_ends_everything(spawner: Any, ada: Any) -> None:
    program, sock = spawner
    service = Processes(sock)
    task = asyncio.create_task(service.run())
    await asyncio.sleep(0)
    process = await service.spawn(
        kind="exec", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home), argv=("/usr/bin/sleep", "60")
    )
    task.cancel()
    assert await asyncio.to_thread(program.wait, 20) == 0
    assert not exists(process.pid)


async def test_fork_to_user_code_is_quick(
    spawner: tuple[subprocess.Popen[bytes], socket.socket], run: Run
) -> None:
    """Less the time in line for a processor, of the new process and of those that start it."""
    look = (
        "import time; now = time.monotonic_ns(); print(now, open('/proc/self/schedstat').read().split()[1])"
    )
    lines: tuple[int | str, ...] = ("self", spawner[0].pid)
    taken = []
    for _ in range(30):
        stood = sum(map(queued, lines))
        before = time.monotonic_ns()
        _process, text = await run(look)
        reached, stood_itself = map(int, text.split())
        stood = sum(map(queued, lines)) - stood
        taken.append((reached - before - stood_itself) / 1e6 - stood * 1000)
    assert min(taken) <= 10  # milliseconds


def test_starts_from_a_process_and_ends_with_it() -> None:
    program = (
        "import socket; from labbox import spawner, spawning; "
        "s = spawner.start({'command': lambda r: 5}, ()); "
        "import os; spawning.send(s, spawning.SpawnRequest(id=1, kind='command', name='ada', "
        "uid=os.geteuid() or 70000, gid=os.getegid() or 70000, groups=(), home='/')); "
        "print(spawning.receive(s)[0].id, spawning.receive(s)[0].code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("1 5\n", "")


async def test_large_request_is_refused_in_words(processes: Processes, ada: Any) -> None:
    with pytest.raises(LabboxError, match="too large"):
        await processes.spawn(
            kind="command", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home), argv=("x" * 200_000,)
        )


@pytest.mark.root
class TestConfinement:
    async def test_pid_namespace_and_proc(self, run: Run) -> None:
        _process, text = await run(
            "import os; print(os.getpid(), sorted(filter(str.isdigit, os.listdir('/proc'))))"
        )
        assert text == "2 ['1', '2']\n"

    async def test_first_process_is_roots_and_collects_orphans(self, run: Run) -> None:
        code = """
import os, signal, time
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)
    os._exit(0)
os.wait()
end = time.monotonic() + 10
while len(left := [name for name in os.listdir("/proc") if name.isdigit()]) > 2 and time.monotonic() < end:
    time.sleep(0.01)
refused = 0
for number in signal.valid_signals():
    try:
        os.kill(1, number)
    except PermissionError:
        refused += 1
print(left, os.stat("/proc/1").st_uid, os.getppid(), refused == len(signal.valid_signals()))
for name in ("root", "cwd", "exe", "ns/pid"):
    try:
        print(os.readlink(f"/proc/1/{name}"))
    except PermissionError:
        pass
"""
        _process, text = await run(code)
        assert text == "['1', '2'] 0 0 True\n"

    async def test_first_process_is_small_and_ends_with_the_program(
        self, processes: Processes, ada: Any
    ) -> None:
        read, write = os.pipe()
        process = await processes.spawn(
            kind="exec", name="ada", uid=ada.uid, gid=ada.uid, home=str(ada.home),
            argv=("/bin/sh", "-c", "(setsid sleep 60 &); echo; exec sleep 60"), fds=(write, write, write),
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as stream:
            await asyncio.to_thread(stream.readline)
        assert process.first is not None
        async with asyncio.timeout(10):
            while "sleep" not in Path(f"/proc/{process.first}/comm").read_text():
                await asyncio.sleep(0.01)
        lines = Path(f"/proc/{process.first}/smaps_rollup").read_text().splitlines()
        assert sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) < 400  # kB
        assert not list(Path(f"/proc/{process.first}/fd").iterdir())
        await process.signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 143
        assert not exists(process.first)

    @pytest.mark.parametrize(
        "spawner", ["from labbox import spawner; spawner._WAITER = ('/nowhere', 'x'); "], indirect=True
    )
    async def test_first_process_stands_without_its_program(self, run: Run) -> None:
        process, text = await run("import os; print(os.getpid()); code = 3")
        assert (text, await process.wait()) == ("2\n", 3)

    async def test_what_every_child_needs_is_made_before_the_fork(self, run: Run) -> None:
        _process, text = await run("from labbox import seccomp; print(seccomp.made.cache_info()[:2])")
        assert text == "(1, 1)\n"  # asked for once by the spawner, which made it, and once by the child

    async def test_passwd_and_group_have_the_user(self, run: Run, ada: Any) -> None:
        _process, text = await run(
            kind="exec",
            argv=("/bin/sh", "-c", "id; getent passwd ada; ls -ld ~ | cut -d' ' -f3"),
            groups=(70500,),
        )
        assert text.splitlines() == [
            "uid=70000(ada) gid=70000(ada) groups=70000(ada),70500(g70500)",
            f"ada:x:70000:70000:ada:{ada.home}:/usr/sbin/nologin",
            "ada",
        ]
        assert "ada:" not in Path("/etc/passwd").read_text()

    async def test_no_way_back_to_root(self, run: Run) -> None:
        _process, text = await run(
            kind="exec", argv=("/bin/grep", "-E", "^(Cap(Eff|Prm|Amb)|NoNewPrivs)", "/proc/self/status")
        )
        assert [line.split()[1].strip("0") for line in text.splitlines()] == ["", "", "", "1"]
        process, text = await run("import os; os.setuid(0)")
        assert "PermissionError" in text
        assert await process.wait() == 1

    async def test_root_is_never_given(self, processes: Processes) -> None:
        process = await processes.spawn(
            kind="command", name="root", uid=0, gid=0, home="/", argv=("code = 0",)
        )
        assert await process.wait() == 1

    async def test_mounts_are_seen_by_this_process_alone(self, run: Run, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.mkdir()
        target.mkdir()
        (source / "file").write_text("seen")
        (source / "file").chmod(0o666)
        script = f"cat {target}/file; echo x > {target}/file"
        _process, text = await run(
            kind="exec",
            argv=("/bin/sh", "-c", script),
            mounts=(Mount(source=str(source), target=str(target)),),
        )
        assert text.startswith("seen")
        assert "Read-only file system" in text
        assert list(target.iterdir()) == []

    async def test_mount_that_fails_is_one_sentence(self, run: Run) -> None:
        process, text = await run("code = 0", mounts=(Mount(source="/nowhere", target="/mnt"),))
        assert await process.wait() == 1
        assert text.startswith("error: cannot start the session:")
        assert "cannot mount on /mnt" in text

    async def test_fork_bomb_stays_inside(self, run: Run) -> None:
        bomb: asyncio.Future[tuple[Process, str]] = asyncio.ensure_future(
            run(
                "import os, time\n"
                "n = 0\n"
                "try:\n"
                "    while True:\n"
                "        if os.fork() == 0:\n"
                "            time.sleep(60)\n"
                "        n += 1\n"
                "except OSError:\n"
                "    print(n, flush=True)\n",
                processes=40,
            )
        )
        process, text = await run("print('here')")
        assert text == "here\n"
        assert await process.wait() == 0
        process, text = await bomb  # its end ends its children, who hold its output open
        assert text == "39\n"
        assert await process.wait() == 0

    async def test_memory_stays_inside(self, run: Run) -> None:
        process, text = await run("b = bytearray(400 << 20); print(len(b))", memory=100 << 20)
        assert await process.wait() in (1, 137)
        assert "419430400" not in text

    async def test_control_groups_are_removed(self, spawner: Any, run: Run) -> None:
        process, _text = await run("code = 0")
        await process.wait()
        own = group_name(spawner[0].pid)  # os.walk passes over what others remove meanwhile
        groups = [
            name
            for top, names, _ in os.walk("/sys/fs/cgroup")
            if Path(top).parent.name == own  # the person's own stays, for the next login
            for name in names
        ]
        assert groups == []

    async def test_groups_of_killed_spawners_are_swept(self, spawner: Any) -> None:
        own = group_name(spawner[0].pid)
        end = time.monotonic() + 10  # the spawner makes them a moment after it starts
        while not (left := [Path(top) for top, _, _ in os.walk("/sys/fs/cgroup") if Path(top).name == own]):
            assert time.monotonic() < end, "the spawner has made no control group"
            await asyncio.sleep(0.05)
        gone = left[0].parent / group_name(99999999)
        elsewhere = left[0].parent / "labbox-1-99999999"  # of a box in another pid namespace
        for group in (gone, elsewhere):
            (group / "1").mkdir(parents=True)
        ControlGroups().close()
        kept = (elsewhere / "1").is_dir()
        for folder in (elsewhere / "1", elsewhere):
            folder.rmdir()
        assert kept
        assert not gone.exists()
        assert left[0].exists()

    async def test_workshop_is_left_empty(self, spawner: Any, run: Run) -> None:
        _process, text = await run("print(open('/etc/passwd').read().splitlines()[-1])")
        assert text.startswith("ada:")


@pytest.mark.root
def test_code_is_never_taken_from_a_folder_that_a_user_can_write(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("print('run')")
    os.chown(tmp_path, 70000, 70000)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from labbox import spawner; "
        "spawner._trust_only_our_folders(); import evil"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert "No module named 'evil'" in done.stderr


def test_socket_is_not_left_to_children(spawner: Any) -> None:
    assert spawner[1].get_inheritable() is False
    assert isinstance(spawner[1], socket.socket)
