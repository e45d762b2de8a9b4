"""Stock `ssh` against the real gate: what runs, as whom, and how it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from labbox.daemon.gate import channel, launch, terminal

pytestmark = pytest.mark.root


class Screen:
    """A client at a pseudo-terminal of 80 × 24."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.resize(80, 24)
        self.program = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env={**os.environ, **env}
        )
        os.close(slave)
        os.set_blocking(self.master, False)
        self.seen = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    async def until(self, wanted: bytes, seconds: float = 15) -> bytes:
        async with asyncio.timeout(seconds):
            while wanted not in self.seen:
                try:
                    self.seen += os.read(self.master, 65536)
                except BlockingIOError:
                    await asyncio.sleep(0.005)
        return self.seen

    async def end(self) -> int:
        async with asyncio.timeout(15):
            while self.program.poll() is None:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    await asyncio.sleep(0.01)
        with suppress(OSError):  # what it wrote last
            self.seen += os.read(self.master, 65536)
        return self.program.wait()

    def close(self) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self.master)


@asynccontextmanager
async def screen(argv: list[str], **env: str) -> AsyncIterator[Screen]:
    made = Screen(argv, {"TERM": "xterm-256color", **env})
    try:
        yield made
    finally:
        made.close()


async def test_verb_with_words_streams_and_exit_status(box: Any) -> None:
    done = await box.run(box.ssh("echo", "'two words'", "42"))
    assert (done.returncode, done.stdout, done.stderr) == (42, b"two words 42\n", b"error stream\n")


async def test_runs_as_the_user_at_home_without_a_terminal(box: Any) -> None:
    done = await box.run(box.ssh("whoami"))
    assert done.stdout.decode() == f"73000 {box.home()} False\n"


