"""What is kept to log in to other machines: sealed, its owner's alone, no secret in the trail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import asyncssh
import pytest

from labbox.custom import Configuration
from labbox.daemon.people import Actor, People
from labbox.daemon.people.sealing import Seal
from labbox.daemon.store import Store, events, hosts
from labbox.errors import LabboxError
from labbox.protocol import HostAdd, UserAdd

pytestmark = pytest.mark.root

PASSWORD = "seven purple elephants"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBL1vJJEyKHmWvXXn6pPHFfNjBQxu1lBGHbTVXkTqfMZ"


async def test_the_bytes_of_the_store_do_not_hold_the_secret(
    people: People, store: Store, state: Path, ada: Actor
) -> None:
    await people.hosts.add("ada", HostAdd(name="me@my-pc", password=PASSWORD), ada)
    made = await people.hosts.add("ada", HostAdd(name="me@other:2222"), ada)
    secret = await people.hosts.secret("ada", "sftp://me@other:2222")
    assert secret.private_key is not None
    assert (await people.hosts.secret("ada", "me@my-pc")).password == PASSWORD
    key_lines = [line.encode() for line in secret.private_key.splitlines()[1:-1]]
    files = [path for path in state.iterdir() if path.is_file()]
    assert any(path.name == "labbox.db" for path in files)
    for path in files:
        held = path.read_bytes()
        assert PASSWORD.encode() not in held
        assert not any(line in held for line in key_lines)
    sealing = state / "secrets" / "hosts.key"
    assert (sealing.stat().st_mode & 0o777, sealing.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for shown in (repr(secret), repr(HostAdd(name="x", password=PASSWORD)), repr(made)):
        assert PASSWORD not in shown and "PRIVATE" not in shown


async def test_a_sealed_secret_opens_in_its_own_row_alone(people: People, store: Store, ada: Actor) -> None:
    await people.hosts.add("ada", HostAdd(name="me@my-pc", password=PASSWORD), ada)
    await people.add(UserAdd(name="grace"), ada)
    row = await store.read(lambda db: hosts.find(db, "ada", "me@my-pc"))
    assert row is not None
    for owner, name in (("grace", "me@my-pc"), ("ada", "me@evil")):
        await store.write(lambda db, o=owner, n=name: hosts.put(db, o, n, "password", row.sealed, None))  # type: ignore[misc]
        with pytest.raises(LabboxError, match="cannot open the secret"):
            await people.hosts.secret(owner, name)
    spoilt = row.sealed[:-1] + bytes((row.sealed[-1] ^ 1,))
    await store.write(lambda db: hosts.put(db, "ada", "me@my-pc", "password", spoilt, None))
    with pytest.raises(LabboxError, match="cannot open the secret") as caught:
        await people.hosts.secret("ada", "me@my-pc")
    assert caught.value.code == "unavailable" and "labbox host add" in caught.value.hint


def test_no_two_lists_of_what_is_bound_are_the_same() -> None:
    seal = Seal(bytes(32))
    sealed = seal.seal("x", "a", "bc")
    assert seal.open(sealed, "a", "bc") == "x"
    with pytest.raises(LabboxError):
        seal.open(sealed, "ab", "c")
    assert seal.seal("x", "a") != seal.seal("x", "a")


async def test_a_key_that_is_made_is_one_that_openssh_reads(
    people: People, ada: Actor, tmp_path: Path
) -> None:
    made = await people.hosts.add("ada", HostAdd(name="my-pc"), ada)
    assert (made.user, made.host, made.port, made.kind, made.trusted) == ("ada", "my-pc", 22, "key", ())
    secret = await people.hosts.secret("ada", "my-pc")
    assert secret.private_key is not None
    file = tmp_path / "key"
    file.write_text(secret.private_key)
    file.chmod(0o600)
    told = subprocess.run(["ssh-keygen", "-yf", file], check=True, capture_output=True, text=True)
    assert made.public_key is not None
    assert told.stdout.split()[:2] == made.public_key.split()[:2]
    assert made.public_key.startswith("ssh-ed25519 ") and made.public_key.endswith(" ada@labbox")
    with pytest.raises(LabboxError, match="one is kept already"):
        await people.hosts.add("ada", HostAdd(name="my-pc"), ada)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
async def test_keys_of_every_kind_are_taken(people: People, ada: Actor, kind: str, form: str) -> None:
    key = asyncssh.generate_private_key(kind)
    text = key.export_private_key(form).decode()
    made = await people.hosts.add("ada", HostAdd(name="me@my-pc", private_key=text), ada)
    kept = (await people.hosts.secret("ada", "me@my-pc")).private_key
    assert kept is not None and made.public_key is not None
    assert asyncssh.import_private_key(kept).public_data == key.public_data
    assert made.public_key.split()[:2] == key.export_public_key().decode().split()[:2]


async def test_what_cannot_be_kept_is_refused_in_words(people: People, ada: Actor, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "key"], check=True)
    locked = (tmp_path / "key").read_text()
    for wish, words in (
        (HostAdd(name="me@my-pc", private_key=locked), "it has a passphrase"),
        (HostAdd(name="me@my-pc", private_key="hello"), "it is no private key"),
        (HostAdd(name="me@my-pc", private_key=HOST_KEY), "it is no private key"),
        (HostAdd(name="me@my-pc", private_key="x" * 40_000), "it is too long"),
        (HostAdd(name="me@my-pc", password=""), "it is empty"),
        (HostAdd(name="me@my-pc", password="x", private_key=locked), "a key and a password"),
        (HostAdd(name="-oProxyCommand=x"), "cannot use the location"),
        (HostAdd(name="me@"), "cannot use the location"),
    ):
        with pytest.raises(LabboxError, match=words) as caught:
            await people.hosts.add("ada", wish, ada)
        assert caught.value.code == "invalid"
        assert locked[100:200] not in caught.value.message + caught.value.hint
    assert (await people.hosts.list("ada")).hosts == ()


async def test_trust_replaces_what_was_pinned_and_removal_takes_all(people: People, ada: Actor) -> None:
    with pytest.raises(LabboxError, match="no key or password of yours"):
        await people.hosts.trust("ada", "me@my-pc", HOST_KEY, ada)
    await people.hosts.add("ada", HostAdd(name="me@MY-PC"), ada)
    trusted = await people.hosts.trust("ada", "me@my-pc", HOST_KEY + " somebody", ada)
    assert [key.kind for key in trusted.trusted] == ["ssh-ed25519"]
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    await people.hosts.trust("ada", "me@my-pc", other, ada)
    assert (await people.hosts.secret("ada", "me@my-pc")).host_keys == (" ".join(other.split()[:2]),)
    await people.hosts.add("ada", HostAdd(name="me@my-pc", password=PASSWORD), ada)
    assert (await people.hosts.secret("ada", "me@my-pc")).host_keys  # a new secret, the same machine
    await people.hosts.remove("ada", "me@my-pc", ada)
    with pytest.raises(LabboxError) as caught:
        await people.hosts.secret("ada", "me@my-pc")
    assert caught.value.code == "not_found" and "labbox host add sftp://me@my-pc" in caught.value.hint
    page = await people.audit_page()
    told = [(one.who, one.action, one.target) for one in page.entries if one.action.startswith("host")]
    assert told[::-1] == [
        ("ada", "host add", "ada me@my-pc"),
        ("ada", "host trust", "ada me@my-pc"),
        ("ada", "host trust", "ada me@my-pc"),
        ("ada", "host add", "ada me@my-pc"),
        ("ada", "host remove", "ada me@my-pc"),
    ]
    assert not any(PASSWORD in one.detail or "PRIVATE" in one.detail for one in page.entries)


async def test_a_user_who_goes_takes_their_hosts_along(
    people: People, store: Store, ada: Actor, root: Actor
) -> None:
    await people.hosts.add("ada", HostAdd(name="me@my-pc"), ada)
    await people.remove("ada", delete_files=True, by=root)
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM hosts").fetchone()[0]) == 0


async def test_a_restart_opens_what_was_sealed(
    people: People, store: Store, configuration: Configuration, state: Path, ada: Actor
) -> None:
    await people.hosts.add("ada", HostAdd(name="me@my-pc", password=PASSWORD), ada)
    again = People(store, configuration, state)
    await again.start()
    try:
        assert (await again.hosts.secret("ada", "me@my-pc")).password == PASSWORD
        for page in ([await again.hosts.list("ada")],):
            assert "elephants" not in str(page)
    finally:
        await again.close()


async def test_a_change_of_hosts_is_heard_by_their_owner_alone(
    people: People, store: Store, ada: Actor
) -> None:
    told: list[int] = []
    people.told = lambda: told.append(1)
    await people.hosts.add("ada", HostAdd(name="me@my-pc"), ada)
    await people.hosts.remove("ada", "me@my-pc", ada)
    assert len(told) == 2
    for reader, heard in (("ada", 2), ("grace", 0)):
        found = await store.read(lambda db, reader=reader: events.after(db, 0, limit=100, reader=reader))  # type: ignore[misc]
        assert [one.kind for one in found].count("host") == heard
