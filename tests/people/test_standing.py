"""How accounts stand: suspended and back, their end by the clock, full names, invitations withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from labbox.daemon.people import BOX, Account, Actor, People
from labbox.daemon.people.standing import BEFOREHAND
from labbox.daemon.store import Store, notices
from labbox.errors import LabboxError
from labbox.protocol import InviteBody, User, UserAdd, UserEdit


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def account(people: People, name: str) -> Account:
    found = await people.account(name)
    assert found is not None
    return found


@asynccontextmanager
async def running(people: People) -> AsyncIterator[None]:
    task = asyncio.create_task(people.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def recorded(people: People) -> asyncio.Queue[tuple[str, str, bool]]:
    """What was barred, as the parts that hold something open hear of it."""
    heard: asyncio.Queue[tuple[str, str, bool]] = asyncio.Queue()

    async def bar(one: Account, why: str, cancel_running: bool) -> None:
        heard.put_nowait((one.name, why, cancel_running))

    people.barring.append(bar)
    return heard


async def told(store: Store, name: str) -> list[str]:
    return [one.text for one in await store.read(lambda db: notices.of(db, name, seen=True))]


async def test_a_suspended_account_is_barred_until_it_is_unsuspended(
    people: People, root: Actor, ada: Actor
) -> None:
    heard = recorded(people)
    now = datetime.now(UTC)
    user = await people.suspend("ada", cancel_running=True, by=root)
    assert user.standing(now) == "suspended"
    assert heard.get_nowait() == ("ada", "the account ada is suspended", True)
    with pytest.raises(LabboxError, match="cannot answer you: the account ada is suspended"):
        (await account(people, "ada")).refuse_barred("answer you", now)
    again = await people.suspend("ada", cancel_running=False, by=root)  # ends once more what is open
    assert again.suspended_at == user.suspended_at
    assert heard.get_nowait()[2] is False
    assert (await people.unsuspend("ada", root)).standing(now) == "active"
    (await account(people, "ada")).refuse_barred("answer you", now)
    with pytest.raises(LabboxError, match="is not suspended"):
        await people.unsuspend("ada", root)
    entries = (await people.audit_page()).entries[:3]
    assert [(one.who, one.action, one.target, one.detail) for one in entries] == [
        ("root", "user unsuspend", "ada", ""),
        ("root", "user suspend", "ada", "running jobs go on"),
        ("root", "user suspend", "ada", "running jobs are cancelled"),
    ]


async def test_who_is_barred_stays_so_through_a_restart(
    people: People, store: Store, root: Actor, ada: Actor
) -> None:
    await people.suspend("ada", cancel_running=False, by=root)
    again = People(store, people._configuration, people._state)
    await again.start()
    await again.close()
    assert (await account(again, "ada")).barred(datetime.now(UTC))


async def test_nobody_shuts_out_themselves_or_the_last_who_administers(people: People, root: Actor) -> None:
    for name in ("eve", "mallory"):
        await people.add(UserAdd(name=name, admin=True), root)
    eve = Actor(name="eve", origin="ssh 192.0.2.7", admin=True)
    with pytest.raises(LabboxError, match="cannot suspend yourself"):
        await people.suspend("eve", cancel_running=False, by=eve)
    await people.edit("mallory", UserEdit(expires_at=soon(3600)), root)
    for change in (
        people.suspend("eve", cancel_running=False, by=root),
        people.edit("eve", UserEdit(expires_at=soon(3600)), root),
        people.set_admin("eve", False, root),
        people.remove("eve", delete_files=False, by=root),
    ):
        with pytest.raises(LabboxError, match="nobody else administers the box"):
            await change
    await people.edit("mallory", UserEdit(forever=True), root)
    await people.suspend("eve", cancel_running=False, by=root)


async def test_an_account_ends_by_the_clock_with_a_notice_beforehand(
    people: People, store: Store, root: Actor
) -> None:
    heard = recorded(people)
    await people.add(UserAdd(name="root2", admin=True), root)
    async with running(people):
        made = await people.add(UserAdd(name="bob", full_name=" Bob  Kahn ", expires_at=soon(1.5)), root)
        assert made.full_name == "Bob Kahn"
        async with asyncio.timeout(20):
            assert await heard.get() == ("bob", "the account bob has expired", False)
    now = datetime.now(UTC)
    assert (await people.show("bob")).standing(now) == "expired"
    assert (await account(people, "bob")).barred(now)
    assert [text.split(" on ")[0] for text in await told(store, "bob")] == ["your account"]
    assert [text.split(":")[0][:19] for text in await told(store, "root2")] == [
        "the account bob has", "the account bob end",
    ]  # fmt: skip
    actions = [one.action for one in (await people.audit_page()).entries]
    assert actions.count("user expired") == 1
    async with running(people):
        await people.edit("bob", UserEdit(expires_at=soon(1)), root)  # a new end is told of and seen to anew
        async with asyncio.timeout(20):
            await heard.get()
    await people.edit("bob", UserEdit(forever=True), root)
    assert not (await account(people, "bob")).barred(now)


async def test_a_notice_comes_when_the_time_has_come(people: People, store: Store, root: Actor) -> None:
    await people.add(UserAdd(name="bob"), root)
    async with running(people):
        await people.edit("bob", UserEdit(expires_at=soon(BEFOREHAND.total_seconds() + 1.5)), root)
        assert await told(store, "bob") == []
        async with asyncio.timeout(20):
            while not await told(store, "bob"):
                await asyncio.sleep(0.05)
    assert "administrator can give it longer" in (await told(store, "bob"))[0]


@pytest.mark.parametrize(
    "wrong",
    [
        UserEdit(expires_at=datetime(2020, 1, 1, tzinfo=UTC)),
        UserEdit(expires_at=datetime(9999, 1, 1, tzinfo=UTC)),
        UserEdit(expires_at=datetime(2090, 1, 1)),  # noqa: DTZ001 - that is what is refused
        UserEdit(full_name="x" * 101),
        UserEdit(full_name="bob:x:0:0"),
    ],
)
async def test_what_is_no_end_or_no_name_is_refused(
    people: People, root: Actor, ada: Actor, wrong: UserEdit
) -> None:
    with pytest.raises(LabboxError):
        await people.edit("ada", wrong, root)


async def test_control_characters_in_a_full_name_are_made_visible(
    people: People, root: Actor, ada: Actor
) -> None:
    shown = await people.edit("ada", UserEdit(full_name="Ada\x1b[2J\u202eLove\nlace"), root)
    assert not set("\x1b\u202e\n") & set(shown.full_name)


async def test_a_withdrawn_invitation_opens_nothing(people: People, root: Actor) -> None:
    sent_away: list[str] = []
    people.uninvited = sent_away.append
    made = await people.invite(InviteBody(name="grace", full_name="Grace Hopper"), root)
    listed = {user.name: user for user in (await people.list()).users}
    assert isinstance(listed["grace"], User)
    assert listed["grace"].invited_until == made.expires_at
    assert listed["grace"].standing(datetime.now(UTC)) == "invited"
    assert listed["grace"].full_name == "Grace Hopper"
    assert (await people.withdraw_invitation("grace", root)).invited_until is None
    assert sent_away == ["grace", "grace"]  # once when a new code came, too
    assert await people.authenticate_password("grace", made.code, "ssh 192.0.2.7") is None
    with pytest.raises(LabboxError, match="none waits for its use"):
        await people.withdraw_invitation("grace", root)
    assert (await people.audit_page()).entries[0].action == "user invite withdraw"


async def test_a_suspended_person_is_not_invited(people: People, root: Actor, ada: Actor) -> None:
    await people.suspend("ada", cancel_running=False, by=BOX)
    with pytest.raises(LabboxError, match="cannot invite ada: the account ada is suspended"):
        await people.invite(InviteBody(name="ada"), root)
