from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import labbox
from labbox.custom import Configuration, Settings
from labbox.custom.schema import PeopleSettings
from labbox.daemon.people import Account, Actor, People, homes, uids
from labbox.daemon.people.names import check_name
from labbox.daemon.store import Store, events, former, groups, usage
from labbox.daemon.store import jobs as stored_jobs
from labbox.errors import LabboxError
from labbox.model import JobKind, JobState, Limits, Resources
from labbox.protocol import InviteBody, PasswordBody, UserAdd

pytestmark = pytest.mark.root


async def test_a_user_gets_ids_a_home_and_a_place_for_results(
    people: People, root: Actor, state: Path
) -> None:
    ada = await people.add(UserAdd(name="ada"), root)
    grace = await people.add(UserAdd(name="grace", admin=True), root)
    assert (ada.uid, ada.gid, grace.uid) == (70000, 70000, 70001)
    home = state / "homes" / "ada"
    entries = {path: path.lstat() for path in (home, *home.rglob("*")) if path.name != "jobs"}
    assert (home / "jobs").stat().st_uid == 0  # nobody swaps it
    assert {(entry.st_uid, entry.st_gid) for entry in entries.values()} == {(70000, 70000)}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert "job submit" in (home / "README.txt").read_text()
    results = state / "results" / "ada"
    assert (home / "jobs").is_dir()
    assert not (home / "jobs").is_symlink()
    assert (results.stat().st_uid, results.stat().st_gid, stat.S_IMODE(results.stat().st_mode)) == (
        0,
        70000,
        0o750,
    )
    assert stat.S_IMODE((state / "homes").stat().st_mode) == 0o711
    account = await people.account("ada")
    assert account == await people.account_by_uid(70000)
    assert account is not None
    assert (account.home, account.admin, account.groups) == (home, False, (69997,))
    assert [user.name for user in (await people.list()).users] == ["ada", "grace"]


async def test_whoever_follows_the_box_is_told_of_users(people: People, root: Actor, store: Store) -> None:
    told: list[int] = []
    people.told = lambda: told.append(1)
    await people.add(UserAdd(name="ada", password="a long enough secret"), root)
    await people.set_limits("ada", Limits(cpus=2), root)
    await people.set_password("ada", PasswordBody(new="another secret, as long"), root)
    with pytest.raises(LabboxError):
        await people.set_limits("nobody", Limits(cpus=2), root)
    await people.remove("ada", delete_files=True, by=root)
    rows = await store.read(lambda db: events.after(db, 0, limit=100))
    said = ["ada was added", "ada was changed", "ada was changed", "ada was removed"]
    assert [(row.kind, row.owner, row.text) for row in rows] == [("user", "ada~70000", text) for text in said]
    assert len(told) >= 4


async def test_an_id_is_never_given_twice_even_after_a_restart(
    people: People, root: Actor, store: Store, configuration: Configuration, state: Path
) -> None:
    first = await people.add(UserAdd(name="ada"), root)
    await people.remove("ada", delete_files=True, by=root)
    for path in (state / "homes" / "ada", state / "results" / "ada"):
        subprocess.run(["rm", "-rf", path], check=True, timeout=10)
    again = People(store, configuration, state)
    await again.start()
    second = await again.add(UserAdd(name="ada"), root)
    await again.close()
    assert second.uid > first.uid


async def test_ids_of_others_are_passed_over(
    store: Store, state: Path, root: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = {70001: "the system's user eve"}
    monkeypatch.setattr(uids, "id_owner", strangers.get)
    monkeypatch.setattr(uids, "taken_ranges", lambda: (range(70003, 70010), range(70010, 70020)))
    people = People(store, Configuration(), state)
    await people.start()
    made = [(await people.add(UserAdd(name=name), root)).uid for name in ("a", "b", "c")]
    await people.close()
    assert made == [70000, 70002, 70020]


@pytest.mark.parametrize(
    ("strangers", "lent", "said"),
    [
        (
            {70000: "the system's user ada"},
            (),
            "the id 70000 for ada: it belongs to the system's user ada as well",
        ),
        ({69999: "the system's group x"}, (), "the id 69999 for labbox itself"),
        (
            {},
            (range(69000, 69999),),
            "the id 69997 for labbox itself: it belongs to the range of a user in /etc/subuid",
        ),
    ],
)
async def test_a_box_whose_ids_belong_to_others_does_not_start(
    people: People,
    root: Actor,
    store: Store,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    strangers: dict[int, str],
    lent: tuple[range, ...],
    said: str,
) -> None:
    await people.add(UserAdd(name="ada"), root)
    monkeypatch.setattr(uids, "id_owner", strangers.get)
    monkeypatch.setattr(uids, "taken_ranges", lambda: lent)
    again = People(store, Configuration(), state)
    with pytest.raises(LabboxError) as caught:
        await again.start()
    await again.close()
    assert caught.value.code == "conflict"
    assert said in caught.value.message
    assert caught.value.hint


def test_subordinate_ranges_are_read_and_rubbish_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("eve:100000:65536\n# no\n\nmallory:x:1\nbob:7:2:3\n 1000:300000:10 \n")
    assert uids.taken_ranges((file, tmp_path / "missing")) == (range(100000, 165536), range(300000, 300010))


@given(st.text(max_size=40))
@example("ada\n")
@example("-rf")
@example("../ada")
@example("ädä")
def test_a_name_is_good_or_refused_in_one_clean_sentence(name: str) -> None:
    try:
        check_name(name)
    except LabboxError as error:
        assert error.code == "invalid"
        assert "\n" not in error.message
        assert "\x1b" not in error.message
        assert error.hint
    else:
        assert name.isascii()
        assert 1 <= len(name) <= 32
        assert name[0].islower()
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True))
def test_usual_names_are_good(name: str) -> None:
    if name not in {"all", "box", "everyone", "invite", "labbox", "local", "nobody", "root"}:
        check_name(name)


