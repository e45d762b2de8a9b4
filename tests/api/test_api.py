"""The API over a real socket: callers and their rights, bad requests, streams, restarts, slow readers."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from passable import passable
from serving import Logged, Peers, Served

import labbox.client
from labbox.client.transport import Transport, UnixRoute
from labbox.daemon.api import server as server_module
from labbox.daemon.api import streams
from labbox.daemon.api.callers import Peer
from labbox.daemon.people.accounts import Account
from labbox.errors import LabboxError
from labbox.model import JobSpec, JobState, Limits, Role, Scope, Stream
from labbox.protocol import (
    AdminBody,
    Event,
    Failure,
    InspectBody,
    JobEdit,
    LogRecord,
    TransferSummary,
    UserAdd,
)


def uid_of(served: Served, name: str) -> int:
    account = served.do(served.people.account(name))
    assert account is not None
    return account.uid


def raw(
    served: Served, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("labbox")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(served.socket))
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def refused(call: object, *args: object, **words: object) -> LabboxError:
    with pytest.raises(LabboxError) as caught:
        call(*args, **words)  # type: ignore[operator]
    return caught.value


# ── callers ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_kernel_names_the_caller(served: Served, peers: Peers, box: labbox.client.Client) -> None:
    peers.uid = uid_of(served, "ada")
    caller = box.whoami()
    assert (caller.name, caller.role, caller.scope) == ("ada", Role.USER, None)
    assert caller.home.endswith("/homes/ada")


def test_a_real_process_of_another_uid_is_taken_for_its_user(served: Served) -> None:
    if os.geteuid() != 0:
        pytest.fail("needs root: run the suite as tests/run does")
    program = (
        "import http.client, os, socket, sys\n"
        "uid, path = int(sys.argv[1]), sys.argv[2]\n"
        "os.setgroups([]); os.setgid(uid); os.setuid(uid)\n"
        "c = http.client.HTTPConnection('x'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect(path)\n"
        "c.request('GET', '/v1/whoami', headers={'Labbox-As': sys.argv[3]} if sys.argv[3:] else {})\n"
        "print(c.getresponse().read().decode())\n"
    )
    passable(served.folder)
    uid = str(uid_of(served, "ada"))

    def ask(*words: str) -> dict[str, str]:
        command = [sys.executable, "-S", "-c", program, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        return dict(json.loads(done.stdout))

    assert ask(uid, str(served.socket))["name"] == "ada"
    assert "only root on the box may" in ask(uid, str(served.socket), "boss")["message"]
    assert "not a user of this box" in ask("65534", str(served.socket))["message"]


def test_root_acts_for_a_user_and_only_for_one_that_exists(served: Served, ada: labbox.client.Client) -> None:
    assert ada.whoami().name == "ada"
    job = ada.submit_job(path="study")
    assert job.owner == "ada"
    with labbox.client.connect(str(served.socket), act_as="nobody-here") as client:
        assert refused(client.whoami).code == "not_found"


def test_root_itself_is_told_to_say_for_whom(box: labbox.client.Client) -> None:
    error = refused(box.submit_job, path="study")
    assert error.message.startswith("cannot hand in a job as root")
    assert "--as NAME" in error.hint


def test_admin_verbs_are_refused_to_others_by_the_api(
    served: Served, peers: Peers, box: labbox.client.Client
) -> None:
    peers.uid = uid_of(served, "ada")
    for call in (
        lambda: box.list_users(),
        lambda: box.add_user(UserAdd(name="eve")),
        lambda: box.remove_user("grace"),
        lambda: box.set_limits("ada", Limits(cpus=100)),
        lambda: box.set_admin("ada", True),
        lambda: box.invite_user("eve"),
        lambda: box.audit(),
        lambda: box.show_user("grace"),
        lambda: box.set_password("grace", "hunter2 hunter2"),
        lambda: box.list_keys("grace"),
        lambda: box.add_token("grace", "mine now", Scope.SUBMIT),
    ):
        assert refused(call).code == "forbidden"
    assert box.show_user("ada").name == "ada"
    peers.uid = uid_of(served, "boss")
    assert {user.name for user in box.list_users().users} >= {"ada", "grace", "boss"}


@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_limits_what_its_login_may(
    served: Served, peers: Peers, box: labbox.client.Client, scope: Scope
) -> None:
    peers.uid = uid_of(served, "boss")
    mine = box.submit_job(path="study")
    served.login = Logged(scope)
    assert box.whoami().scope is scope
    assert box.whoami().role is Role.USER
    assert box.show_job(mine.id).job.owner == "boss"
    assert box.inspect(InspectBody(path="study")).name == "study"
    for call in (
        lambda: box.set_password("boss", "a new long password"),
        lambda: box.add_token("boss", "another", Scope.SUBMIT),
        lambda: box.list_users(),
        lambda: box.list_keys("boss"),
    ):
        assert refused(call).code == "forbidden"
    if scope is Scope.READ:
        assert "token of scope read" in refused(box.submit_job, path="study").message
        assert refused(box.cancel_job, mine.id).code == "forbidden"
    else:
        assert box.cancel_job(mine.id).state is JobState.CANCELLED


def test_a_login_never_acts_for_another_even_with_the_uid_of_the_box(
    served: Served, ada: labbox.client.Client
) -> None:
    served.login = Logged(Scope.READ)
    assert refused(ada.whoami).code == "forbidden"


def test_changes_leave_a_trail_with_who_and_whence(
    served: Served, peers: Peers, box: labbox.client.Client
) -> None:
    peers.uid = uid_of(served, "boss")
    served.login = Logged(None)
    box.set_limits("ada", Limits(running_jobs=3))
    entry = box.audit(limit=1).entries[0]
    assert (entry.who, entry.target, entry.origin) == ("boss", "ada", "ssh 192.0.2.7")
    assert box.show_user("ada").limits.running_jobs == 3


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────


def test_bad_requests_get_a_sentence_each(served: Served) -> None:
    for method, path, body, status, words in (
        ("POST", "/v1/jobs", b"{", 422, "cannot read the request"),
        ("POST", "/v1/jobs", b"[" * 10_000, 422, "cannot read the request"),
        ("POST", "/v1/jobs", b'{"a":' * 10_000, 422, "cannot read the request"),
        ("POST", "/v1/jobs", b'{"a":' * 100_000, 422, "cannot read the request"),
        ("POST", "/v1/jobs", b'{"cpus": "many"}', 422, "$.cpus"),
        ("POST", "/v1/jobs", b'{"cpu": 2}', 422, "unknown field `cpu`"),
        ("POST", "/v1/users", b'{"name": "eve", "root": true}', 422, "unknown field `root`"),
        ("GET", "/v1/jobs/seventeen", b"", 422, "seventeen"),
        ("GET", "/v1/jobs?limit=0", b"", 422, "limit=0"),
        ("GET", "/v1/jobs?limit=100000", b"", 422, "limit=100000"),
        ("GET", "/v1/jobs/1/log?follow=perhaps", b"", 422, "perhaps"),
        ("GET", "/v1/jobs/99", b"", 404, "cannot find job 99"),
        ("GET", "/v2/jobs", b"", 404, "no such route"),
        ("DELETE", "/v1/jobs", b"", 400, "cannot DELETE"),
        ("POST", "/v1/jobs/1/shell", b"", 400, "Upgrade"),
        ("POST", "/v1/jobs", b'"' + b"x" * (9 << 20) + b'"', 429, "larger than"),
    ):
        answer_status, answer = raw(
            served, method, path, body, **({"Labbox-As": "ada"} if "users" not in path else {})
        )
        assert (answer_status, path) == (status, path)
        assert answer["message"].startswith("cannot ")
        assert words in answer["message"]


def test_a_fault_of_ours_is_logged_and_told_without_its_insides(
    served: Served, ada: labbox.client.Client, caplog: pytest.LogCaptureFixture
) -> None:
    served.jobs.fault = ZeroDivisionError("secret insides")
    error = refused(ada.submit_job, path="study")
    assert (error.code, error.message) == ("internal", "cannot answer: a fault in labbox")
    assert "secret insides" in caplog.text
    served.jobs.fault = None
    assert ada.submit_job(path="study").id == 1


def test_every_call_of_the_client_has_its_route(served: Served, ada: labbox.client.Client) -> None:
    box = ada
    job = box.submit_job(JobSpec(path="study", name="první", hold=True))
    assert job.state is JobState.HELD
    assert box.release_job(job.id).state is JobState.QUEUED
    assert box.hold_job(job.id).state is JobState.HELD
    assert box.edit_job(job.id, JobEdit(priority=7)).priority == 7
    assert box.why_job(job.id).position == 3
    served.do(served.jobs.move(job.id, JobState.RUNNING))
    assert box.pause_job(job.id).state is JobState.PAUSED
    assert box.resume_job(job.id).state is JobState.RUNNING
    assert {number: live.cpus for number, live in box.live_jobs().jobs.items()} == {job.id: 1.5}
    box.job_input(job.id, "next\n", close=True)
    assert served.jobs.inputs[0][1].close
    assert box.kill_job(job.id).state is JobState.CANCELLED
    assert box.retry_job(job.id).state is JobState.QUEUED
    assert box.cancel_job(job.id).state is JobState.CANCELLED
    assert box.rerun_job(job.id).id == 2
    assert next(iter(box.job_history(job.id).entries)).state is JobState.HELD
    assert box.count_jobs().by_state == {JobState.CANCELLED: 1, JobState.HELD: 1}
    assert [one.id for one in box.list_jobs(limit=1).jobs] == [2]
    assert box.list_jobs(limit=1).next == 2
    assert box.templates().templates[0].name == "python"
    assert box.usage().rows[0].owner == "ada"
    assert box.notices().notices[0].job == 1
    assert box.status().box == "lab"
    assert box.inspect("study").entry == "app.py"
    assert box.submit_job(path="study", group="sims").group == "sims"
    assert [one.id for one in box.list_jobs(group="sims").jobs] == [3]
    assert box.set_group("sims", parallel=2).parallel == 2
    assert [(one.name, one.parallel) for one in box.list_groups().groups] == [("sims", 2)]
    assert (
        refused(box.remove_group, "a/b").message == "cannot remove the group a/b: ada has none of that name"
    )
    box.remove_group("sims")
    assert box.list_groups().groups[0].parallel is None


def test_people_come_change_and_go(box: labbox.client.Client) -> None:
    assert box.add_user(UserAdd(name="eve", password="correct horse battery")).has_password
    box.set_password("eve", "another long password")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl eve@laptop"
    added = box.add_key("eve", key)
    assert [one.fingerprint for one in box.list_keys("eve").keys] == [added.fingerprint]
    box.remove_key("eve", added.fingerprint)
    assert box.list_keys("eve").keys == ()
    made = box.add_token("eve", "nightly", Scope.READ)
    assert made.secret
    box.revoke_token("eve", made.token.id)
    assert box.list_tokens("eve").tokens[0].revoked
    assert box.set_admin("eve", True).admin
    assert box.invite_user("zoe").code
    box.remove_user("eve")
    assert refused(box.show_user, "eve").code == "not_found"


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_followed_log_ends_with_its_job(served: Served, ada: labbox.client.Client) -> None:
    job = ada.submit_job(path="study")
    records = ada.job_log(job.id, follow=True)
    served.do(served.jobs.write(job.id, "one\n"))
    assert next(records).text == "one\n"
    served.do(served.jobs.write(job.id, "two", Stream.ERR))
    assert next(records).stream is Stream.ERR
    served.do(served.jobs.move(job.id, JobState.SUCCEEDED))
    assert [record.end for record in records] == [True]


def test_bytes_that_are_no_text_come_through_as_they_were(served: Served, ada: labbox.client.Client) -> None:
    job = ada.submit_job(path="study")
    hostile = b"\xff\xfe caf\xe9 \x1b[31m\xc3"
    served.do(served.jobs.write(job.id, hostile.decode("utf-8", "surrogateescape")))
    (first, _end) = ada.job_log(job.id)
    assert first.text.encode("utf-8", "surrogateescape") == hostile


def test_streams_go_on_over_a_restart_and_miss_nothing(served: Served, ada: labbox.client.Client) -> None:
    job = ada.submit_job(path="study")
    seen: list[str] = []
    moved: list[JobState] = []

    def follow_log() -> None:
        seen.extend(record.text for record in ada.job_log(job.id, follow=True) if record.text)

    def follow_events() -> None:
        for event in ada.events(after=0, follow=True):
            if event.job is not None:
                moved.append(event.job.state)
            if moved and moved[-1] is JobState.SUCCEEDED:
                return

    followers = [threading.Thread(target=follow_log), threading.Thread(target=follow_events)]
    for follower in followers:
        follower.start()
    for number in range(6):
        served.do(served.jobs.write(job.id, f"line {number}\n"))
        if number % 2:
            served.restart()
    served.do(served.jobs.move(job.id, JobState.RUNNING))
    served.restart()
    served.do(served.jobs.move(job.id, JobState.SUCCEEDED))
    for follower in followers:
        follower.join(20)
        assert not follower.is_alive()
    assert "".join(seen) == "".join(f"line {number}\n" for number in range(6))
    assert moved == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]


def test_reads_and_changes_go_on_after_a_restart(served: Served, ada: labbox.client.Client) -> None:
    assert ada.whoami().name == "ada"
    served.restart()
    assert ada.submit_job(path="study").id == 1
    served.restart()
    assert ada.show_job(1).job.id == 1


def test_a_silent_stream_shows_that_it_lives(
    served: Served, ada: labbox.client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    event = next(ada.events(follow=True))
    assert event.kind == "alive"


def test_a_sign_of_life_carries_the_cursor_to_go_on_from(
    served: Served, ada: labbox.client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    for name in ("one", "two", "three"):
        ada.submit_job(path=name)
    for after, told in ((None, []), (1, [2, 3]), (3, [])):
        stream = ada.events(after=after, follow=True)
        assert [next(stream).cursor for _ in told] == told
        assert [(event.kind, event.cursor) for event in (next(stream), next(stream))] == [("alive", 3)] * 2
    stream = ada.events(follow=True)
    assert next(stream).cursor == 3
    served.do(served.jobs.move(1, JobState.RUNNING))
    cursors = [event.cursor for event in itertools.takewhile(lambda event: event.kind == "alive", stream)]
    assert set(cursors) <= {3}
    assert (next(stream).kind, next(stream).cursor) == ("alive", 4)


def test_what_happens_between_the_first_sign_of_life_and_the_following_is_heard(
    served: Served, ada: labbox.client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.submit_job(path="one")
    following = served.jobs.events

    async def late(account: Account, **asked: Any) -> AsyncGenerator[Event, None]:
        await served.jobs.move(1, JobState.RUNNING)
        async for event in following(account, **asked):
            yield event

    monkeypatch.setattr(served.jobs, "events", late)
    stream = ada.events(follow=True)
    told = [next(stream) for _ in range(2)]
    assert [(event.kind, event.cursor) for event in told] == [("alive", 1), ("job", 2)]


def test_who_follows_from_now_on_hears_nothing_twice_after_a_restart(
    served: Served, ada: labbox.client.Client
) -> None:
    for name in ("one", "two", "three"):
        ada.submit_job(path=name)
    stream = ada.events(follow=True)
    assert next(stream).kind == "alive"  # nothing has happened since
    served.restart()
    served.do(served.jobs.move(2, JobState.RUNNING))
    event = next(event for event in stream if event.kind != "alive")
    assert (event.cursor, event.job and event.job.id) == (4, 2)


def test_a_refusal_before_a_stream_is_an_ordinary_error(
    served: Served, peers: Peers, box: labbox.client.Client, ada: labbox.client.Client
) -> None:
    job = ada.submit_job(path="study")
    peers.uid = uid_of(served, "grace")
    assert refused(list, box.job_log(job.id, follow=True)).code == "forbidden"
    assert refused(list, box.job_log(99)).code == "not_found"


def test_a_reader_who_does_not_read_is_cut_off_and_others_go_on(
    served: Served, ada: labbox.client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALL", 0.3)
    job = ada.submit_job(path="study")
    lazy = socket.socket(socket.AF_UNIX)
    lazy.connect(str(served.socket))
    lazy.sendall(
        f"GET /v1/jobs/{job.id}/log?follow=true HTTP/1.1\r\nHost: x\r\nLabbox-As: ada\r\n\r\n".encode()
    )
    for _ in range(40):
        served.do(served.jobs.write(job.id, "x" * 100_000 + "\n"))
    assert ada.whoami().name == "ada"
    lazy.settimeout(10)
    deadline = time.monotonic() + 10
    cut = False
    while not cut and time.monotonic() < deadline:
        cut = not _has_peer(lazy)
    lazy.close()
    assert cut
    assert sum(len(record.text) for record in ada.job_log(job.id)) == 40 * 100_001


def _has_peer(sock: socket.socket) -> bool:
    """Whether the other side still holds its end; a write to a closed one fails."""
    try:
        sock.send(b"\r\n")
    except OSError:
        return False
    time.sleep(0.02)  # a poll, with the deadline of the caller
    return True


def test_a_connection_that_never_asks_is_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SILENCE", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(10)
        silent.connect(str(served.socket))
        silent.sendall(b"GET /v1/status HT")
        with pytest.raises(ConnectionResetError):
            assert silent.recv(1) == b""
            raise ConnectionResetError


def test_one_user_cannot_take_all_connections(
    served: Served, peers: Peers, box: labbox.client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS_PER_USER", 5)
    peers.uid = uid_of(served, "grace")
    held = []
    for _ in range(8):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(served.socket))
        held.append(sock)
    answered = 0
    for sock in held:
        try:
            sock.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
            answered += sock.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            continue
    assert answered == 5
    peers.uid = uid_of(served, "ada")
    assert box.whoami().name == "ada"
    for sock in held:
        sock.close()


def test_a_shell_carries_raw_bytes_both_ways(served: Served, ada: labbox.client.Client) -> None:
    job = ada.submit_job(path="study")
    assert refused(ada.open_shell, job.id).code == "conflict"
    served.do(served.jobs.move(job.id, JobState.RUNNING))
    with ada.open_shell(job.id, rows=50, columns=132) as terminal:
        terminal.settimeout(10)
        terminal.sendall(b"echo \xff\x00 hello\n")
        assert terminal.recv(100) == b"ECHO \xff\x00 HELLO\n"
        terminal.shutdown(socket.SHUT_WR)
        assert terminal.recv(100) == b""
    deadline = time.monotonic() + 10
    while not served.jobs.terminals[0].closed:
        assert time.monotonic() < deadline
    assert ada.whoami().name == "ada"


def test_a_shell_is_told_the_size_of_its_window_by_who_opened_it(
    served: Served, ada: labbox.client.Client, peers: Peers
) -> None:
    job = ada.submit_job(path="study")
    served.do(served.jobs.move(job.id, JobState.RUNNING))
    with ada.open_shell(job.id, rows=50, columns=132, name="a/b c") as terminal:
        opened = served.jobs.terminals[0]
        assert opened.size == (50, 132)
        ada.resize_shell(job.id, "a/b c", rows=30, columns=90)
        assert opened.size == (30, 90)
        assert refused(ada.resize_shell, job.id, "another", 10, 10).code == "not_found"
        assert refused(ada.resize_shell, job.id, "a/b c", 0, 10).code == "invalid"
        assert refused(ada.resize_shell, job.id, "a/b c", 10, 1001).code == "invalid"
        peers.uid = uid_of(served, "grace")
        grace = labbox.client.connect(str(served.socket))
        assert refused(grace.resize_shell, job.id, "a/b c", 10, 10).code == "not_found"
        grace.close()
        assert opened.size == (30, 90)
        terminal.sendall(b"\x04")
        terminal.settimeout(10)
        assert terminal.recv(100) == b""
    peers.uid = os.getuid()
    deadline = time.monotonic() + 10
    while not opened.closed:
        assert time.monotonic() < deadline
    assert refused(ada.resize_shell, job.id, "a/b c", 10, 10).code == "not_found"


def test_a_closed_client_wakes_whoever_waits(served: Served) -> None:
    client = labbox.client.connect(str(served.socket), act_as="ada")
    failed = threading.Event()

    def wait() -> None:
        try:
            for event in client.events(follow=True):
                assert event
        except LabboxError:
            failed.set()

    follower = threading.Thread(target=wait)
    client.whoami()
    follower.start()
    time.sleep(0.1)  # either it waits already, or it finds the client closed
    client.close()
    assert failed.wait(10)
    follower.join(10)


def test_the_peer_is_what_the_kernel_says() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Peer.of(ours) == Peer(os.getpid(), os.getuid())


def test_messages_with_undecodable_names_stay_readable() -> None:
    from labbox.wire import encode

    event = Event(cursor=1, at=datetime.now(UTC), kind="notice", text="caf\udce9.csv")
    assert msgspec.json.decode(encode(event), type=Event).text == "caf\\xe9.csv"
    record = LogRecord(cursor=1, at=datetime.now(UTC), stream=Stream.OUT, text="\udcff")
    assert msgspec.json.decode(encode(record), type=LogRecord).raw == b"\xff"
    assert encode(AdminBody(admin=True)) == b'{"admin":true}'


def test_what_a_transfer_did(served: Served, ada: labbox.client.Client) -> None:
    job = ada.submit_job(JobSpec(command=("true",)))
    with pytest.raises(LabboxError, match="it is no transfer"):
        ada.transfer_summary(job.id)
    failure = Failure(path="a\\xff\n", code="forbidden", text="cannot read it")
    served.jobs.transferred[job.id] = TransferSummary(files=3, failed=1, failures=(failure,))
    told = ada.transfer_summary(job.id)
    assert (told.files, told.failures) == (3, (failure,))
    with labbox.client.connect(str(served.socket), act_as="grace") as grace:
        with pytest.raises(LabboxError, match="it belongs to ada"):
            grace.transfer_summary(job.id)


def test_closing_a_client_ends_a_stream_that_is_just_being_opened(
    served: Served, ada: labbox.client.Client
) -> None:
    """Ctrl+C at the very start of a transfer would wait for a bar that nobody draws any more."""
    opening, going, refused = threading.Event(), threading.Event(), threading.Event()

    class Slow(UnixRoute):
        def open(self) -> socket.socket:
            found = super().open()
            opening.set()
            assert going.wait(30)
            return found

    transport = Transport(Slow(str(served.socket)), "ada")

    def follow() -> None:
        with pytest.raises(LabboxError, match="cannot "):
            for _ in transport.lines("/v1/events", {"follow": True}):
                pass
        refused.set()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    assert opening.wait(30)
    transport.close()
    going.set()
    assert refused.wait(10)  # an event would come after fifteen seconds, and close nothing
    follower.join(30)
    ada.status()  # by now the server has seen the connection come and go
