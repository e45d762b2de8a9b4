"""The units of systemd: how much they expose, and that the box works with no more than they leave it.

No systemd need run here: what they hold of capabilities, of what can be written and of namespaces is made by
hand, for each process from its own unit.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Terminal, ssh_options

from labbox.client import Client, connect
from labbox.protocol import UserAdd

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).parents[2]
DAEMON, SPAWNER = "labbox.service", "labbox-spawner.service"
LIMIT = 3.0

# Runs a program as its unit does: file systems read-only but for what the unit names, no memory that is run
# after it was written to where the unit says so, these capabilities and no way to more.
AS_UNIT = """
import ctypes, os, sys
from labbox import confine
writable, hardened, *words = sys.argv[1:]
confine.mounts_of_its_own()
for path in [*writable.split(":"), "/tmp"]:
    confine._mount(path, path, None, 4096 | 16384)  # MS_BIND | MS_REC
confine._set_attributes("/", 0x8000, add=1)
for path in [*writable.split(":"), "/dev", "/proc", "/tmp", *([] if hardened == "1" else ["/sys"])]:
    confine._set_attributes(path, 0x8000, clear=1)
if hardened == "1":
    ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, where the kernel knows it
os.execvp(words[0], words)
"""


def unit(name: str, **words: str) -> dict[str, list[str]]:
    """The settings of a unit, each with all its values, the words that autoboot.sh knows filled in."""
    found: dict[str, list[str]] = {}
    for line in text(name, **words).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def text(name: str, **words: str) -> str:
    known = {
        "PREFIX": "/opt/labbox",
        "STATE": "/var/lib/labbox",
        "CUSTOM": "/etc/labbox/custom",
        "SSH": ":22",
    }
    return re.sub(
        r"@(PREFIX|STATE|CUSTOM|SSH)@",
        lambda match: {**known, **words}[match[1]],
        (CHECKOUT / "systemd" / name).read_text(),
    )


def exposure(name: str, folder: Path) -> float:
    path = folder / name
    path.write_text(text(name))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", path],
        capture_output=True, text=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    found = re.search(rf"exposure level for {re.escape(name)}: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1])


def test_the_daemons_unit_exposes_little(tmp_path: Path, record_property: object) -> None:
    assert callable(record_property)
    record_property("spawner", exposure(SPAWNER, tmp_path))
    assert exposure(DAEMON, tmp_path) <= LIMIT


def test_systemd_understands_every_line_of_the_units(tmp_path: Path) -> None:
    for name in (DAEMON, SPAWNER):
        (tmp_path / name).write_text(text(name, PREFIX=str(tmp_path)))
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for program in ("labbox", "python"):
        (programs / program).symlink_to("/bin/true")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in (DAEMON, SPAWNER))],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert not [
        line for line in said.splitlines() if str(tmp_path) in line and "Unknown system call" not in line
    ]


class Units:
    """A spawner and a daemon, each with the capabilities of its unit."""

    def __init__(self, folder: Path) -> None:
        self.state, self.socket, self.log = folder / "state", folder / "run" / "socket", folder / "log"
        self.state.mkdir()
        self.socket.parent.mkdir(mode=0o700)
        self.key = folder / "key"
        self.port = 0
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.spawner = self.daemon = self._start(SPAWNER)
        self.start_daemon()

    def start_spawner(self) -> None:
        self.spawner = self._start(SPAWNER)

    def start_daemon(self) -> None:
        if self.daemon.stdout is not None:
            self.daemon.stdout.close()
        self.daemon = self._start(DAEMON)
        assert self.daemon.stdout is not None
        ready, _, _ = select.select([self.daemon.stdout], [], [], 60)
        line = self.daemon.stdout.readline().decode() if ready else ""
        found = re.search(r"ssh -p (\d+)", line)
        assert found is not None, self.log.read_text()
        self.port = int(found[1])

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        settings = unit(name, STATE=str(self.state), SSH="127.0.0.1:0", CUSTOM=str(CHECKOUT / "custom"))
        (capabilities,) = settings["CapabilityBoundingSet"]
        kept = ",".join(["-all", *(f"+{one.removeprefix('CAP_').lower()}" for one in capabilities.split())])
        _program, *words = settings["ExecStart"][0].split()
        words = [str(self.socket) if word.endswith("/spawner/socket") else word for word in words]
        words = [sys.executable, *(["-m", "labbox"] if name == DAEMON else []), *words]
        writable = [path for value in settings["ReadWritePaths"] for path in value.split() if path[0] == "/"]
        if name == SPAWNER:
            writable.append(str(self.socket.parent))
        hardened = "1" if settings.get("ProtectControlGroups") == ["yes"] else "0"
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", AS_UNIT, ":".join(writable), hardened,
                 "setpriv", "--bounding-set", kept, "--inh-caps=-all", "--no-new-privs", *words],
                stdout=subprocess.PIPE if name == DAEMON else log, stderr=log, cwd="/",
            )  # fmt: skip

    def client(self, act_as: str | None = None) -> Client:
        return connect(str(self.state / "api.sock"), act_as)

    def ssh(self, *words: str, flags: tuple[str, ...] = ()) -> list[str]:
        return ["ssh", *flags, *ssh_options(self.key, self.port), "ada@127.0.0.1", *words]

    def copy(self, source: str, target: str) -> None:
        """`scp`, which takes the port by another letter."""
        options = ["-P" if word == "-p" else word for word in ssh_options(self.key, self.port)]
        ends = [end.replace("box:", "ada@127.0.0.1:") for end in (source, target)]
        subprocess.run(["scp", "-q", "-r", *options, *ends], check=True, timeout=60)

    def run(self, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(self.ssh(*words), input=data, capture_output=True, timeout=120)
        assert done.returncode == 0, (words, done.stderr, self.log.read_text())
        return done

    def end(self) -> None:
        for process in (self.daemon, self.spawner):
            if process.poll() is None:
                process.terminate()
            process.wait(60)
        if self.daemon.stdout is not None:
            self.daemon.stdout.close()


@pytest.fixture
def units() -> Iterator[Units]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-units-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = Units(folder)
    with running.client() as client:
        client.add_user(UserAdd(name="ada", keys=(running.key.with_suffix(".pub").read_text(),)))
    yield running
    running.end()
    shutil.rmtree(folder)


def capabilities(pid: int) -> int:
    """What a process may do now: the mask as the kernel tells it."""
    found = re.search(r"CapEff:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1], 16)


def test_login_screens_files_and_transfers_with_no_more_than_the_units_leave(
    units: Units, tmp_path: Path
) -> None:
    administrator = 1 << 21  # CAP_SYS_ADMIN
    assert not capabilities(units.daemon.pid) & administrator
    assert capabilities(units.spawner.pid) & administrator
    assert b"ada" in units.run("whoami").stdout
    terminal = Terminal(units.ssh(flags=("-t",)))
    try:
        terminal.wait_for("Quit", seconds=60)
    finally:
        terminal.close()
    (tmp_path / "data").write_text("measured")
    units.copy(str(tmp_path / "data"), "box:")
    units.run("file", "cp", "data", "copy")
    units.copy("box:copy", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "measured"


@pytest.mark.engine
def test_a_job_runs_with_no_more_than_the_units_leave(units: Units, tmp_path: Path) -> None:
    (tmp_path / "study" / "code").mkdir(parents=True)
    (tmp_path / "study" / "code" / "run.sh").write_text("echo held > /output/result; echo done\n")
    units.copy(str(tmp_path / "study"), "box:")
    said = units.run("job", "submit", "study", "--network", "--follow").stdout
    assert b"done" in said, units.log.read_text()
    assert b"held" in units.run("file", "cat", "jobs/latest/output/result").stdout
    assert "may reach the box's own ports" not in units.log.read_text()  # the wall stands


def test_one_ends_with_the_other_and_both_come_back(units: Units) -> None:
    with subprocess.Popen(units.ssh("events"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as session:
        assert units.run("whoami").stdout
        units.spawner.kill()
        assert units.spawner.wait(30) == -signal.SIGKILL
        assert units.daemon.wait(60) == 1  # so that systemd starts it anew
        assert session.wait(60) != 0
    units.start_spawner()
    units.start_daemon()
    units.run("whoami")
    with subprocess.Popen(units.ssh("events"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as session:
        units.run("whoami")
        units.daemon.terminate()
        assert units.daemon.wait(60) == 0
        assert units.spawner.wait(60) == 0
        assert session.wait(60) != 0
    units.start_spawner()
    units.start_daemon()
    units.run("whoami")
    units.spawner.terminate()
    assert units.spawner.wait(60) == 0
    assert units.daemon.wait(60) == 1


def test_only_root_is_served(units: Units) -> None:
    """The folder keeps others out; whoever comes past it is not served either."""
    units.daemon.terminate()
    assert (units.daemon.wait(60), units.spawner.wait(60)) == (0, 0)
    units.start_spawner()
    connect_as = f"""
import os, socket, time
end = time.monotonic() + 60
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.chdir({str(units.socket.parent)!r})
while not os.path.exists("socket"):
    assert time.monotonic() < end
    time.sleep(0.02)
os.chmod("socket", 0o777); os.chmod(".", 0o711)
os.setresuid(70000, 70000, 70000)
sock.connect("socket")
assert sock.recv(100) == b"", "it was served"
"""
    subprocess.run([sys.executable, "-c", connect_as], check=True, timeout=60)
    units.start_daemon()
    units.run("whoami")
