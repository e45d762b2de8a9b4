"""Other hosts by SFTP: the suite of all places over a real OpenSSH server, and what only hosts do wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from conformance import Conformance, Opener, listed, read, refused, write
from sshd import Sshd, descendants, free_port, kill, make_key

from labbox.errors import LabboxError
from labbox.files.places import sftplogin
from labbox.files.places.base import Attributes, EntryKind, Handle
from labbox.files.places.credentials import Credential, Secret, credential_of
from labbox.files.places.hosts import ChangedHostError, LoginRefusedError, UnknownHostError
from labbox.files.places.opening import Places, Roots
from labbox.files.places.sftp import SftpPlace
from labbox.files.places.sftplogin import address_of, fingerprint_of, shown_key
from labbox.locations import parse
from labbox.protocol import HostSecret

pytestmark = pytest.mark.root


def credential(sshd: Sshd, **changes: object) -> Credential:
    made = Credential(
        "root",
        sshd.address,
        sshd.port,
        private_key=Secret(sshd.key.read_text()),
        host_keys=(sshd.host_key,),
    )
    return made._replace(**changes)  # type: ignore[arg-type]


@asynccontextmanager
async def opened_at(sshd: Sshd, path: str) -> AsyncIterator[tuple[SftpPlace, str]]:
    async with await SftpPlace.connect(credential(sshd)) as place:
        yield place, path


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as made:
        yield made


class TestSftp(Conformance):
    vague = frozenset({"limit"})

    @pytest.fixture
    def opened(self, sshd: Sshd) -> Opener:
        return lambda folder: opened_at(sshd, str(folder))


async def refusal(wish: Credential) -> LabboxError:
    with pytest.raises(LabboxError) as caught:
        await SftpPlace.connect(wish)
    assert caught.value.message.startswith("cannot ")
    return caught.value


# ── logging in ────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_unknown_key_asks_and_carries_its_fingerprint(sshd: Sshd) -> None:
    error = await refusal(credential(sshd, host_keys=()))
    assert isinstance(error, UnknownHostError)
    told = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], check=True, capture_output=True, text=True
    )
    assert error.fingerprint == told.stdout.split()[1]
    assert error.fingerprint in error.message
    assert error.key == sshd.host_key == await shown_key(sshd.address, sshd.port)
    assert "labbox host trust sftp://root@127.0.0.1" in error.hint


async def test_a_changed_key_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as sshd:
        wish = credential(sshd)
        await (await SftpPlace.connect(wish)).close()  # it works before
        old = fingerprint_of(sshd.host_key)
        new = fingerprint_of(sshd.new_host_key())
        error = await refusal(wish)
    assert isinstance(error, ChangedHostError)
    assert error.code == "forbidden"
    assert old != new and old in error.message and new in error.message
    assert f"labbox host trust sftp://root@127.0.0.1:{sshd.port} {new}" in error.hint


async def test_nothing_is_sent_to_a_host_that_is_not_the_pinned_one(tmp_path: Path, sshd: Sshd) -> None:
    with Sshd(tmp_path / "other", "LogLevel VERBOSE", "Subsystem sftp internal-sftp") as other:
        await refusal(credential(other, host_keys=(sshd.host_key,)))
        await refusal(credential(other, private_key=None, password=Secret("hunter22"), host_keys=()))
        log = (other.folder / "log").read_text()
    assert "Failed" not in log and "Accepted" not in log


async def test_each_way_not_to_get_in_has_its_sentence(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "wrong")
    wrong = Secret((tmp_path / "wrong").read_text())
    error = await refusal(credential(sshd, private_key=wrong))
    assert isinstance(error, LoginRefusedError)
    assert (error.code, "does not take the key" in error.message) == ("forbidden", True)
    error = await refusal(credential(sshd, private_key=None, password=Secret("not this one")))
    assert isinstance(error, LoginRefusedError)
    assert (error.code, "does not take the password" in error.message) == ("forbidden", True)
    assert "not this one" not in error.message + error.hint
    error = await refusal(credential(sshd, private_key=Secret("no key at all")))
    assert (error.code, "damaged" in error.message) == ("invalid", True)
    error = await refusal(credential(sshd, port=free_port()))
    assert (error.code, "nothing answers on port" in error.message) == ("unavailable", True)
    error = await refusal(credential(sshd, host="no-such-host.invalid"))
    assert (error.code, "nothing of that name" in error.message) == ("unavailable", True)
    assert "no-such-host.invalid" in error.message


async def test_a_server_that_is_no_ssh_or_says_nothing_is_named(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftplogin, "CONNECT_SECONDS", 1.0)

    async def serve(words: bytes) -> LabboxError:
        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(words)
            if words:
                writer.close()
            else:
                await ended.wait()
                writer.close()

        ended = asyncio.Event()
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            error = await refusal(credential(sshd, port=port))
            ended.set()
            return error

    assert "it does not answer" in (await serve(b"")).message
    error = await serve(b"HTTP/1.0 400 Bad Request\r\n\r\n")
    assert (error.code, "hung up before the login" in error.message) == ("unavailable", True)


@pytest.mark.parametrize("option", ["PidFile none", "Subsystem sftp /bin/echo a start-up file talks"])
async def test_a_host_without_sftp_says_so(tmp_path: Path, option: str) -> None:
    with Sshd(tmp_path / "sshd", option) as sshd:
        error = await refusal(credential(sshd))
    assert (error.code, "it serves no SFTP" in error.message) == ("invalid", True)


async def test_a_password_lets_in_and_a_server_without_openssh_is_served(tmp_path: Path) -> None:
    """asyncssh's own server: another program, with other extensions and smaller pieces."""

    class Door(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("me", "open sesame")

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Door, server_host_keys=[key], sftp_factory=True
    ) as server:
        port = server.sockets[0].getsockname()[1]
        line = " ".join(key.export_public_key().decode().split()[:2])
        wish = Credential("me", "127.0.0.1", port, password=Secret("open sesame"), host_keys=(line,))
        assert (await refusal(wish._replace(password=Secret("close sesame")))).code == "forbidden"
        data = os.urandom(700_000)
        async with await SftpPlace.connect(wish) as place:
            await place.make_folder(f"{tmp_path}/d")
            await write(place, f"{tmp_path}/d/f", data)
            await place.change(f"{tmp_path}/d/f", Attributes(mode=0o640, mtime=1_700_000_000_000_000_000))
            assert await read(place, f"{tmp_path}/d/f") == data
            await place.link(f"{tmp_path}/d/l", "f")
            found = await listed(place, f"{tmp_path}/d")
            assert (found["f"].mode, found["f"].mtime) == (0o640, 1_700_000_000_000_000_000)
            assert (found["l"].target, found["l"].kind) == ("f", EntryKind.LINK)
            await place.rename(f"{tmp_path}/d/f", f"{tmp_path}/d/g")
            with refused(frozenset({"conflict"})):
                await place.rename(f"{tmp_path}/d/g", f"{tmp_path}/d/l")
    assert (tmp_path / "d" / "g").read_bytes() == data


