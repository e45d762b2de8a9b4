"""The trail: each change in it, each tampering seen."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from labbox.custom import Configuration
from labbox.daemon.people import Actor, People
from labbox.daemon.store import Store, events, notices
from labbox.daemon.store.audit import Trail
from labbox.errors import LabboxError
from labbox.model import Limits, Scope
from labbox.protocol import InviteBody, PasswordBody, TokenBody, UserAdd

pytestmark = pytest.mark.root

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBL1vJJEyKHmWvXXn6pPHFfNjBQxu1lBGHbTVXkTqfMZ"


async def test_every_change_is_in_the_trail_with_who_and_from_where(
    people: People, root: Actor, ada: Actor
) -> None:
    key = await people.add_key("ada", KEY, ada)
    await people.remove_key("ada", key.fingerprint, ada)
    await people.set_password("ada", PasswordBody(new="battery staple", old="correct horse"), ada)
    await people.set_limits("ada", Limits(cpus=2.0), root)
    await people.set_admin("ada", True, root)
    token = await people.add_token("ada", TokenBody(label="x", scope=Scope.READ), ada)
    await people.revoke_token("ada", token.token.id, ada)
    await people.invite(InviteBody(name="grace", admin=True), root)
    await people.logged_in("ada", ada.origin, "password")
    await people.remove("ada", delete_files=False, by=root)
    page = await people.audit_page()
    assert page.intact
    assert [(entry.who, entry.action, entry.target, entry.origin) for entry in reversed(page.entries)][
        1:
    ] == [
        ("root", "user add", "ada", "local"),
        ("ada", "user key add", "ada", "ssh 192.0.2.7"),
        ("ada", "user key remove", "ada", "ssh 192.0.2.7"),
        ("ada", "user passwd", "ada", "ssh 192.0.2.7"),
        ("root", "user limits", "ada", "local"),
        ("root", "user admin", "ada", "local"),
        ("ada", "user token add", "ada", "ssh 192.0.2.7"),
        ("ada", "user token revoke", "ada", "ssh 192.0.2.7"),
        ("root", "user add", "grace", "local"),
        ("root", "user invite", "grace", "local"),
        ("ada", "login", "ada", "ssh 192.0.2.7"),
        ("root", "user remove", "ada", "local"),
        ("root", "user removed", "ada", "local"),
    ]
    assert page.entries[-1].action == "box create"


async def test_a_change_that_fails_leaves_no_entry(people: People, ada: Actor) -> None:
    before = await people.audit_page()
    with pytest.raises(LabboxError, match="cannot find a key"):
        await people.remove_key("ada", "SHA256:none", ada)
    assert await people.audit_page() == before


async def test_pages_go_back_to_the_first_entry(people: People) -> None:
    for number in range(10):
        await people.audit("root", "test", str(number), "local", "a\x1b[31m\n")
    seen, before = [], None
    while True:
        page = await people.audit_page(limit=4, before=before)
        seen += [entry.id for entry in page.entries]
        if page.next is None:
            break
        before = page.next
    assert seen == list(range(11, 0, -1))
    assert page.intact
    assert (await people.audit_page(limit=1)).entries[0].detail == "a␛[31m␊"


TAMPERINGS: dict[str, str] = {
    "an entry edited": "UPDATE audit SET who = 'eve' WHERE id = 3",
    "a moment moved": "UPDATE audit SET at = at + 1 WHERE id = 3",
    "an entry deleted": "DELETE FROM audit WHERE id = 3",
    "the first entry deleted": "DELETE FROM audit WHERE id = 1",
    "the end cut off": "DELETE FROM audit WHERE id > 3",
    "all deleted": "DELETE FROM audit",
    "all deleted with the head": "DELETE FROM audit; DELETE FROM meta WHERE key = 'audit.head'",
    "two exchanged": "UPDATE audit SET id = 1000 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 4;"
    " UPDATE audit SET id = 4 WHERE id = 1000",
    "one added": "INSERT INTO audit SELECT id + 1, at, who, action, target, origin, detail, link FROM audit"
    " ORDER BY id DESC LIMIT 1",
    "the end cut off and the head replaced by the link": "DELETE FROM audit WHERE id > 3;"
    " UPDATE meta SET value = (SELECT link FROM audit WHERE id = 3) WHERE key = 'audit.head'",
}


@pytest.mark.parametrize("how", TAMPERINGS)
async def test_tampering_shows(people: People, store: Store, state: Path, how: str) -> None:
    for number in range(5):
        await people.audit("root", "test", str(number), "local")
    assert (await people.audit_page()).intact
    with closing(sqlite3.connect(state / "labbox.db")) as stranger:
        stranger.executescript(TAMPERINGS[how])
    assert not (await people.audit_page()).intact


# What moves text over the border of a field or a row, or hides it behind a NUL, for a look at the text alone.
HIDINGS: dict[str, str] = {
    "behind a NUL": "UPDATE audit SET who = who || char(0) || 'eve' WHERE id = 3",
    "over a field's border": "UPDATE audit SET who = who || char(31) || action, action = target,"
    " target = origin, origin = detail, detail = '' WHERE id = 3",
    "two rows in one": "UPDATE audit SET link = link || char(30) || (SELECT id || char(31) || at || char(31)"
    " || who || char(31) || action || char(31) || target || char(31) || origin || char(31) || detail ||"
    " char(31) || link FROM audit WHERE id = 4) WHERE id = 3; DELETE FROM audit WHERE id = 4",
}


@pytest.mark.parametrize("how", HIDINGS)
async def test_what_was_good_once_is_looked_at_again(people: People, state: Path, how: str) -> None:
    for number in range(5):
        await people.audit("root", "test", str(number), "local")
    assert (await people.audit_page()).intact
    await people.audit("root", "test", "one more behind what was looked at", "local")
    assert (await people.audit_page()).intact
    with closing(sqlite3.connect(state / "labbox.db")) as stranger:
        stranger.executescript(HIDINGS[how])
    assert not (await people.audit_page()).intact
    assert not (await people.audit_page()).intact


async def restarted(store: Store, configuration: Configuration, state: Path) -> People:
    again = People(store, configuration, state)
    await again.start()
    await again.close()
    return again


async def test_the_trail_goes_on_after_a_restart(
    people: People, store: Store, configuration: Configuration, state: Path
) -> None:
    for _ in range(3):
        again = await restarted(store, configuration, state)
        await again.audit("root", "test", "box", "local")
        assert (await again.audit_page()).intact
    for name in ("audit.key", "audit.mark", "hosts.key"):
        assert (state / "secrets" / name).stat().st_mode & 0o777 == 0o600
    assert (state / "secrets").stat().st_mode & 0o777 == 0o700


DELETIONS: dict[str, str] = {
    "all": "DELETE FROM audit",
    "all and the head": "DELETE FROM audit; DELETE FROM meta WHERE key = 'audit.head'",
    "the table emptied and filled with nobody": "DELETE FROM audit; INSERT INTO audit"
    " VALUES (1, 1, 'box', 'box create', '', 'box', '', '')",
    "the end with the head of then": "DELETE FROM audit WHERE id > 4;"
    " UPDATE meta SET value = (SELECT value FROM meta WHERE key = 'head of then') WHERE key = 'audit.head'",
}


@pytest.mark.attack("S17")
@pytest.mark.parametrize("how", DELETIONS)
async def test_a_trail_that_was_deleted_does_not_begin_anew_as_if_nothing_had_been(
    people: People,
    store: Store,
    configuration: Configuration,
    state: Path,
    tried: Callable[..., None],
    how: str,
) -> None:
    for number in range(3):
        await people.audit("root", "test", str(number), "local")
    keep = "INSERT INTO meta SELECT 'head of then', value FROM meta WHERE key = 'audit.head'"
    await store.write(lambda db: db.execute(keep))
    for number in range(3):
        await people.audit("root", "test", str(number), "local")
    await people.close()  # which marks how far it had come
    with closing(sqlite3.connect(state / "labbox.db")) as stranger:
        stranger.executescript(DELETIONS[how])
    for _ in range(2):
        tried()
        again = await restarted(store, configuration, state)
        page = await again.audit_page()
        assert not page.intact and page.trouble
        for number in range(12):
            await again.audit("root", "test", str(number), "local")
        tried()
        assert not (await again.audit_page()).intact


@pytest.mark.attack("S17")
async def test_an_older_copy_of_the_store_shows(
    people: People, configuration: Configuration, state: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older.db"
    await people.audit("root", "test", "before", "local")
    with closing(sqlite3.connect(state / "labbox.db")) as live, closing(sqlite3.connect(older)) as copy:
        live.backup(copy)
    await people.audit("root", "test", "what is to be hidden", "local")
    await people.close()
    put_back = await Store.open(older)
    again = await restarted(put_back, configuration, state)
    page = await again.audit_page()
    assert not page.intact
    assert page.trouble.startswith("it had 3 entries and has 2: it was cut off or deleted, or an older copy")
    await put_back.close()


SECRETS = ("audit.key", "audit.mark", "hosts.key")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "the folder gone": lambda path: shutil.rmtree(path.parent),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:17]),
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "zeros": lambda path: path.write_bytes(bytes(31)),
}


@pytest.mark.attack("S17")
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", SECRETS)
async def test_no_secret_is_silently_replaced(
    people: People,
    ada: Actor,
    store: Store,
    configuration: Configuration,
    state: Path,
    tried: Callable[..., None],
    name: str,
    how: str,
) -> None:
    await people.close()
    path = state / "secrets" / name
    DAMAGES[how](path)
    left = path.read_bytes() if path.exists() else None
    for _ in range(2):
        tried()
        with pytest.raises(LabboxError) as caught:
            await restarted(store, configuration, state)
        assert caught.value.code == "unavailable" and caught.value.message.startswith("cannot use the secret")
        assert (path.read_bytes() if path.exists() else None) == left
    if how == "the folder gone":
        return
    subprocess.run(["sh", "-c", caught.value.hint.rpartition("then: ")[2]], check=True)
    again = await restarted(store, configuration, state)
    page = await again.audit_page()
    assert page.intact and not list(path.parent.glob("*.lost"))
    if name != "hosts.key":
        assert page.unchecked == 2
        assert (page.entries[0].action, page.entries[0].who) == (f"{name.replace('.', ' ')} renewed", "box")
    assert (await (await again_later(store, configuration, state)).audit_page()).intact


async def again_later(store: Store, configuration: Configuration, state: Path) -> People:
    again = await restarted(store, configuration, state)
    await again.audit("root", "test", "later", "local")
    return again


@pytest.mark.attack("S17")
async def test_another_key_of_the_right_size_shows(
    people: People, store: Store, configuration: Configuration, state: Path
) -> None:
    await people.close()
    (state / "secrets" / "audit.key").write_bytes(bytes(range(32)))
    with pytest.raises(LabboxError, match="is not the one it was made with"):
        await restarted(store, configuration, state)


async def test_a_page_does_not_follow_the_whole_trail(
    people: People, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a page looks at does not grow with the trail; the look at all of it goes in small pieces."""

    def many(db: sqlite3.Connection) -> None:
        for number in range(9_000):
            people.trail.record(db, "root", "test", str(number), "local")

    await store.write(many)
    looked = 0
    follow = Trail._link

    def counting(self: Trail, before: str, fields: tuple[object, ...]) -> str:
        nonlocal looked
        looked += 1
        return follow(self, before, fields)

    monkeypatch.setattr(Trail, "_link", counting)
    assert (await people.audit_page(limit=50)).intact
    assert looked <= 2_050
    looked = 0
    await people._trailkeeping.look_at_all()
    assert looked == 9_001
    looked = 0
    assert (await people.audit_page(limit=50)).intact
    assert looked == 50


