"""A suspended or expired person gets in by no way, and what of theirs is open ends at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from attacked import PASSWORD, Attacked, attacked

from labbox.client import Client
from labbox.model import JobSpec, JobState, ReasonCode, Scope, TransferSpec, TransferVerb
from labbox.protocol import UserEdit

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
WORD = {"suspended": "the account ada is suspended", "expired": "the account ada has expired"}


@pytest.fixture(scope="module")
def box() -> Iterator[Attacked]:
    with attacked("[people]\nfirst_uid = 74400\n") as running:  # other boxes' people run processes too
        yield running


@pytest.fixture(params=["suspended", "expired"])
def bar(box: Attacked, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Shuts ada out in one of the ways and says what she is told; afterwards she is let in again."""
    way = str(request.param)

    def shut() -> str:
        with box.client() as root:
            if way == "suspended":
                root.suspend_user("ada")
            else:
                root.edit_user("ada", UserEdit(expires_at=datetime.now(UTC) + timedelta(seconds=0.3)))
                wait_for(lambda: root.show_user("ada").standing(datetime.now(UTC)) == "expired")
        return WORD[way]

    yield shut
    with box.client() as root:
        if root.show_user("ada").suspended_at is not None:
            root.unsuspend_user("ada")
        root.edit_user("ada", UserEdit(forever=True))


def wait_for(true: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.02)


def processes_of(uid: int) -> list[str]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"Uid:\t{uid}\t" in status.read_text(errors="replace"):
                found.append((status.parent / "cmdline").read_text(errors="replace"))
        except OSError:
            continue
    return found


async def refused(box: Attacked, **options: object) -> str:
    """What a login that is refused is told."""
    chosen = {"username": "ada", "known_hosts": None, "config": None, "client_keys": None, "agent_path": None}
    try:
        async with asyncssh.connect("127.0.0.1", box.port, **{**chosen, **options}) as connection:
            done = await connection.run("whoami", timeout=20)
    except asyncssh.Error as error:
        return str(error)
    except OSError as error:
        return str(error)
    pytest.fail(f"in: {done.stdout!s} {done.stderr!s}")


@pytest.mark.attack("47")
async def test_no_secret_opens_and_each_is_told_why(
    box: Attacked, bar: Callable[[], str], tried: Callable[..., None]
) -> None:
    def prepare(root: Client) -> tuple[list[str], str]:
        scopes = (Scope.READ, Scope.SUBMIT)
        return [root.add_token("ada", "t", scope).secret for scope in scopes], root.invite_user("ada").code

    with box.client() as root:
        tokens, code = await asyncio.to_thread(prepare, root)
    why = await asyncio.to_thread(bar)
    ways: list[Awaitable[str]] = [
        refused(box, client_keys=[str(box.key)]),
        refused(box, password=PASSWORD),
        *(refused(box, password=token) for token in tokens),
        refused(box, password=code),
        refused(box, password=PASSWORD, preferred_auth=["keyboard-interactive"]),
    ]
    for said in await asyncio.gather(*ways):
        tried()
        assert why in said
    commands: tuple[list[str], ...] = (
        ["job", "list"],
        [],
        ["git-receive-pack", "'study.git'"],
        ["rsync", "--server", ".", "x"],
    )
    for words in commands:
        tried()
        done = await asyncio.to_thread(subprocess.run, box.ssh(*words), capture_output=True, timeout=60)
        assert done.returncode not in (0, None)
        assert not done.stdout
    stock = [*box.ssh("whoami")]
    stock[stock.index("-oLogLevel=ERROR")] = "-oLogLevel=INFO"
    done = await asyncio.to_thread(subprocess.run, stock, capture_output=True, timeout=60)
    assert why in done.stderr.decode()


@pytest.mark.attack("47")
async def test_what_is_open_ends_at_once(
    box: Attacked, bar: Callable[[], str], tried: Callable[..., None]
) -> None:
    """A multiplexed connection with screens, a program that ignores signals, a stream, and a git push."""
    with box.client() as root:
        uid = root.show_user("ada").uid
    chosen = {"known_hosts": None, "config": None, "client_keys": [str(box.key)]}
    async with asyncssh.connect("127.0.0.1", box.port, username="ada", **chosen) as connection:
        screens = await connection.create_process(term_type="xterm", encoding=None)
        follows = await connection.create_process("events --follow --json", encoding=None)
        pushes = await connection.create_process("git-receive-pack 'study.git'", encoding=None)
        assert await pushes.stdout.read(4)  # it talks
        assert await screens.stdout.read(4)
        assert processes_of(uid)
        why = await asyncio.to_thread(bar)
        await asyncio.to_thread(wait_for, lambda: not processes_of(uid), 30)
        for process in (screens, follows, pushes):
            tried()
            async with asyncio.timeout(20):
                await process.wait_closed()
        tried()
        with suppress(asyncssh.Error, OSError):
            more = await connection.run("whoami", timeout=20)  # while the connection is being ended
            assert more.exit_status != 0, more.stdout
            assert not more.stdout
        async with asyncio.timeout(20):
            await connection.wait_closed()
    assert why
    assert not processes_of(uid)


