"""What a token allows, tried with every verb, key, option of rsync and word of git: the kernel holds it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from harness import Box, Terminal
from person import Person, wait_for
from sshd import Sshd
from tokens import ENDED, Holder, changed, holds, verbs

from labbox.client import Client
from labbox.daemon.api import box as box_routes
from labbox.daemon.api import groups, hosts, jobs, projects, shells, users
from labbox.daemon.gate import words as gate_words
from labbox.model import FINAL, JobSpec, Scope, TransferSpec, TransferVerb

pytestmark = [pytest.mark.root]

ENDLESS = {("events",), ("job", "wait", "4")}  # they go on beside the others: the job is held
TERMINALS = 4  # at once: screens mostly wait
CUSTOM = '[people]\nscratch = "64M"\n'
ROUTES = [
    route for module in (box_routes, jobs, groups, hosts, projects, shells, users) for route in module.routes
]


@pytest.fixture(scope="module")
def held() -> Iterator[Box]:
    """Ada's box: files, a project, a shared file, a job of hers that failed and one that is held."""
    folder = Path(tempfile.mkdtemp(prefix="labbox-scopes-", dir="/var/tmp"))
    folder.chmod(0o755)
    box = Box(folder, ("ada", "grace"), CUSTOM)
    box.put("ada", "study", {"code/run.sh": "echo hello\n", "input/data.csv": "a\n1\n"})
    box.put("ada", "data", {f"{number}.txt": f"line {number}\n" for number in range(8)})
    box.client().add_project("birds")
    box.client().join_project("birds", "ada")
    client = box.client("ada")
    for spec in (
        TransferSpec(verb=TransferVerb.COPY, sources=("~/study",), target="project:birds/"),
        TransferSpec(verb=TransferVerb.COPY, sources=("~/data",), target="shared:/"),
        TransferSpec(verb=TransferVerb.COPY, sources=("~/missing",), target="~/nowhere"),
    ):
        job = client.submit_job(JobSpec(transfer=spec))
        wait_for(partial(ended, client, job.id))
    client.submit_job(
        JobSpec(
            hold=True,
            transfer=TransferSpec(verb=TransferVerb.COPY, sources=("~/data",), target="~/later"),
        )
    )
    yield box
    box.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def reader(held: Box) -> Iterator[Holder]:
    holder = Holder(held, "ada", Scope.READ)
    holder.begin()
    yield holder
    holder.end()


@pytest.fixture(scope="module")
def submitter(held: Box) -> Iterator[Holder]:
    holder = Holder(held, "ada", Scope.SUBMIT)
    holder.begin()
    yield holder
    holder.end()


def ended(client: Client, job: int) -> bool:
    return client.show_job(job).job.state in FINAL