@pytest.mark.parametrize("name", ["daemon", "www-data"])
async def test_names_of_the_system_are_refused(people: People, root: Actor, name: str) -> None:
    with pytest.raises(LabboxError, match=f"cannot add {name}: the box's system has a user of that name"):
        await people.add(UserAdd(name=name), root)


async def test_a_name_is_given_once_however_many_ask_at_once(
    people: People, root: Actor, state: Path
) -> None:
    outcomes = await asyncio.gather(
        *(people.add(UserAdd(name="ada"), root) for _ in range(5)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, LabboxError)]
    assert len(refused) == 4
    assert {error.code for error in refused} == {"conflict"}
    assert (state / "homes" / "ada" / "README.txt").exists()


async def test_limits_come_from_the_box_where_they_are_not_said(
    store: Store, state: Path, root: Actor
) -> None:
    settings = Settings(people=PeopleSettings(limits=Limits(cpus=8.0, gpus=1)))
    people = People(store, Configuration(settings=settings), state)
    await people.start()
    added = await people.add(UserAdd(name="ada", limits=Limits(cpus=2.0)), root)
    assert added.limits == Limits(cpus=2.0, gpus=1)
    changed = await people.set_limits("ada", Limits(running_jobs=3, memory=1 << 40), root)
    assert changed.limits == Limits(running_jobs=3, memory=1 << 40)
    account = await people.account("ada")
    assert account is not None
    assert account.limits == changed.limits
    for wrong in (Limits(cpus=-1.0), Limits(cpus=float("nan")), Limits(memory=1 << 70)):
        with pytest.raises(LabboxError, match="cannot set"):
            await people.set_limits("ada", wrong, root)
    await people.close()


