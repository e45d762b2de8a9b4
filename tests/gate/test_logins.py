"""Keys, passwords, codes, tokens: who gets in, and who has to wait."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labbox.custom.schema import SshSettings
from labbox.daemon.gate import door, hostkeys
from labbox.daemon.gate.sessions import Sessions
from labbox.daemon.people import BOX, Actor, guessing
from labbox.errors import LabboxError
from labbox.model import Scope
from labbox.protocol import AuditEntry, InviteBody, TokenBody

PASSWORD = "correct horse 73 battery"
pytestmark = pytest.mark.root


@pytest.fixture
def ssh_settings() -> SshSettings:
    return SshSettings(listen="127.0.0.1:0", banner="Welcome to the lab.", max_sessions_per_user=2)


async def test_key_password_and_banner(box: Any) -> None:
    done = await box.run(box.ssh("echo", "by key"))
    assert done.stdout == b"by key\n"
    done = await box.password(PASSWORD, "echo", "by password", more=["-oLogLevel=INFO"])
    assert done.stdout == b"by password\n"
    assert b"Welcome to the lab." in done.stderr
    done = await box.password(PASSWORD, "echo", "x", more=["-oPreferredAuthentications=password"])
    assert done.returncode == 0
    logins: list[AuditEntry] = []
    async with asyncio.timeout(10):  # a login is noted beside its session
        while len(logins) < 3:
            page = await box.people.audit_page()
            logins = [entry for entry in page.entries if entry.action == "login"]
    assert [entry.detail.split()[0] for entry in logins] == ["password", "password", "key"]
    assert {entry.origin for entry in logins} == {"ssh 127.0.0.1"}


@pytest.mark.parametrize("user", ["ada", "nobody-here", "root", ""])
async def test_wrong_password(box: Any, user: str) -> None:
    done = await box.password("wrong", "echo", "x", user=user or "x" * 200)
    assert done.returncode == 255
    assert done.stdout == b""


async def test_strange_key_is_no_login(box: Any, tmp_path: Path) -> None:
    key = tmp_path / "strange"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(key)], check=True)
    done = await box.run(box.ssh("echo", "x", options=[f"-oIdentityFile={key}"]))
    argv = [word for word in box.ssh("echo", "x") if not word.startswith("-oIdentityFile")]
    done = await box.run([*argv[:1], f"-oIdentityFile={key}", *argv[1:]])
    assert done.returncode == 255


async def test_kinds_of_keys(box: Any, tmp_path: Path) -> None:
    for kind in ("rsa", "ecdsa"):
        key = tmp_path / kind
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key)], check=True)
        await box.people.add_key("ada", key.with_suffix(".pub").read_text(), BOX)
        argv = [word for word in box.ssh("echo", kind) if not word.startswith("-oIdentityFile")]
        done = await box.run([*argv[:1], f"-oIdentityFile={key}", *argv[1:]])
        assert done.stdout == f"{kind}\n".encode()


async def test_guessing_address_waits_and_no_other(box: Any) -> None:
    """From 127.0.0.1 passwords are no longer looked at; keys are, and another address is not concerned."""
    for _ in range(guessing.FREE_FAILURES):
        box.people.guessing.failed("127.0.0.1", "ada")
    done = await box.password(PASSWORD, "echo", "x", more=["-oLogLevel=INFO"])
    assert done.returncode == 255
    assert b"cannot look at a password from 127.0.0.1 yet" in done.stderr
    assert (await box.run(box.ssh("echo", "by key"))).stdout == b"by key\n"
    done = await box.password(PASSWORD, "echo", "elsewhere", more=["-oBindAddress=127.0.0.2"])
    assert done.stdout == b"elsewhere\n"
    assert (await box.password(PASSWORD, "echo", "x", user="grace")).returncode == 255


async def test_wrong_passwords_lead_to_the_wait(box: Any) -> None:
    for _ in range(guessing.FREE_FAILURES):
        assert (await box.password("wrong", "echo", "x")).returncode == 255
    assert box.people.guessing.wait("127.0.0.1") > 0
    page = await box.people.audit_page()
    assert any(entry.action == "login refused" for entry in page.entries)


async def test_tries_of_one_connection_end(box: Any) -> None:
    done = await box.password("wrong", "echo", "x", more=["-oNumberOfPasswordPrompts=20", "-oLogLevel=INFO"])
    assert done.returncode == 255


async def test_logins_go_on_while_someone_guesses(box: Any) -> None:
    async def guess() -> None:
        while True:
            await box.password("wrong", "echo", "x", user="grace", more=["-oBindAddress=127.0.0.3"])

    guesses = [asyncio.create_task(guess()) for _ in range(2)]
    try:
        taken = []
        for _ in range(5):
            before = time.monotonic()
            assert (await box.run(box.ssh("echo", "x"))).returncode == 0
            taken.append(time.monotonic() - before)
    finally:
        for task in guesses:
            task.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)
    assert sorted(taken)[2] < 1


async def test_sessions_of_a_user_are_capped(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SESSION_SECONDS", 0.5)  # that the third waits for one of the two
    held = [
        await asyncio.create_subprocess_exec(
            *box.ssh("cat"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    async with asyncio.timeout(10):
        while len(box.gate.sessions) < 2:
            await asyncio.sleep(0.02)
    done = await box.run(box.ssh("echo", "x"))
    assert done.returncode == 1
    assert b"cannot open more than 2 sessions of ada" in done.stderr
    assert (await box.run(box.ssh("echo", "x", user="grace"))).returncode == 0
    monkeypatch.setattr(door, "SESSION_SECONDS", 30.0)
    third = asyncio.create_task(box.run(box.ssh("echo", "x")))
    async with asyncio.timeout(10):
        while box.gate.seats.waiting("ada") == 0:
            await asyncio.sleep(0.02)
    for process in held:
        await process.communicate(b"")
    assert (await third).stdout == b"x\n"
    assert box.gate.seats.taken("ada") == 0


async def test_tokens_are_limited_and_known_to_the_api(box: Any) -> None:
    by = Actor(name="ada", origin="test")
    made = await box.people.add_token("ada", TokenBody(label="script", scope=Scope.READ, valid=3600.0), by)
    scopes = []
    started = box.gate.sessions.add

    def note(pid: int, info: Any, first: int | None) -> None:
        started(pid, info, first)
        scopes.append((info.scope, box.gate.sessions.of_pid(pid)))
        if first is not None:
            assert box.gate.sessions.of_pid(first) is info

    box.gate.sessions.add = note
    assert (await box.password(made.secret, "echo", "x")).returncode == 0
    assert scopes[0][0] is Scope.READ
    assert scopes[0][1].account.name == "ada"
    (box.home() / "file").write_text("x")
    done = await box.password(made.secret, "scp -t file")
    assert done.returncode == 1
    assert b"cannot write with this token" in done.stderr
    assert len(box.gate.sessions) == 0


async def test_invited_person_leaves_a_key(box: Any, tmp_path: Path) -> None:
    invite = await box.people.invite(InviteBody(name="eve", valid=3600.0), BOX)
    done = await box.password(invite.code, "echo", "x", user="eve")
    assert done.returncode == 1
    assert b"cannot do this with an invitation code" in done.stderr
    key = tmp_path / "eve"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "eve", "-f", str(key)], check=True)
    said = await dialogue(
        box,
        invite.code,
        [(b"Public key: ", b"nonsense\r"), (b"Public key: ", key.with_suffix(".pub").read_bytes())],
    )
    assert b"\r\nerror: cannot take this key: " in said
    assert b"\r\nhint: paste the one line of the file that ends in .pub" in said
    assert b"Thank you: ssh-ed25519 SHA256:" in said
    assert b"screens of eve" in said
    argv = [word for word in box.ssh("echo", "in", user="eve") if not word.startswith("-oIdentityFile")]
    assert (await box.run([*argv[:1], f"-oIdentityFile={key}", *argv[1:]])).stdout == b"in\n"
    assert (await box.password(invite.code, "echo", "x", user="eve")).returncode == 255  # once


async def test_invited_person_sets_a_password(box: Any) -> None:
    invite = await box.people.invite(InviteBody(name="eve", valid=3600.0), BOX)
    answers = [
        (b"Public key: ", b"\r"), (b"New password: ", b"one two three 4\r"), (b"again: ", b"other\r"),
        (b"Public key: ", b"\r"), (b"New password: ", b"oops\x15one two three 45\x7f\r"),
        (b"again: ", b"one two three 4\r"),
    ]  # fmt: skip
    said = await dialogue(box, invite.code, answers)
    assert b"The two differ" in said
    assert b"one two" not in said  # what is typed is not shown
    assert b"the password is set" in said
    assert (await box.password("one two three 4", "echo", "in", user="eve")).stdout == b"in\n"


async def test_invited_person_who_gives_up_may_come_back(box: Any) -> None:
    invite = await box.people.invite(InviteBody(name="eve", valid=3600.0), BOX)
    said = await dialogue(
        box, invite.code, [(b"Public key: ", b"\x03")], last=b"come back with the same code"
    )
    assert b"screens" not in said
    said = await dialogue(
        box, invite.code, [(b"Public key: ", b"\x03")], last=b"come back with the same code"
    )


async def dialogue(
    box: Any, code: str, answers: list[tuple[bytes, bytes]], last: bytes = b"size 80x24"
) -> bytes:
    """Log in as eve at a terminal, answer each prompt in turn, and give all that was shown."""
    import asyncssh

    async with asyncssh.connect(
        "127.0.0.1", box.port, username="eve", password=code, client_keys=None, known_hosts=None, config=None
    ) as client:
        process: Any = await client.create_process(term_type="xterm", term_size=(80, 24), encoding=None)
        said, seen = b"", 0
        async with asyncio.timeout(20):
            for prompt, answer in answers:
                while prompt not in said[seen:]:
                    said += await process.stdout.read(4096)
                seen = len(said)
                process.stdin.write(answer)
            while last not in said:
                data = await process.stdout.read(4096)
                assert data, said
                said += data
        process.close()
    return said


def test_host_keys_are_kept_and_never_replaced(tmp_path: Path) -> None:
    first = [key.export_public_key() for key in hostkeys.load(tmp_path / "secrets")]
    assert [key.export_public_key() for key in hostkeys.load(tmp_path / "secrets")] == first
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "host_ed25519_key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "secrets" / "host_ed25519_key").write_text("damaged")
    with pytest.raises(LabboxError, match="cannot read the host key"):
        hostkeys.load(tmp_path / "secrets")


@pytest.mark.attack("S17")
@pytest.mark.parametrize("gone", ["host_ed25519_key", "host_rsa_key", "*", "secrets"])
def test_host_keys_that_are_gone_are_not_made_anew_unasked(
    tmp_path: Path, tried: Callable[..., None], gone: str
) -> None:
    folder = tmp_path / "secrets"
    first = {key.get_algorithm(): key.export_public_key() for key in hostkeys.load(folder)}
    if gone == "secrets":
        shutil.rmtree(folder)
    for path in folder.glob(gone):
        path.unlink()
    for _ in range(2):
        tried()
        with pytest.raises(LabboxError, match="it was made before and is gone") as caught:
            hostkeys.load(folder)
    assert "everybody is warned" in caught.value.hint
    while True:  # what the hint says, for each of them
        try:
            again = {key.get_algorithm(): key.export_public_key() for key in hostkeys.load(folder)}
            break
        except LabboxError as error:
            subprocess.run(["sh", "-c", error.hint.rpartition("then: ")[2]], check=True)
    assert again != first
    assert not list(folder.glob("*.lost"))


def test_process_that_has_gone_is_refused() -> None:
    sessions = Sessions()
    assert sessions.of_pid(os.getpid()) is None
    sessions.add(1 << 30, None)  # type: ignore[arg-type]  # only its pid matters
    assert sessions.of_pid(os.getpid()) is None
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(LabboxError, match="the process has ended"):
        sessions.of_pid(gone.pid)


async def test_a_process_below_a_session_belongs_to_it() -> None:
    sessions = Sessions()
    info: Any = object()
    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    sessions.add(child.pid, info)
    assert sessions.of_pid(grandchild) == info
    sessions.remove(child.pid)
    sessions.add(1 << 30, info, first=child.pid)  # as if orphaned: that took it in
    found = sessions.of_pid(grandchild)
    assert (found, len(sessions)) == (info, 1)
    sessions.remove(1 << 30)
    found = sessions.of_pid(grandchild)
    assert found is None
    os.kill(grandchild, 9)
    child.wait()
    child.stdout.close()


@pytest.mark.attack("S7")
async def test_nobody_logs_in_from_a_job(box: Any, tried: Callable[..., None]) -> None:
    box.gate.not_from = lambda address: "cannot log in from a job" if address == "127.0.0.5" else ""
    tried()
    done = await box.run(box.ssh("echo", "x", options=["-oBindAddress=127.0.0.5", "-oLogLevel=INFO"]))
    assert done.returncode == 255
    assert b"cannot log in from a job" in done.stderr
    assert box.gate.porch.inside == 0
    assert (await box.run(box.ssh("echo", "x"))).returncode == 0