def kept(box: Box) -> dict[str, str]:
    """All of Ada's, on the disk and in the store."""
    found = holds(*(box.state / name for name in ("homes", "shared", "projects", "results", "git")))
    with closing(sqlite3.connect(f"file:{box.state / 'labbox.db'}?mode=ro", uri=True)) as store:
        names = [
            row[0]
            for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        for table in names:
            if table in {"audit", "tokens", "notices", "meta"} or table.startswith("sqlite_"):
                continue  # a refusal is noted, a token's use too
            found[f"table {table}"] = repr(store.execute(f"SELECT * FROM {table}").fetchall())
    return found


def tries_of(words: tuple[str, ...], command: click.Command) -> Iterator[list[str]]:
    """The verb with what could hurt for its arguments, plain and with every flag that answers a question."""
    wanted = [one for one in command.params if isinstance(one, click.Argument)]
    flags = [
        one.opts[0]
        for one in command.params
        if isinstance(one, click.Option) and one.is_flag and one.opts[0] in {"--yes", "--force", "--delete"}
    ]
    kinds = (("data", "shared:/x"), ("4", "3"), ("ada", "grace")) if wanted else (("", ""),)
    for values in kinds:
        yield [*words, *flags, *(values[min(at, 1)] for at in range(len(wanted)))]


@pytest.mark.attack("S5")
@pytest.mark.timeout(600)
def test_no_verb_of_a_read_token_changes_anything(
    held: Box, reader: Holder, tried: Callable[..., None]
) -> None:
    before = kept(held)
    with ExitStack() as meanwhile:
        for words, command in verbs():
            for attempt in tries_of(words, command):
                tried()
                if tuple(attempt) in ENDLESS:
                    meanwhile.enter_context(reader.going_on(*attempt))
                else:
                    assert reader.run(*attempt, stdin=b"y\ny\n").returncode != ENDED, attempt
    assert changed(before, kept(held)) == []
    assert b"1.txt" in reader.run("file", "ls", "data").stdout  # it reads, all the same
    done = reader.run("file", "mkdir", "new")
    assert done.returncode != 0
    assert b"cannot" in done.stderr
    assert Person(held, "ada").run("file", "mkdir", "made").returncode == 0  # what was tried can be done


@pytest.mark.attack("S5")
@pytest.mark.timeout(300)
def test_no_way_to_copy_writes_with_a_read_token(
    held: Box, reader: Holder, tried: Callable[..., None], tmp_path: Path
) -> None:
    before = kept(held)
    shell = shlex.join(["ssh", *reader.options()])
    there = "ada@127.0.0.1:"
    (tmp_path / "mine").write_text("mine")
    for option in ("--remove-source-files", "--remove-sent-files"):
        tried()
        reader.local(["rsync", "-a", option, "-e", shell, f"{there}data/", f"{tmp_path}/got"])
    assert (tmp_path / "got/1.txt").read_text() == "line 1\n"
    for flag in sorted(gate_words._RSYNC_FLAGS):
        for sender in (["--sender"], []):
            tried()
            reader.run("rsync", "--server", *sender, "-rlptgoD", f"--{flag}", ".", "data")
    for value in sorted(gate_words._RSYNC_VALUES):
        tried()
        reader.run("rsync", "--server", "--sender", "-r", f"--{value}=data/1.txt", ".", "data")
    for words in (
        ["scp", "-O", *reader.options(), str(tmp_path / "mine"), f"{there}mine"],
        ["scp", "-s", *reader.options(), str(tmp_path / "mine"), f"{there}mine"],
        ["rsync", "-a", "-e", shell, str(tmp_path / "mine"), there],
    ):
        tried()
        assert reader.local(words).returncode != 0
    batch = (
        "rm data/1.txt", "rmdir data", "mkdir made-by-sftp", "rename data moved", "chmod 777 data",
        "chmod 600 data/1.txt", "symlink data link", "ln data/1.txt hard", f"put {tmp_path}/mine data/1.txt",
        f"reput {tmp_path}/mine data/2.txt", "chgrp 1 data",
    )  # fmt: skip
    for line in batch:
        tried()
        reader.local(["sftp", *reader.options(), "-b", "-", "ada@127.0.0.1"], stdin=f"-{line}\n".encode())
    assert changed(before, kept(held)) == []


@pytest.mark.attack("S5")
def test_no_word_of_git_writes_with_a_read_token(
    held: Box, reader: Holder, tried: Callable[..., None], tmp_path: Path
) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b"]
    top = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", "-b", "main", top], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], cwd=top, check=True)
    full = shlex.join(held.ssh("ada"))[: -len(" ada@127.0.0.1")]
    address = f"ssh://ada@127.0.0.1:{held.port}/pushed"
    subprocess.run(
        ["git", "-c", f"core.sshCommand={full}", "push", "-q", address, "main"],
        cwd=top,
        check=True,
        timeout=60,
    )
    before = kept(held)
    thief = [
        "git",
        *identity,
        "-c",
        f"core.sshCommand={shlex.join(['ssh', *reader.options()])}",
        "-C",
        str(top),
    ]
    subprocess.run([*thief, "commit", "-q", "--allow-empty", "-m", "y"], check=True)
    for words in (
        ["push", address, "main"],
        ["push", "--force", address, "main"],
        ["push", "--delete", address, "main"],
        ["push", "--mirror", address],
        ["push", f"{address}-new", "main"],
        ["push", "--receive-pack=git receive-pack", address, "main"],
        ["push", "--receive-pack=git-upload-pack", address, "main"],
        ["fetch", "--upload-pack=git-receive-pack", address],
    ):
        tried()
        assert reader.local([*thief, *words]).returncode != 0
    for words in (["git-receive-pack", "pushed"], ["git", "receive-pack", "pushed"], ["git", "gc"]):
        tried()
        assert reader.run(*words).returncode != 0
    assert reader.local([*thief, "fetch", address, "main"]).returncode == 0
    assert changed(before, kept(held)) == []


@pytest.mark.attack("S5")
@pytest.mark.timeout(300)
def test_no_key_in_the_screens_changes_anything_with_a_read_token(
    held: Box, reader: Holder, tried: Callable[..., None]
) -> None:
    before = kept(held)
    functions = [b"\x1bOP", b"\x1bOQ", b"\x1bOR", b"\x1bOS"]
    functions += [b"\x1b[%d~" % number for number in (15, 17, 18, 19, 20, 21, 23, 24)]
    functions += [b"\x1b[1;2%c" % letter for letter in b"PQRS"]
    functions += [b"\x1b[%d;2~" % number for number in (15, 17, 18, 19, 20, 21)]
    keys = [
        *functions,
        b"\x1b[3~",
        *(bytes([one]) for one in range(1, 27)),
        *(b"\x1b%c" % one for one in b"abcdefghimnoprstuvwxyz"),
    ]
    leave = {b"\x0d", b"\x1b[21~", b"\x11", b"\x03"}  # the screens
    keys = [key for key in keys if key not in leave]
    tried(len(keys))

    def press(terminal: Terminal, own: list[bytes]) -> None:
        terminal.wait_for("study", seconds=60)
        for key in own:
            for part in (key, b"stolen", b"\r", b"y", b"\x1bOQ", b"\x1b", b"\x1b"):
                os.write(terminal.fd, part)
                terminal.drain(0.1)

    terminals = [Terminal(reader.ssh(tty=True)) for _ in range(TERMINALS)]
    try:
        with ThreadPoolExecutor(TERMINALS) as pool:  # all are read at once: their master waits for each
            list(pool.map(press, terminals, (keys[at::TERMINALS] for at in range(TERMINALS))))
    finally:
        for terminal in terminals:
            terminal.close()
    assert changed(before, kept(held)) == []


@pytest.mark.attack("S5")
def test_no_route_is_open_to_a_token_that_is_not_meant_for_it(
    held: Box, reader: Holder, submitter: Holder, tried: Callable[..., None]
) -> None:
    before = kept(held)
    names = {"id": "4", "name": "ada", "member": "grace", "fingerprint": "x"}
    for holder, enough in ((reader, {Scope.READ}), (submitter, {Scope.READ, Scope.SUBMIT})):
        for route in ROUTES:
            if route.scope in enough:
                continue
            tried()
            path = route.path
            for word, value in names.items():
                path = path.replace("{" + word + "}", value)
            request = (
                f"{route.method} {path} HTTP/1.1\r\nHost: box\r\nContent-Length: 2\r\nLabbox-As: grace\r\n"
                "Connection: close\r\n\r\n{}"
            )
            for text in (request, request.replace("Labbox-As: grace\r\n", "")):
                answer = holder.run("api", stdin=text.encode()).stdout
                assert answer.split(b"\r\n")[0].split()[1:2] == [b"403"], (route.path, answer)
    assert changed(before, kept(held)) == []


@pytest.mark.attack("S5")
def test_a_program_of_a_read_token_sees_no_way_around_its_namespace(
    held: Box, reader: Holder, tried: Callable[..., None]
) -> None:
    """What its processes have mounted, and which socket they speak to, whatever they would run."""
    process = subprocess.Popen(reader.ssh("api"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        uid = held.client().show_user("ada").uid

        def inside() -> list[tuple[Path, str]]:
            """Her processes in this box, for others give her uid too; with what each has mounted."""
            found = []
            for status in Path("/proc").glob("[0-9]*/status"):
                with suppress(OSError):  # it has ended
                    if f"Uid:\t{uid}\t" not in status.read_text():  # hers once all is mounted
                        continue
                    mounts = (status.parent / "mountinfo").read_text()
                    if f"{held.folder.name}/state/r.sock" in mounts:
                        found.append((status.parent, mounts))
            return found

        wait_for(lambda: bool(inside()))
        scratch = {"/tmp", "/var/tmp", "/dev/shm"}
        one, mounts = inside()[0]
        seen = {line.split()[4]: line.split()[5] for line in mounts.splitlines()}
        for place, options in seen.items():
            tried()
            assert place in scratch or "ro" in options.split(","), (place, options)
        for name in ("homes/ada/data/1.txt", "shared", "projects/birds"):
            tried()
            with pytest.raises(OSError, match="Read-only"):
                os.utime(one / "root" / str(held.state / name).lstrip("/"))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def far(held: Box) -> Iterator[tuple[Sshd, str]]:
    """A machine that Ada has stored a login for; its log tells each login."""
    folder = held.folder / "far"
    folder.mkdir()
    (folder / "logins").touch()
    count = f"/bin/sh -c 'echo in >> {folder}/logins; exec /usr/lib/openssh/sftp-server'"
    with Sshd(folder, "Subsystem sftp internal-sftp", f"ForceCommand {count}") as machine:
        name = f"root@127.0.0.1:{machine.port}"
        client = held.client("ada")
        client.add_host(name, private_key=machine.key.read_text())
        client.trust_host(name, machine.host_key)
        yield machine, name


def logins(machine: Sshd) -> int:
    return (machine.folder / "logins").read_text().count("in")


@pytest.mark.attack("S5")
@pytest.mark.timeout(600)
def test_a_submit_token_uses_no_stored_login(
    held: Box, submitter: Holder, far: tuple[Sshd, str], tried: Callable[..., None], tmp_path: Path
) -> None:
    machine, name = far
    client = held.client("ada")
    there = f"sftp://{name}/{tmp_path}"
    owned = client.submit_job(
        JobSpec(transfer=TransferSpec(verb=TransferVerb.COPY, sources=("~/data",), target=f"{there}/owned"))
    )
    wait_for(lambda: client.show_job(owned.id).job.state in FINAL)
    good = client.show_job(owned.id).job
    assert good.state == "succeeded", good.reason  # the login is good
    waiting = client.submit_job(
        JobSpec(
            hold=True,
            transfer=TransferSpec(verb=TransferVerb.COPY, sources=("~/data",), target=f"{there}/waiting"),
        )
    )
    failed = client.submit_job(
        JobSpec(transfer=TransferSpec(verb=TransferVerb.COPY, sources=("~/no",), target=f"{there}/failed"))
    )
    wait_for(lambda: client.show_job(failed.id).job.state in FINAL)
    before = logins(machine)
    for words, command in verbs():
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        if words[0] not in ("file", "job", "host") or not arguments:
            continue
        for values in ((there, "data"), ("data", f"{there}/stolen"), (name, name)):
            tried()
            submitter.run(*words, *(values[min(at, 1)] for at in range(len(arguments))), stdin=b"y\n")
    for job in (owned, waiting, failed):
        for verb in ("release", "retry", "rerun", "edit", "resume", "fetch"):
            tried()
            submitter.run("job", verb, str(job.id), *(["--name", "mine"] if verb == "edit" else []))
    specs: list[dict[str, Any]] = [
        {"transfer": {"verb": "undo", "sources": [], "undo": owned.id}},
        {"transfer": {"verb": "copy", "sources": [there], "target": "~/in"}},
        {"command": ["true"], "deliver": f"{there}/delivered"},
        {"path": f"{there}/owned"},
    ]
    for spec in specs:
        tried()
        body = json.dumps(spec)
        request = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: box\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}"
        )
        answer = submitter.run("api", stdin=request.encode()).stdout
        assert b" 403 " in answer.split(b"\r\n")[0], answer
    assert client.show_job(waiting.id).job.state == "held"
    wait_for(lambda: all(one.state in FINAL or one.state == "held" for one in client.list_jobs().jobs))
    assert logins(machine) == before
    client.cancel_job(waiting.id)


@pytest.mark.attack("S5")
def test_what_a_token_has_made_stays_bound(held: Box, submitter: Holder, tried: Callable[..., None]) -> None:
    """Also when its owner runs it again, and after a restart."""
    tried()
    done = submitter.run("file", "cp", "data", "by-token")
    client = held.client("ada")
    job = next(one for one in client.list_jobs().jobs if "by-token" in one.name)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: client.show_job(job.id).job.state in FINAL)
    assert client.show_job(job.id).job.state == "succeeded"
    held.kill()
    held.start()
    again = held.client("ada").rerun_job(job.id)
    tried()
    with closing(sqlite3.connect(f"file:{held.state / 'labbox.db'}?mode=ro", uri=True)) as store:
        for number in (job.id, again.id):
            row = store.execute(
                "SELECT handed FROM submissions WHERE id = (SELECT submission FROM jobs WHERE id = ?)",
                (number,),
            ).fetchone()
            assert json.loads(row[0])["bound"] == "submit"