async def test_a_home_that_cannot_be_made_leaves_no_user_and_nothing_on_the_disk(
    people: People, root: Actor, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", full)
    with pytest.raises(LabboxError, match="cannot make a home for ada: No space left on device") as caught:
        await people.add(UserAdd(name="ada"), root)
    assert caught.value.code == "unavailable"
    assert await people.account("ada") is None
    assert list((state / "homes").iterdir()) == list((state / "results").iterdir()) == []


async def test_a_row_that_cannot_be_written_takes_the_home_back(
    people: People, root: Actor, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise LabboxError("unavailable", "cannot write to the store: the disk is full")

    monkeypatch.setattr("labbox.daemon.store.users.insert", broken)
    with pytest.raises(LabboxError, match="the disk is full"):
        await people.add(UserAdd(name="ada"), root)
    assert list((state / "homes").iterdir()) == list((state / "results").iterdir()) == []
    assert (await people.list()).users == ()


@pytest.mark.parametrize("moment", ["before the row", "after the row"])
async def test_a_crash_while_a_user_is_added_leaves_all_of_them_or_nothing(
    people: People,
    root: Actor,
    store: Store,
    configuration: Configuration,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    def crash(*_args: object, **_options: object) -> None:
        raise KeyError("the daemon is gone")

    with monkeypatch.context() as patch:
        patch.setattr(homes, "take_back", lambda *_: None)
        step = "store.users.insert" if moment == "before the row" else "people.homes.place"
        patch.setattr(f"labbox.daemon.{step}", crash)
        with pytest.raises(KeyError):
            await people.add(UserAdd(name="ada"), root)
    again = People(store, configuration, state)
    await again.start()
    homes_there = [path.name for path in (state / "homes").iterdir()]
    if moment == "before the row":
        assert homes_there == []
        await again.add(UserAdd(name="ada"), root)
    assert (state / "homes" / "ada" / "README.txt").exists()
    assert await again.account("ada") is not None
    await again.close()


async def test_removal_ends_the_login_first_then_calls_the_others_then_forgets(
    people: People, root: Actor, ada: Actor, state: Path
) -> None:
    seen: list[object] = []

    async def departure(account: Account, delete_files: bool) -> None:
        seen.append((account.name, account.uid, delete_files))
        seen.append(await people.account("ada"))
        seen.append(await people.authenticate_password("ada", "correct horse", "ssh 192.0.2.7"))
        with pytest.raises(LabboxError, match="cannot change ada: the user is being removed"):
            await people.set_limits("ada", Limits(), root)

    people.departures.append(departure)
    removal = await people.remove("ada", delete_files=False, by=root)
    assert seen == [("ada", 70000, False), None, None]
    assert removal.left == (state / "homes" / "ada~70000", state / "results" / "ada~70000")
    with pytest.raises(LabboxError, match="cannot find a user “ada”"):
        await people.show("ada")
    await people.add(UserAdd(name="ada"), root)
    assert sorted(entry.name for entry in (state / "homes" / "ada").iterdir()) != []
    assert removal.left[0].is_dir()


@pytest.mark.attack("S11")
@pytest.mark.parametrize("kind", ["homes", "results", "snapshots", "git"])
async def test_folders_that_an_older_labbox_left_under_a_free_name_are_put_aside_at_the_start(
    people: People,
    root: Actor,
    ada: Actor,
    store: Store,
    configuration: Configuration,
    state: Path,
    kind: str,
) -> None:
    await people.remove("ada", delete_files=False, by=root)
    (state / kind).mkdir(exist_ok=True)
    (state / kind / "ada").mkdir()
    (state / kind / "ada" / "old").touch()
    shutil.rmtree(state / kind / "ada~70000", ignore_errors=True)
    again = People(store, configuration, state)
    await again.start()
    await again.add(UserAdd(name="ada"), root)
    assert not (state / kind / "ada" / "old").exists()
    assert (state / kind / "ada~70000" / "old").exists()
    await again.close()


@pytest.mark.attack("S11")
async def test_nothing_that_stands_under_a_removed_persons_name_is_the_next_ones(
    people: People, root: Actor, ada: Actor, store: Store, state: Path, tried: Callable[..., None]
) -> None:
    """Every table that names an owner, whatever was written down when: before the removal, or after it."""
    late = stored_jobs.NewJob(
        kind=JobKind.CONTAINER, name="late", owner="ada", project=None, state=JobState.QUEUED,
        submitted_at=1, day="2026/11/21", resources=Resources(), priority=0, time_limit=None, retries=0,
    )  # fmt: skip

    def fill(db: Connection) -> None:
        submission = stored_jobs.add_submission(db, spec="{}", handed="{}")
        job = stored_jobs.add(db, late, submission)
        events.append(db, at=1, kind="job", owner="ada", job=job)
        usage.put(
            db, usage.UsageRow(owner="ada", jobs=3, cpu_seconds=9.0, recent=9.0, recent_at=1, storage=5)
        )
        groups.put(db, "ada", "sims", 2)

    await store.write(fill)
    await people.remove("ada", delete_files=False, by=root)
    await store.write(fill)  # a request that was still under way
    added = await people.add(UserAdd(name="ada"), root)
    assert added.uid != 70000 and added.storage is None and added.keys == 0

    def named(db: Connection) -> dict[str, int]:
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        found: dict[str, int] = {}
        for table in (row["name"] for row in tables):
            columns = {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}
            for column in columns & {"owner", "member"}:
                tried()
                query = f"SELECT count(*) FROM {table} WHERE {column} = 'ada'"
                found[table] = db.execute(query).fetchone()[0]
        return found

    counted = await store.read(named)
    assert counted.pop("events") == 1  # that she was added
    assert set(counted.values()) == {0}, counted
    assert {"jobs", "usage", "job_groups", "keys", "tokens", "notices", "hosts", "invitations"} <= set(
        counted
    )


@pytest.mark.attack("S11")
async def test_who_was_removed_meanwhile_stores_nothing_for_the_next_one_of_the_name(
    people: People, root: Actor, ada: Actor, store: Store
) -> None:
    await people.remove("ada", delete_files=True, by=root)
    await people.add(UserAdd(name="ada"), root)
    with pytest.raises(LabboxError, match="they were removed from the box"):
        await store.write(lambda db: former.refuse_gone(db, "ada", 70000))
    await store.write(lambda db: former.refuse_gone(db, "ada", 70001))


async def test_removal_with_files_takes_the_emptied_folders(
    people: People, root: Actor, ada: Actor, state: Path
) -> None:
    async def worker(account: Account, delete_files: bool) -> None:
        assert delete_files
        subprocess.run(["find", account.home, "-mindepth", "1", "-delete"], check=True, timeout=10)

    people.departures.append(worker)
    removal = await people.remove("ada", delete_files=True, by=root)
    assert removal.left == ()
    assert not (state / "homes" / "ada").exists()


async def test_a_removal_that_stops_half_way_keeps_the_login_closed_and_can_be_asked_again(
    people: People, root: Actor, ada: Actor, store: Store, configuration: Configuration, state: Path
) -> None:
    async def failing(_account: Account, _delete_files: bool) -> None:
        raise LabboxError("unavailable", "cannot end the jobs of ada")

    people.departures.append(failing)
    with pytest.raises(LabboxError, match="cannot end the jobs"):
        await people.remove("ada", delete_files=False, by=root)
    again = People(store, configuration, state)
    await again.start()
    assert await again.account("ada") is None
    assert await again.authenticate_password("ada", "correct horse", "ssh 192.0.2.7") is None
    await again.remove("ada", delete_files=False, by=root)
    assert (await again.list()).users == ()
    await again.close()


async def test_the_last_administrator_stays(people: People, root: Actor) -> None:
    await people.add(UserAdd(name="ada", admin=True), root)
    await people.add(UserAdd(name="grace"), root)
    for attempt in (people.set_admin("ada", False, root), people.remove("ada", delete_files=False, by=root)):
        with pytest.raises(LabboxError, match="nobody else administers the box") as caught:
            await attempt
        assert "labbox user admin" in caught.value.hint
    assert (await people.set_admin("grace", True, root)).admin
    assert not (await people.set_admin("ada", False, root)).admin
    account = await people.account("ada")
    assert account is not None
    assert not account.admin


async def test_a_change_by_somebody_who_hung_up_is_seen_by_all(
    people: People, root: Actor, ada: Actor
) -> None:
    await people.add(UserAdd(name="grace"), root)
    change = asyncio.ensure_future(people.set_admin("ada", True, root))
    await asyncio.sleep(0)  # it is on its way to the writer
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    await people.set_limits("grace", Limits(), root)  # behind the change in the queue
    account = await people.account("ada")
    assert account is not None
    assert account.admin is (await people.show("ada")).admin


async def test_people_that_are_not_there_are_said(people: People, root: Actor) -> None:
    for call in (
        people.show("eve"),
        people.remove("eve", delete_files=False, by=root),
        people.set_limits("eve", Limits(), root),
        people.set_admin("eve", True, root),
        people.set_password("eve", PasswordBody(new="correct horse"), root),
        people.list_keys("eve"),
        people.list_tokens("e\x1bve"),
    ):
        with pytest.raises(LabboxError, match=r"cannot find a user “e␛?ve”") as caught:
            await call
        assert caught.value.code == "not_found"


async def test_an_invitation_makes_the_user(people: People, root: Actor) -> None:
    await people.invite(InviteBody(name="ada", admin=True), root)
    assert (await people.show("ada")).admin
    await people.add(UserAdd(name="grace"), root)
    with pytest.raises(LabboxError, match="cannot invite grace as administrator"):
        await people.invite(InviteBody(name="grace", admin=True), root)


def test_without_root_the_box_serves_the_one_who_started_it(tmp_path: Path) -> None:
    script = """
import asyncio, os
from pathlib import Path
from labbox.custom import load
from labbox.daemon.people import Actor, People
from labbox.daemon.store import Store, events
from labbox.protocol import UserAdd

async def main():
    state = Path.cwd()
    store = await Store.open(state / "labbox.db")
    people = People(store, load(None), state)
    await people.start()
    me = await people.account_by_uid(os.getuid())
    assert (me.name, me.admin, me.uid, me.gid) == ("me", True, 64001, 64001), me
    assert (me.home / "README.txt").stat().st_uid == 64001
    await people.add(UserAdd(name="ada"), Actor(name="me", origin="local", admin=True))
    assert (await people.account("ada")).uid == 64001
    assert (await people.account_by_uid(64001)).name == "me"
    await people.close()
    again = People(store, load(None), state)
    await again.start()
    assert (await again.account_by_uid(64001)).name == "me"
    await again.close()
    await store.close()
    print("done")

asyncio.run(main())
"""
    state = Path("/tmp") / f"labbox-test-{os.getpid()}"
    state.mkdir(mode=0o700)
    try:
        os.chown(state, 64001, 64001)
        run = subprocess.run(
            [sys.executable, "-c", script],
            cwd=state,
            user=64001,
            group=64001,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PYTHONPATH": str(Path(labbox.__file__).parent.parent), "PATH": os.environ["PATH"]},
        )
    finally:
        subprocess.run(["rm", "-rf", state], check=True, timeout=10)
    assert (run.stdout, run.stderr) == ("done\n", "")
