"""The box ends under people in the screens: their terminals are as they were, and say why."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labbox.protocol import UserAdd

if TYPE_CHECKING:
    from started import Box

pytestmark = pytest.mark.root

Start = Callable[..., "Box"]
# DEC private modes that the screens switch on: mouse, focus, bracketed paste, size reports, alternate screen.
MODES = (1000, 1003, 1006, 1015, 1004, 2004, 1049)
SENTENCE = b"the box is being stopped"


class Login:
    """Stock ssh on a terminal of its own, and every byte that it wrote there."""

    def __init__(self, port: int, key: Path, *words: str) -> None:
        self.seen = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            os.execvp(
                "ssh", ["ssh", "-tt", *options, "-i", str(key), "-p", str(port), "ada@127.0.0.1", *words]
            )

    def read_until(self, reached: Callable[[bytes], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not reached(self.seen):
            assert time.monotonic() < end, self.seen[-2000:]
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    data = os.read(self._master, 65536)
                except OSError:
                    data = b""
                if not data:
                    break
                self.seen += data
        assert reached(self.seen), self.seen[-2000:]

    def rest(self) -> bytes:
        ended = False
        while not ended:
            assert select.select([self._master], [], [], 30)[0]
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            self.seen += data
            ended = not data
        os.waitpid(self.pid, 0)
        os.close(self._master)
        return self.seen

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder that people can reach, as the real one."""
    top = Path(tempfile.mkdtemp(prefix="labbox-left-", dir="/var/tmp"))
    top.chmod(0o755)
    yield top / "state"
    shutil.rmtree(top)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def _last(seen: bytes, mode: int) -> bytes:
    """How a mode was set last: b"h" or b"l"."""
    found = re.findall(rb"\x1b\[\?%d([hl])" % mode, seen)
    return bytes(found[-1]) if found else b""


def _is_clean(seen: bytes) -> None:
    assert {mode: _last(seen, mode) for mode in MODES} == dict.fromkeys(MODES, b"l")
    assert _last(seen, 25) == b"h"
    assert _last(seen, 7) == b"h"
    after = seen.rpartition(b"\x1b[?1049l")[2]
    assert SENTENCE in after  # on the ordinary screen, where it stays
    assert not re.search(rb"\x1b\[\d+;\d+H", after)  # and nothing is drawn over it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_terminals_are_left_clean_with_a_sentence(start: Start, key: Path, number: int) -> None:
    box = start()
    with box.client() as client:
        client.add_user(UserAdd(name="ada", keys=(key.with_suffix(".pub").read_text(),)))
    logins = [Login(box.port, key) for _ in range(2)]
    for login in logins:
        login.read_until(lambda seen: b"\x1b[?1049h" in seen and b"Name" in seen)
    logins[1].type(b"\x0f")  # the other of the two screens
    assert box.end(number) == 0
    for login in logins:
        _is_clean(login.rest())


def test_a_command_on_a_terminal_is_told_too(start: Start, key: Path) -> None:
    box = start()
    with box.client() as client:
        client.add_user(UserAdd(name="ada", keys=(key.with_suffix(".pub").read_text(),)))
    login = Login(box.port, key, "events", "--after", "0", "--follow")
    login.read_until(lambda seen: b"user" in seen)
    assert box.end() == 0
    seen = login.rest()
    assert SENTENCE in seen
    assert b"\x1b[?1049l" not in seen  # it would move the cursor