@pytest.mark.attack("47")
def test_the_socket_answers_nobody_who_is_barred(
    box: Attacked, bar: Callable[[], str], tried: Callable[..., None]
) -> None:
    """A process with her uid that the gate knows nothing of; its connection and stream were there before."""
    with box.client() as root:
        user = root.show_user("ada")
    program = (
        "import sys, labbox.client, labbox.errors\n"
        f"box = labbox.client.connect({str(box.state / 'api.sock')!r})\n"
        "print(box.whoami().name, flush=True)\n"
        "stream = box.events(follow=True)\n"
        "sys.stdin.readline()\n"
        "for ask in (box.whoami, box.list_jobs, lambda: box.list_keys('ada'), lambda: next(stream)):\n"
        "    try: print('in', ask())\n"
        "    except labbox.errors.LabboxError as error: print(error.message)\n"
    )
    asking = subprocess.Popen(
        [sys.executable, "-c", program], user=user.uid, group=user.gid, extra_groups=(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
    )  # fmt: skip
    assert asking.stdout is not None
    assert asking.stdout.readline() == "ada\n"
    why = bar()
    out, _ = asking.communicate("\n", timeout=60)
    said = out.splitlines()
    tried(len(said))
    assert len(said) == 4
    assert all(why in line for line in said), said


@pytest.mark.attack("47")
def test_what_waits_of_theirs_waits_and_says_why(
    box: Attacked, bar: Callable[[], str], tried: Callable[..., None]
) -> None:
    home = box.state / "homes" / "ada"
    (home / "a").write_text("a")
    transfer = TransferSpec(verb=TransferVerb.COPY, sources=("~/a",), target="~/b", exact=True)
    with box.client("ada") as ada:
        soon = datetime.now(UTC) + timedelta(seconds=2)
        number = ada.submit_job(JobSpec(transfer=transfer, start_at=soon)).id
    why = bar()
    with box.client() as root:
        tried()
        wait_for(lambda: (reason := root.show_job(number).job.reason) and reason.code is ReasonCode.SUSPENDED)
        reasons = root.why_job(number).reasons
        assert [reason.text for reason in reasons] == [why]
        assert root.show_job(number).job.state is JobState.QUEUED
        assert not (home / "b").exists()
        if root.show_user("ada").suspended_at is not None:
            root.unsuspend_user("ada")
        else:
            root.edit_user("ada", UserEdit(forever=True))
        wait_for(lambda: root.show_job(number).job.state is JobState.SUCCEEDED)
    assert (home / "b").read_text() == "a"
    (home / "b").unlink()


@pytest.mark.attack("47")
async def test_a_withdrawn_code_lets_nobody_finish_a_welcome(
    box: Attacked, tried: Callable[..., None]
) -> None:
    with box.client() as root:
        code = (await asyncio.to_thread(root.invite_user, "hedy")).code
        tried()
        async with asyncssh.connect(
            "127.0.0.1", box.port, username="hedy", password=code, known_hosts=None, config=None,
            client_keys=None, agent_path=None,
        ) as connection:  # fmt: skip
            welcome = await connection.create_process(term_type="xterm")
            await welcome.stdout.readuntil("Public key: ")
            await asyncio.to_thread(root.withdraw_invitation, "hedy")
            async with asyncio.timeout(20):
                await connection.wait_closed()
        user = await asyncio.to_thread(root.show_user, "hedy")
    assert (user.keys, user.has_password, user.invited_until) == (0, False, None)
    assert "denied" in (await refused(box, username="hedy", password=code)).lower()


def test_the_invitation_has_the_line_that_is_typed(box: Attacked) -> None:
    with box.client() as root:
        root.set_admin("grace", True)
    done = subprocess.run(box.ssh("user", "invite", "emmy", user="grace"), capture_output=True, text=True)
    assert f"    ssh -p {box.port} emmy@127.0.0.1\n" in done.stderr
    listed = subprocess.run(box.ssh("user", "list", user="grace"), capture_output=True, text=True).stdout
    assert any("emmy" in line and "invited until" in line for line in listed.splitlines())
    with box.client() as root:
        assert root.invite_user("emmy").ssh.startswith(f"ssh -p {box.port} emmy@")
