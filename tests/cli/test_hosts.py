"""`labbox host` against a real OpenSSH server: from a fresh key to files over there."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import Served
from sshd import Sshd

import labbox.client
from labbox.files.places.credentials import AskedCredentials
from labbox.files.places.opening import Places, Roots
from labbox.locations import parse

if TYPE_CHECKING:
    from done import Done

Run = Callable[..., "Done"]
pytestmark = pytest.mark.root


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as made:
        yield made


def test_from_a_new_key_to_files_on_another_machine(
    served: Served, labbox: Run, sshd: Sshd, tmp_path: Path
) -> None:
    name = f"sftp://root@127.0.0.1:{sshd.port}"
    added = labbox("host", "add", name, "--as", "ada")
    assert (added.code, added.out.startswith("ssh-ed25519 ")) == (0, True), added.err
    assert "authorized_keys of root on 127.0.0.1" in added.err and "labbox host trust" in added.err

    fresh = labbox("host", "test", name, "--as", "ada")
    assert (fresh.code, "has not been confirmed" in fresh.err) == (1, True)
    unseen = labbox("host", "trust", name, "--as", "ada")
    assert unseen.code == 2
    shown = unseen.err.split("it shows ")[1].split()[0]
    wrong = labbox("host", "trust", name, shown[:-1] + ("A" if shown[-1] != "A" else "B"), "--as", "ada")
    assert (wrong.code, "another one than was said" in wrong.err) == (1, True)
    assert labbox("host", "trust", name, shown, "--as", "ada").out == f"{name} is known by {shown}\n"

    refused = labbox("host", "test", name, "--as", "ada")
    assert (refused.code, "does not take the key" in refused.err) == (1, True)
    with (sshd.folder / "authorized").open("a") as authorized:
        authorized.write(added.out)
    assert f"{name} answers: its home is /" in labbox("host", "test", name, "--as", "ada").out
    told = json.loads(labbox("host", "test", name, "--as", "ada", "--json").out)
    assert told["name"] == f"root@127.0.0.1:{sshd.port}" and told["home"].startswith("/")

    (tmp_path / "far").write_text("from over there")

    async def fetch() -> bytes:
        with labbox_client(served) as client:
            async with Places(Roots(home="/"), credentials=AskedCredentials(client.host_secret)) as places:
                place, path = await places.get(parse(f"{name}/{tmp_path}/far"))
                async with await place.open(path) as file:
                    return await file.read(0, 100)

    assert asyncio.run(fetch()) == b"from over there"

    sshd.new_host_key()
    changed = labbox("host", "test", name, "--as", "ada")
    assert (changed.code, shown in changed.err, "somebody may be in between" in changed.err) == (
        1,
        True,
        True,
    )


def labbox_client(served: Served) -> labbox.client.Client:
    return labbox.client.connect(str(served.socket), act_as="ada")


def test_hosts_are_listed_and_removed(
    served: Served, labbox: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = labbox("host", "add", "sftp://me@my-pc", "--as", "ada").out
    monkeypatch.setattr("sys.stdin", io.StringIO("seven purple elephants\n"))
    done = labbox("host", "add", "sftp://me@lab:2222", "--password-stdin", "--as", "ada")
    assert (done.code, done.out) == (0, "the password for sftp://me@lab:2222 is kept\n"), done.err
    table = labbox("host", "list", "--as", "ada").out
    assert "me@my-pc" in table and "me@lab:2222" in table and "not confirmed yet" in table
    assert labbox("host", "list", "sftp://me@my-pc", "--as", "ada").out == line
    page = json.loads(labbox("host", "list", "--as", "ada", "--json").out)
    assert [(one["name"], one["kind"]) for one in page["hosts"]] == [
        ("me@lab:2222", "password"),
        ("me@my-pc", "key"),
    ]
    assert "elephants" not in json.dumps(page) and "PRIVATE" not in json.dumps(page)
    assert labbox("host", "remove", "sftp://me@my-pc", "--as", "ada").out == "sftp://me@my-pc is forgotten\n"
    assert labbox("host", "remove", "sftp://me@my-pc", "--as", "ada").code == 1
    assert labbox("host", "list", "sftp://me@my-pc", "--as", "ada").code == 1


def test_a_key_of_ones_own_is_deposited(served: Served, labbox: Run, sshd: Sshd, tmp_path: Path) -> None:
    name = f"sftp://root@127.0.0.1:{sshd.port}"
    added = labbox("host", "add", name, "--key", str(sshd.key), "--as", "ada", "--json")
    assert (
        json.loads(added.out)["public_key"].split()[:2]
        == sshd.key.with_suffix(".pub").read_text().split()[:2]
    )
    assert "PRIVATE" not in added.out
    with labbox_client(served) as client:
        client.trust_host(f"root@127.0.0.1:{sshd.port}", sshd.host_key)
    assert labbox("host", "test", name, "--as", "ada").code == 0


def test_a_machine_that_is_off_is_named(served: Served, labbox: Run, sshd: Sshd) -> None:
    name = f"sftp://root@127.0.0.1:{sshd.port}"
    labbox("host", "add", name, "--as", "ada")
    sshd.stop()
    for verb in ("test", "trust"):
        done = labbox("host", verb, name, "--as", "ada")
        assert (done.code, f"nothing answers on port {sshd.port}" in done.err) == (1, True), done.err


@pytest.mark.parametrize("words", [("add", "ftp://x"), ("add", "sftp://a/b"), ("add", "sftp://-x"),
                                   ("add", "sftp://me@pc", "--key", "-", "--password-stdin")])  # fmt: skip
def test_wrong_words_are_a_wrong_use(served: Served, labbox: Run, words: tuple[str, ...]) -> None:
    done = labbox("host", *words, "--as", "ada")
    assert (done.code, done.err.startswith("error: cannot ")) == (2, True), done.err