@pytest.mark.attack("S17")
async def test_an_edit_far_back_shows_with_the_next_look_at_all(
    people: People, store: Store, state: Path
) -> None:
    def many(db: sqlite3.Connection) -> None:
        for number in range(3_000):
            people.trail.record(db, "root", "test", str(number), "local")

    await store.write(many)
    await people._trailkeeping.look_at_all()
    with closing(sqlite3.connect(state / "labbox.db")) as stranger:
        stranger.executescript("UPDATE audit SET who = 'eve' WHERE id = 700")
    await people._trailkeeping.look_at_all()
    page = await people.audit_page(limit=10)
    assert (page.intact, page.trouble) == (False, "entry 700 is not as it was written")


async def test_a_change_and_its_entry_stand_or_fall_together(
    people: People, ada: Actor, root: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise LabboxError("unavailable", "cannot write")

    monkeypatch.setattr(people.trail, "record", broken)
    changes: list[Callable[[], object]] = [
        lambda: people.set_limits("ada", Limits(cpus=1.0), root),
        lambda: people.set_admin("ada", True, root),
        lambda: people.add_key("ada", KEY, ada),
        lambda: people.add_token("ada", TokenBody(label="x", scope=Scope.READ), ada),
        lambda: people.remove("ada", delete_files=False, by=root),
    ]
    before = await people.show("ada")
    for change in changes:
        with pytest.raises(LabboxError, match="cannot write"):
            await change()  # type: ignore[misc]
    assert await people.show("ada") == before
    assert (await people.list_tokens("ada")).tokens == ()
    assert await people.account("ada") is not None


async def test_notices_wait_until_they_are_seen(
    people: People, store: Store, root: Actor, ada: Actor
) -> None:
    await people.add(UserAdd(name="grace"), root)
    for number in range(notices.KEPT + 5):
        await store.write(lambda db, number=number: notices.add(db, "ada", f"job {number} ended", number))  # type: ignore[misc]
    await store.write(lambda db: notices.add(db, "gone", "nobody reads this"))
    waiting = await store.read(lambda db: notices.of(db, "ada", seen=False))
    assert len(waiting) == notices.KEPT
    assert (waiting[0].job, waiting[0].text) == (notices.KEPT + 4, f"job {notices.KEPT + 4} ended")
    await store.write(lambda db: notices.mark_seen(db, "ada", waiting[1].id))
    assert await store.read(lambda db: notices.of(db, "ada", seen=False)) == waiting[:1]
    everything = await store.read(lambda db: notices.of(db, "ada", seen=True))
    assert [notice.id for notice in everything] == [notice.id for notice in waiting]
    assert [notice.seen for notice in everything] == [False] + [True] * (notices.KEPT - 1)
    heard = await store.read(lambda db: events.after(db, 0, limit=1000, reader="ada"))
    assert [each.kind for each in heard].count("notice") == notices.KEPT + 5 + 1
    for others in ("grace", ""):
        heard = await store.read(lambda db, others=others: events.after(db, 0, limit=1000, reader=others))  # type: ignore[misc]
        assert all(each.kind == "user" for each in heard)
    assert await store.read(lambda db: notices.of(db, "grace", seen=False)) == ()