# ── lines that break ──────────────────────────────────────────────────────────────────────────────────────


def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftplogin, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(sftplogin, "_ASK_SECONDS", 0.3)


async def test_a_host_that_stops_is_named_to_all_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel still answers; its programs do not."""
    _impatient(monkeypatch)
    (tmp_path / "d").mkdir()
    with Sshd(tmp_path / "sshd") as sshd:
        async with await SftpPlace.connect(credential(sshd)) as place:
            file = await place.open(f"{tmp_path}/d/f", write=True, exclusive=True)
            stopped = descendants(sshd.pid)
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(60):
                    ends = await asyncio.gather(
                        place.entry("/"), listed(place, "/"), _fill(file), return_exceptions=True
                    )
                for error in ends:
                    assert isinstance(error, LabboxError), error
                    assert error.code == "unavailable"
                    assert error.message == f"cannot reach root@127.0.0.1:{sshd.port}: it does not answer"
                with refused(frozenset({"unavailable"})):
                    await place.entry("/")
            finally:
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)


async def test_a_host_that_only_rests_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for a while: the line stays."""
    _impatient(monkeypatch)
    with Sshd(tmp_path / "sshd") as sshd:
        async with await SftpPlace.connect(credential(sshd)) as place:
            await asyncio.sleep(0.2 * sftplogin.SILENT_LOOKS * 2)  # time itself is what this is about
            assert (await place.entry("/")).folder


