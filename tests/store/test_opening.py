"""Files that cannot be opened as they are: from a newer labbox, from an older one, damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from labbox.daemon.store import (
    Store,
    attempts,
    dependencies,
    events,
    groups,
    hosts,
    jobs,
    pages,
    projects,
    usage,
    users,
)
from labbox.daemon.store.audit import Trail
from labbox.daemon.store.migrations import STEPS
from labbox.daemon.store.scripts import statements
from labbox.errors import LabboxError
from labbox.model import JobState

OLD = Path(__file__).parent / "old"
OLD_KEY = b"a key of the test's own, 32 long"


async def refusal(path: Path) -> LabboxError:
    before = path.read_bytes()
    with pytest.raises(LabboxError) as caught:
        await Store.open(path)
    assert path.read_bytes() == before, "the file was touched"
    assert caught.value.hint
    return caught.value


def step(name: str, sql: str) -> ModuleType:
    module = ModuleType(f"steps.{name}")
    module.migrate = lambda connection: connection.execute(sql)  # type: ignore[attr-defined]
    return module


async def test_a_file_of_a_newer_labbox_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    newer = (*STEPS, step("m9999_stars", "CREATE TABLE stars (name TEXT) STRICT"))
    await (await Store.open(path, newer)).close()
    error = await refusal(path)
    assert error.code == "conflict"
    assert "made by a newer labbox (it has m9999_stars)" in error.message
    await (await Store.open(path, newer)).close()


@pytest.mark.parametrize("dump", sorted(OLD.glob("*.sql")), ids=lambda path: path.stem)
async def test_an_old_file_is_taken_to_this_versions_schema_with_all_that_is_in_it(
    dump: Path, tmp_path: Path
) -> None:
    path = tmp_path / "labbox.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text())
    store = await Store.open(path)
    people = await store.read(users.everyone)
    assert [(user.name, user.uid, user.admin, user.keys) for user in people] == [
        ("ada", 70000, True, 1),
        ("grace", 70001, False, 0),
    ]
    assert people[1].limits.memory == 64 << 30
    assert await store.read(Trail(OLD_KEY).intact)
    assert await store.read(lambda db: db.execute("PRAGMA foreign_key_check").fetchall()) == []
    await store.close()
    fresh = await Store.open(tmp_path / "fresh.db")
    schema = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE '%sqlite%' ORDER BY name"
    made = await fresh.read(lambda db: [tuple(row) for row in db.execute(schema)])
    await fresh.close()
    store = await Store.open(path)
    assert await store.read(lambda db: [tuple(row) for row in db.execute(schema)]) == made
    await store.close()


@pytest.mark.parametrize("dump", sorted(OLD.glob("000[2-9]*.sql")), ids=lambda path: path.stem)
async def test_jobs_of_an_old_file_go_on_where_they_were(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text())
    store = await Store.open(path)

    def page(db: sqlite3.Connection, name: str | None = None, array: int | None = 0) -> list[jobs.JobRow]:
        return pages.page(db, owner=None, states=(), name=name, array=array, limit=100, before=None)

    assert [(row.id, row.state) for row in await store.read(page)] == [
        (9, JobState.CANCELLED),
        (6, JobState.QUEUED),
        (5, JobState.QUEUED),
        (4, JobState.HELD),
        (3, JobState.RUNNING),
        (2, JobState.FAILED),
        (1, JobState.SUCCEEDED),
    ]
    assert [row.parameters for row in await store.read(lambda db: page(db, array=6))] == [
        {"lr": "0.2"},
        {"lr": "0.1"},
    ]
    assert [row.id for row in await store.read(lambda db: page(db, name="GRÖSSE"))] == [1]
    assert await store.read(lambda db: dependencies.after(db, 5)) == {4: JobState.HELD}
    (attempt,) = await store.read(lambda db: attempts.of_job(db, 2))
    assert (attempt.exit_code, attempt.seconds, attempt.environment) == (3, 30.0, "env-1")
    assert (await store.read(lambda db: usage.get(db, "ada"))).recent == 7.5
    assert await store.read(events.last) == 20
    grouped = {row.id: row.group for row in await store.read(page) if row.group is not None}
    named = [(group.owner, group.name, group.parallel) for group in await store.read(groups.listed)]
    arriving = [row.id for row in await store.read(page) if row.arrives]
    number = int(dump.name[:4])
    assert grouped == ({3: "sweeps", 4: "transfers", 6: "sweeps"} if number >= 4 else {})
    assert named == ([("ada", "sweeps", 2), ("grace", "transfers", None)] if number >= 4 else [])
    assert arriving == ([5] if number >= 5 else [])
    await store.close()


@pytest.mark.parametrize("dump", sorted(OLD.glob("*.sql")), ids=lambda path: path.stem)
async def test_every_row_of_an_old_file_is_kept(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text())
        before = _rows(old)
    await (await Store.open(path)).close()
    with closing(sqlite3.connect(path)) as migrated:
        after = _rows(migrated)
    assert set(before) <= set(after) and sum(map(len, before.values())) > 4
    for table, rows in before.items():
        assert sorted(map(repr, rows)) == sorted(
            repr({column: row[column] for column in rows[0]}) for row in after[table] if rows
        ), table


def _rows(connection: sqlite3.Connection) -> dict[str, list[dict[str, object]]]:
    connection.row_factory = sqlite3.Row
    tables = "SELECT name FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE '%sqlite%'"
    names = [row["name"] for row in connection.execute(tables)]
    return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}


@pytest.mark.parametrize("dump", sorted(OLD.glob("000[5-9]*.sql")), ids=lambda path: path.stem)
async def test_projects_of_an_old_file_keep_their_number_and_members(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text())
    store = await Store.open(path)
    (mice,) = await store.read(projects.everything)
    assert (mice.name, mice.gid, mice.members) == ("mice", 70002, ("ada", "grace"))
    await store.close()


@pytest.mark.parametrize("dump", sorted(OLD.glob("000[6-9]*.sql")), ids=lambda path: path.stem)
async def test_hosts_of_an_old_file_keep_their_secrets_and_pinned_keys(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text())
    store = await Store.open(path)
    (key,) = await store.read(lambda db: hosts.of_user(db, "ada"))
    assert (key.name, key.kind, key.sealed) == ("ada@pc:2222", "key", bytes.fromhex("00ff1234"))
    assert key.host_keys == ("ssh-ed25519 BBBB", "ssh-rsa CCCC")
    (password,) = await store.read(lambda db: hosts.of_user(db, "grace"))
    assert (password.name, password.kind, password.public_key) == ("pc", "password", None)
    await store.close()


@pytest.mark.attack("S11")
async def test_what_an_old_file_holds_of_people_who_were_removed_is_nobodys_who_has_the_name(
    tmp_path: Path,
) -> None:
    """Grace was removed and there is another one since; bob was removed and there is none."""
    path = tmp_path / "labbox.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((OLD / "0006-hosts.sql").read_text())
        old.executescript(
            "UPDATE users SET name = 'bob' WHERE name = 'grace';"
            "INSERT INTO uids VALUES (70005, 'grace', 1795240004500000);"
            "UPDATE users SET name = 'grace', uid = 70005, gid = 70005 WHERE name = 'bob';"
            "INSERT INTO uids VALUES (70006, 'bob', 1795240000000000);"
            "UPDATE jobs SET owner = 'bob' WHERE id = 9; UPDATE events SET owner = 'bob' WHERE job = 9;"
            "INSERT INTO usage VALUES ('grace', 1, 1.0, 1.0, 1.0, 1, 1), ('bob', 1, 1.0, 1.0, 1.0, 1, 1);"
            "INSERT INTO job_groups VALUES ('bob', 'sims', 3);"
        )
    store = await Store.open(path)
    owners = await store.read(lambda db: dict(map(tuple, db.execute("SELECT id, owner FROM jobs"))))
    assert [owners[job] for job in (1, 2, 4, 5, 9)] == [
        "ada",
        "grace~70001",
        "grace~70001",
        "grace",
        "bob~70006",
    ]
    assert set(await store.read(usage.all_rows)) == {"ada", "grace~70001", "bob~70006"}
    told = await store.read(lambda db: events.after(db, 0, limit=100, owner="grace"))
    assert {event.job for event in told} == {5}
    assert "bob" not in {group.owner for group in await store.read(groups.listed)}
    await store.close()


def test_every_step_has_a_file_that_it_left() -> None:
    kept = {path.stem[:4] for path in OLD.glob("*.sql")}
    assert kept == {step.__name__.rpartition(".m")[2][:4] for step in STEPS}


async def test_before_an_old_file_is_changed_a_copy_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    await (await Store.open(path, STEPS[:1])).close()
    more = (*STEPS[:1], step("m9998_stars", "CREATE TABLE stars (name TEXT) STRICT"))
    await (await Store.open(path, more)).close()
    copy = tmp_path / "labbox.db.before-m9998_stars"
    assert copy.stat().st_mode & 0o777 == 0o600
    await (await Store.open(copy, STEPS[:1])).close()


async def test_a_step_that_fails_leaves_the_file_at_the_step_before(tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    half = step("m9998_half", "CREATE TABLE half (name TEXT) STRICT")
    broken = step("m9999_broken", "CREATE TABLE half (name TEXT) STRICT")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        await Store.open(path, (*STEPS[:1], half, broken))
    store = await Store.open(path, (*STEPS[:1], half))
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM half").fetchone()[0]) == 0
    await store.close()


@pytest.mark.parametrize("how", ["not a database", "overwritten in the middle", "cut off"])
async def test_a_damaged_file_is_named_in_words_and_left_alone(how: str, tmp_path: Path) -> None:
    path = tmp_path / "labbox.db"
    await (await Store.open(path)).close()
    whole = path.read_bytes()
    match how:
        case "not a database":
            path.write_bytes(b"PK\x03\x04" + whole[4:])
        case "overwritten in the middle":
            path.write_bytes(whole[:4096] + b"\xa5" * 8192 + whole[12288:])
        case _:
            path.write_bytes(whole[: len(whole) // 2])
    error = await refusal(path)
    assert error.code == "unavailable"
    assert error.message.startswith(f"cannot open the store {path}: the file is damaged (")
    assert "put back a good copy" in error.hint


async def test_what_is_no_file_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabboxError, match=r"cannot open the store .*: Is a directory"):
        await Store.open(tmp_path)
    with pytest.raises(LabboxError, match=r"cannot open the store .*: No such file or directory"):
        await Store.open(tmp_path / "nowhere" / "labbox.db")


async def test_odd_characters_in_the_path_are_only_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a ?mode=memory#100%25"
    folder.mkdir()
    await (await Store.open(folder / "labbox.db")).close()
    assert (folder / "labbox.db").stat().st_size > 0


def test_a_script_is_cut_into_its_statements() -> None:
    script = """
    CREATE TABLE a (b TEXT); -- one; or two
    CREATE TRIGGER t AFTER INSERT ON a BEGIN
        DELETE FROM a;
        DELETE FROM a;
    END;
    """
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in statements(script):
            db.execute(statement)
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema ORDER BY name")]
    assert names == ["a", "t"]