async def test_environment_holds_what_sessions_need_and_nothing_of_the_box(
    box: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("BOX_SECRET", "x")
    options = ["-oSetEnv=LC_ALL=de_DE.UTF-8 LD_PRELOAD=/tmp/x PYTHONPATH=/tmp GIT_PROTOCOL=version=9"]
    done = await box.run(box.ssh("environment", options=options))
    found = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert found == {
        "HOME": str(box.home()), "USER": "ada", "LOGNAME": "ada", "SHELL": "/bin/sh", "TMPDIR": "/tmp",
        "PATH": launch.PATH, "LANG": "de_DE.UTF-8", "LABBOX_SOCKET": str(box.state / "api.sock"),
        "LABBOX_ORIGIN": "ssh 127.0.0.1", **({"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}),
    }  # fmt: skip


async def test_input_reaches_it_whole_and_its_end_is_seen(box: Any) -> None:
    data = os.urandom(3_000_000)
    done = await box.run(box.ssh("cat"), stdin=data)
    assert done.stdout == data + b"end of input"


async def test_signal_is_told_as_a_shell_counts(box: Any) -> None:
    assert (await box.run(box.ssh("killed"))).returncode == 128 + signal.SIGTERM


async def test_no_command_and_no_terminal_is_a_sentence(box: Any) -> None:
    done = await box.run(box.ssh("-T"))
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot open the screens without a terminal")


async def test_screens_keys_resize_and_exit(box: Any) -> None:
    async with screen(box.ssh("-t")) as here:
        await here.until(b"size 80x24")
        assert b"screens of ada on xterm-256color - 0" in here.seen
        here.type(b"a")
        await here.until(b"<a>")
        here.resize(132, 50)
        here.program.send_signal(signal.SIGWINCH)
        await here.until(b"size 132x50")
        here.type(b"q")
        assert await here.end() == 7


async def test_colours_are_told(box: Any) -> None:
    async with screen(box.ssh("-t", options=["-oSendEnv=COLORTERM"]), COLORTERM="truecolor") as here:
        await here.until(b"on xterm-256color truecolor")
    async with screen(box.ssh("-t"), TERM="xterm-kitty") as here:
        await here.until(b"on xterm-kitty truecolor")


@pytest.mark.parametrize("term", ["dumb", "../../evil"])
async def test_a_terminal_that_cannot_draw_is_told_so(box: Any, term: str) -> None:
    async with screen(box.ssh("-t"), TERM=term) as here:
        await here.until("of the type “dumb”".encode())
        await here.until("or use words: “ssh … job list”".encode())
        assert await here.end() == 2
    async with screen(box.ssh("-tt", "whoami"), TERM=term) as here:
        await here.until(b"True")
        assert await here.end() == 0


@pytest.mark.parametrize(("length", "granted"), [(256, True), (257, False)])
async def test_a_terminal_whose_kind_has_a_long_name_is_refused(box: Any, length: int, granted: bool) -> None:
    async with screen(box.ssh("-tt", "whoami"), TERM="x" * length) as here:
        await here.end()
        assert (b"PTY allocation request failed" in here.seen) is not granted


def test_a_wish_for_no_colours_is_passed_on() -> None:
    assert terminal.variables("xterm-256color", {"NO_COLOR": "1"})["NO_COLOR"] == "1"
    assert "NO_COLOR" not in terminal.variables("xterm-256color", {"COLORTERM": "truecolor"})


async def test_verb_with_a_terminal(box: Any) -> None:
    async with screen(box.ssh("-tt", "whoami")) as here:
        await here.until(b"True")
        assert await here.end() == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_client_that_vanishes_leaves_nothing(
    box: Any, how: int, monkeypatch: Any, eventually: Callable[..., Any]
) -> None:
    monkeypatch.setattr(channel, "HANG_UP_SECONDS", 0.3)
    running = box.home() / "running"
    client = subprocess.Popen(box.ssh("-tt", "linger"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    await eventually(running.exists)
    assert len(box.processes_of(73000)) == 2
    client.send_signal(how)
    client.wait()
    await eventually(lambda: box.processes_of(73000) == [])
    await eventually(lambda: len(box.gate.sessions) == 0)
    assert client.stdin is not None
    client.stdin.close()


async def test_stop_of_the_gate_ends_sessions(box: Any, eventually: Callable[..., Any]) -> None:
    async with screen(box.ssh("-t")) as here:
        await here.until(b"size 80x24")
        await box.gate.stop()
        assert await here.end() == 255
        assert b"the box is being stopped" in here.seen
    await eventually(lambda: box.processes_of(73000) == [])


async def test_slow_client_holds_up_its_own_program_alone(box: Any, eventually: Callable[..., Any]) -> None:
    client = subprocess.Popen(box.ssh("flood"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    await eventually(lambda: box.processes_of(73000))
    worst = 0.0
    async with screen(box.ssh("-t", user="grace")) as here:
        await here.until(b"size 80x24")
        for number in range(20):
            before = time.monotonic()
            key = b"abcdefghijklmnoprstu"[number : number + 1]
            here.type(key)
            await here.until(b"<" + key + b">")
            worst = max(worst, time.monotonic() - before)
    assert worst < 1
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    assert rss < 600 << 20  # the flood is not kept here
    client.kill()
    client.wait()
    assert client.stdout is not None
    client.stdout.close()


async def test_fork_bomb_stays_in_its_login(box: Any, eventually: Callable[..., Any]) -> None:
    client = subprocess.Popen(box.ssh("bomb"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    await eventually(lambda: len(box.processes_of(73000)) >= launch.PROCESSES)
    assert len(box.processes_of(73000)) == launch.PROCESSES
    done = await box.run(box.ssh("echo", "here", user="grace"))
    assert done.stdout == b"here\n"
    done = await box.run(box.ssh("echo", "here"))  # another login of the same person too
    assert done.stdout == b"here\n"
    client.kill()
    client.wait()
    await eventually(lambda: box.processes_of(73000) == [])
    assert client.stdout is not None
    client.stdout.close()


async def test_many_sessions_over_one_connection(box: Any, tmp_path: Any) -> None:
    path = tmp_path / "m"
    master = await asyncio.create_subprocess_exec(
        *box.ssh("-N", options=["-M", f"-S{path}"]), stdin=subprocess.DEVNULL
    )
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0.01)
    through = ["ssh", "-F", "none", f"-oControlPath={path}", "ada@127.0.0.1"]
    ended = await asyncio.gather(*(box.run([*through, "echo", str(number)]) for number in range(8)))
    assert [done.returncode for done in ended] == list(range(8))
    master.terminate()
    await master.wait()


async def test_what_a_login_sends_is_acknowledged_at_once(box: Any) -> None:
    # put off by 40 ms, it holds back the client's next short packet: what it asks for after its new keys
    def waits() -> float:
        argv = [word.replace("LogLevel=ERROR", "LogLevel=DEBUG1") for word in box.ssh("echo")]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
            assert client.stderr is not None
            seen = [(time.perf_counter(), line) for line in client.stderr]
        at = {
            word: when
            for when, line in seen
            for word in (b"NEWKEYS received", b"SERVICE_ACCEPT")
            if word in line
        }
        return at[b"SERVICE_ACCEPT"] - at[b"NEWKEYS received"]

    assert min([await asyncio.to_thread(waits) for _ in range(5)]) < 0.035