async def test_a_server_that_is_killed_ends_what_waits(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as sshd:
        place = await SftpPlace.connect(credential(sshd))
        file = await place.open(f"{tmp_path}/f", write=True, exclusive=True)
        writing = asyncio.create_task(_fill(file))
        for pid in descendants(sshd.pid):
            kill(pid)
        async with asyncio.timeout(60):
            with refused(frozenset({"unavailable"})) as caught:
                await writing
            assert "the connection broke" in caught.error.message
            with refused(frozenset({"unavailable"})):  # what was written is lost
                await file.close()
            await place.close()


async def test_a_host_that_was_away_is_connected_to_again(tmp_path: Path, sshd_alone: Sshd) -> None:
    class Kept:
        async def credential(self, host: str) -> Credential:
            return credential(sshd_alone)

    (tmp_path / "f").write_bytes(b"there")
    location = parse(f"sftp://root@127.0.0.1:{sshd_alone.port}/{tmp_path}/f")
    async with Places(Roots(home=str(tmp_path)), credentials=Kept()) as places:
        place, path = await places.get(location)
        assert await read(place, path) == b"there"
        sshd_alone.stop()
        async with asyncio.timeout(60):
            while not place.lost:
                await asyncio.sleep(0.01)
        with pytest.raises(LabboxError, match="nothing answers on port"):
            await places.get(location)
        sshd_alone.start()
        again, path = await places.get(location)
        assert again is not place and await read(again, path) == b"there"


@pytest.fixture
def sshd_alone(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as made:
        yield made


async def _fill(file: Handle) -> None:
    at = 0
    while True:
        await file.write(at, bytes(1 << 20))
        at = (at + (1 << 20)) % (64 << 20)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    made = Apart(tmp_path)
    yield made
    made.close()


class Apart:
    """Two network namespaces with a cable between them: an SSH server in one, who calls it in the other."""

    def __init__(self, folder: Path) -> None:
        tag = f"lbx{os.getpid()}"
        self.here, self.there, self._folder = f"{tag}h", f"{tag}t", folder
        for name in (self.here, self.there):
            _run("ip", "netns", "add", name)
        _run(
            "ip",
            "-n",
            self.here,
            "link",
            "add",
            "cable",
            "type",
            "veth",
            "peer",
            "cable",
            "netns",
            self.there,
        )
        for name, address in ((self.here, "10.213.0.1/24"), (self.there, "10.213.0.2/24")):
            _run("ip", "-n", name, "address", "add", address, "dev", "cable")
            _run("ip", "-n", name, "link", "set", "cable", "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        self.sshd = Sshd(folder / "sshd", address="10.213.0.2", inside=("ip", "netns", "exec", self.there))
        self.sshd.start()
        self._called: list[subprocess.Popen[str]] = []

    def call(self, work: str, *words: str, connect: float = 5.0) -> subprocess.Popen[str]:
        """Run `work`, which has a `place` within `connect` seconds, in the other namespace."""
        program = _CALLER.replace("WORK", textwrap.indent(textwrap.dedent(work), " " * 8))
        program = program.replace("= SECONDS", f"= {connect}")
        wish = [self.sshd.address, str(self.sshd.port), str(self.sshd.key), self.sshd.host_key]
        called = subprocess.Popen(
            ["ip", "netns", "exec", self.here, sys.executable, "-P", "-c", program, *wish, *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._called.append(called)
        return called

    def cut(self) -> None:
        _run("ip", "-n", self.there, "link", "set", "cable", "down")

    def slow(self, rate: str) -> None:
        """Let the line carry so much; it keeps what waits, and drops nothing."""
        for name in (self.here, self.there):
            _run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "cable", "root", "tbf",
                 "rate", rate, "burst", "16kb", "latency", "30s")  # fmt: skip

    def close(self) -> None:
        for called in self._called:
            called.kill()
            called.communicate()
        self.sshd.stop()
        for name in (self.here, self.there):
            _run("ip", "netns", "delete", name)


_CALLER = """
import asyncio, sys
from pathlib import Path
from labbox.errors import LabboxError
from labbox.files.places import sftplogin
from labbox.files.places.credentials import Credential, Secret
from labbox.files.places.opening import Places, Roots
from labbox.files.places.sftp import SftpPlace

sftplogin.LOOK_SECONDS = 0.25
sftplogin._ASK_SECONDS = 0.5
sftplogin.CONNECT_SECONDS = SECONDS
host, port, key, pinned, *words = sys.argv[1:]
wish = Credential("root", host, int(port), Secret(Path(key).read_text()), None, (pinned,))

async def main():
    async with await SftpPlace.connect(wish) as place:
WORK

try:
    asyncio.run(main())
except LabboxError as error:
    print(error.code, error.message, flush=True)
"""


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


def test_a_cable_that_is_pulled_midway_is_noticed(apart: Apart, tmp_path: Path) -> None:
    called = apart.call(
        """
        async with await place.open(words[0], write=True, exclusive=True) as file:
            await file.write(0, bytes(1 << 20))
            await file.flush()
            print("under way", flush=True)
            at = 1 << 20
            while True:
                await file.write(at, bytes(1 << 20))
                at += 1 << 20
                await file.truncate(1 << 20)
        """,
        str(tmp_path / "f"),
    )
    assert called.stdout is not None
    assert called.stdout.readline() == "under way\n"
    apart.cut()
    out, _ = called.communicate(timeout=120)
    assert out == f"unavailable cannot reach root@10.213.0.2:{apart.sshd.port}: it does not answer\n"


def test_a_host_that_is_off_is_named_at_the_login(apart: Apart) -> None:
    apart.cut()
    out, _ = apart.call("pass").communicate(timeout=120)
    assert out == f"unavailable cannot reach root@10.213.0.2:{apart.sshd.port}: it does not answer\n"


def test_a_slow_line_is_not_taken_for_a_dead_one(apart: Apart, tmp_path: Path) -> None:
    """Each piece of a write takes longer than a host may be silent."""
    apart.slow("512kbit")
    called = apart.call(
        """
        async with await place.open(words[0], write=True, exclusive=True) as file:
            await file.write(0, bytes(700_000))
            await file.flush()
        print("there", flush=True)
        """,
        str(tmp_path / "f"),
        connect=60.0,
    )
    out, _ = called.communicate(timeout=240)
    assert out == "there\n"
    assert (tmp_path / "f").stat().st_size == 700_000


def test_a_host_is_called_as_its_person_calls_it() -> None:
    """What the hint of an error says can be typed."""
    kept = HostSecret(name="my-pc", user="ada", host="my-pc", port=22, password="x")
    assert address_of(credential_of(kept)) == "my-pc"
    assert address_of(Credential("ada", "my-pc", 2222)) == "ada@my-pc:2222"


@pytest.mark.attack("S18")
async def test_a_server_of_endless_folders_is_bounded(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tried: Callable[..., None]
) -> None:
    """Each folder holds one more, without an end; and a listing that never ends."""
    from labbox.files.lookingbelow import count_below
    from labbox.files.places import sftp
    from labbox.files.places.base import Entry, EntryKind

    async with await SftpPlace.connect(credential(sshd)) as place:
        listing, asked = SftpPlace.list, 0

        async def endless(self: SftpPlace, path: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
            nonlocal asked
            asked += 1
            self._way(path)
            yield [Entry("deeper", EntryKind.FOLDER, folder=True)]

        monkeypatch.setattr(SftpPlace, "list", endless)
        tried()
        count = await count_below(place, "~", lambda _: None)
        assert count.unread == 1 and asked < 200
        monkeypatch.setattr(SftpPlace, "list", listing)
        for path in ("~/" + "a/" * 161, "/" + "x" * 5000):
            tried()
            with pytest.raises(LabboxError, match="cannot go into") as caught:
                _ = [batch async for batch in place.list(path)]
            assert caught.value.code == "limit" and len(caught.value.message) < 400
        monkeypatch.setattr(sftp, "_MOST_LISTED", 0)
        tried()
        with pytest.raises(LabboxError, match="it holds more than"):
            _ = [batch async for batch in place.list("/")]
