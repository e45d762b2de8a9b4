from __future__ import annotations

import base64
import statistics
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.daemon.people import Actor, People
from labbox.daemon.people.keys import parse_key
from labbox.daemon.people.secrets import hash_code, hash_token, new_code, new_token
from labbox.daemon.store import Store
from labbox.daemon.store import times as store_times
from labbox.errors import LabboxError
from labbox.model import Scope
from labbox.protocol import InviteBody, PasswordBody, TokenBody, UserAdd

pytestmark = pytest.mark.root

ORIGIN = "ssh 192.0.2.7"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBL1vJJEyKHmWvXXn6pPHFfNjBQxu1lBGHbTVXkTqfMZ"


def generate(keygen: str, folder: Path, *options: str) -> str:
    file = folder / "key"
    subprocess.run([keygen, "-q", "-N", "", "-C", "ada@laptop", "-f", file, *options], check=True, timeout=60)
    return file.with_suffix(".pub").read_text()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> object:
    """Moves the clock that logins go by: call it with seconds."""
    real = store_times.now

    def move(seconds: float) -> None:
        for module in ("users", "tokens"):
            monkeypatch.setattr(
                f"labbox.daemon.store.{module}.now", lambda: real() + timedelta(seconds=seconds)
            )

    return move


async def test_a_password_opens_and_another_does_not(people: People, ada: Actor) -> None:
    login = await people.authenticate_password("ada", "correct horse", ORIGIN)
    assert login is not None
    assert (login.account.name, login.scope, login.invited) == ("ada", None, False)
    for name, wrong in (
        ("ada", "correct horsf"),
        ("ada", ""),
        ("eve", "correct horse"),
        ("ada", "x" * 100_000),
    ):
        assert await people.authenticate_password(name, wrong, ORIGIN) is None


async def test_passwords_are_kept_salted_and_slow(
    people: People, root: Actor, ada: Actor, store: Store
) -> None:
    await people.add(UserAdd(name="grace", password="correct horse"), root)
    kept = await store.read(lambda db: [row[0] for row in db.execute("SELECT password FROM users")])
    assert all(phc.startswith("$argon2id$v=19$m=65536,t=3,p=1$") for phc in kept)
    assert kept[0] != kept[1]


async def test_a_wrong_password_takes_as_long_for_a_name_that_nobody_has(
    people: People, root: Actor, ada: Actor
) -> None:
    await people.invite(InviteBody(name="bare"), root)
    took: dict[str, list[float]] = {"ada": [], "bare": [], "nobody-here": []}
    for _ in range(7):
        for name, times in took.items():
            start = time.process_time()
            assert await people.authenticate_password(name, "wrong password", ORIGIN) is None
            times.append(time.process_time() - start)
    medians = [statistics.median(times) for times in took.values()]
    assert max(medians) < 1.5 * min(medians), took


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "fewer than 8 characters"),
        ("x" * 1025, "more than 1024 bytes"),
        ("correct\nhorse", "control characters"),
        ("aaaaaaaaaa", "too easily guessed"),
        ("lbx_correct horse", "how tokens begin"),
    ],
)
async def test_what_is_no_password_is_said(people: People, ada: Actor, password: str, said: str) -> None:
    with pytest.raises(LabboxError, match=said) as caught:
        await people.set_password("ada", PasswordBody(new=password, old="correct horse"), ada)
    assert password not in caught.value.message


async def test_people_change_their_password_with_the_old_one_and_admins_without(
    people: People, root: Actor, ada: Actor
) -> None:
    for old, said in ((None, "without the old one"), ("wrong", "the old one is wrong")):
        with pytest.raises(LabboxError, match=said) as caught:
            await people.set_password("ada", PasswordBody(new="battery staple", old=old), ada)
        assert caught.value.code == "forbidden"
    await people.set_password("ada", PasswordBody(new="battery staple", old="correct horse"), ada)
    assert await people.authenticate_password("ada", "correct horse", ORIGIN) is None
    assert await people.authenticate_password("ada", "battery staple", ORIGIN) is not None
    await people.set_password("ada", PasswordBody(new="third password"), root)
    assert await people.authenticate_password("ada", "third password", ORIGIN) is not None


async def test_the_same_letters_typed_on_a_mac_are_the_same_password(people: People, root: Actor) -> None:
    await people.add(UserAdd(name="ada", password="übermüde Bären"), root)
    assert await people.authenticate_password("ada", "u\u0308bermu\u0308de Ba\u0308ren", ORIGIN) is not None


async def test_a_code_lets_in_until_a_password_is_set_and_then_never_again(
    people: People, root: Actor
) -> None:
    invite = await people.invite(InviteBody(name="ada"), root)
    assert await people.authenticate_password("ada", "wrong", ORIGIN) is None
    for typed in (invite.code, invite.code.upper().replace("-", "")):  # a lost connection costs nothing
        login = await people.authenticate_password("ada", typed, ORIGIN)
        assert login is not None
        assert login.invited
    ada = Actor(name="ada", origin=ORIGIN)
    await people.set_password("ada", PasswordBody(new="correct horse"), ada)
    assert await people.authenticate_password("ada", invite.code, ORIGIN) is None
    login = await people.authenticate_password("ada", "correct horse", ORIGIN)
    assert login is not None
    assert not login.invited


async def test_a_code_is_consumed_by_ones_own_key_and_not_by_an_administrators_help(
    people: People, root: Actor
) -> None:
    invite = await people.invite(InviteBody(name="ada"), root)
    key = await people.add_key("ada", KEY, root)
    assert await people.authenticate_password("ada", invite.code, ORIGIN) is not None
    await people.remove_key("ada", key.fingerprint, root)
    await people.add_key("ada", KEY, Actor(name="ada", origin=ORIGIN))
    assert await people.authenticate_password("ada", invite.code, ORIGIN) is None


async def test_who_forgot_the_password_is_invited_again_and_needs_no_old_one(
    people: People, root: Actor, ada: Actor
) -> None:
    invite = await people.invite(InviteBody(name="ada"), root)
    with pytest.raises(LabboxError, match="without the old one"):  # the code was not given yet
        await people.set_password("ada", PasswordBody(new="battery staple"), ada)
    assert await people.authenticate_password("ada", invite.code, ORIGIN) is not None
    await people.set_password("ada", PasswordBody(new="battery staple"), ada)
    with pytest.raises(LabboxError, match="without the old one"):  # once
        await people.set_password("ada", PasswordBody(new="another one"), ada)


async def test_a_new_code_ends_the_one_before_and_codes_expire(
    people: People, root: Actor, later: object
) -> None:
    assert callable(later)
    first = await people.invite(InviteBody(name="ada"), root)
    second = await people.invite(InviteBody(name="ada", valid=3600), root)
    assert await people.authenticate_password("ada", first.code, ORIGIN) is None
    later(1800)  # the hash of the code takes its time, on a busy machine some seconds
    assert await people.authenticate_password("ada", second.code, ORIGIN) is not None
    later(3601)
    assert await people.authenticate_password("ada", second.code, ORIGIN) is None
    for valid in (0.0, -1.0, float("inf"), float("nan"), 1e308):
        with pytest.raises(LabboxError, match="cannot make an invitation that is good for"):
            await people.invite(InviteBody(name="ada", valid=valid), root)


async def test_a_token_opens_with_its_scope_until_it_expires_or_is_revoked(
    people: People, root: Actor, ada: Actor, later: object
) -> None:
    assert callable(later)
    await people.add(UserAdd(name="grace"), root)
    made = await people.add_token("ada", TokenBody(label="nightly", scope=Scope.SUBMIT, valid=3600), ada)
    other = await people.add_token("ada", TokenBody(label="plots", scope=Scope.READ, valid=3600), ada)
    assert made.secret.startswith("lbx_")
    login = await people.authenticate_password("ada", made.secret, ORIGIN)
    assert login is not None
    assert (login.scope, login.invited) == (Scope.SUBMIT, False)
    assert await people.authenticate_password("grace", made.secret, ORIGIN) is None
    assert await people.authenticate_password("ada", made.secret[:-1], ORIGIN) is None
    shown = (await people.list_tokens("ada")).tokens
    assert [token.last_used is not None for token in shown] == [True, False]
    await people.revoke_token("ada", made.token.id, ada)
    assert await people.authenticate_password("ada", made.secret, ORIGIN) is None
    with pytest.raises(LabboxError, match=f"cannot find a token {other.token.id} of grace"):
        await people.revoke_token("grace", other.token.id, root)
    later(3601)
    assert await people.authenticate_password("ada", other.secret, ORIGIN) is None


async def test_no_secret_is_in_the_file_or_the_trail(
    people: People, root: Actor, ada: Actor, store: Store, state: Path
) -> None:
    token = await people.add_token("ada", TokenBody(label="nightly", scope=Scope.READ), ada)
    invite = await people.invite(InviteBody(name="grace"), root)
    await people.authenticate_password("grace", invite.code, ORIGIN)
    await people.authenticate_password("ada", token.secret, ORIGIN)
    data = b"".join(path.read_bytes() for path in state.glob("labbox.db*"))
    assert b"nightly" in data
    for secret in (token.secret, invite.code, invite.code.replace("-", ""), "correct horse"):
        assert secret.encode() not in data
    assert "$argon2" not in repr((await people.show("ada"), await people.account("ada")))


@given(st.sampled_from([new_code(), new_code()]), st.randoms())
def test_a_code_is_the_same_however_it_is_typed(code: str, chance: object) -> None:
    assert hash_code(f" {code.replace('-', ' ').upper()} ") == hash_code(code)
    assert hash_code(code) != hash_code(new_code())
    assert hash_token(new_token()) != hash_token(new_token())


@pytest.mark.parametrize(
    "options",
    [("-t", "ed25519"), ("-t", "ecdsa", "-b", "521"), ("-t", "rsa", "-b", "2048")],
    ids=lambda options: options[1],
)
async def test_a_key_of_ssh_keygen_is_taken_and_allowed(
    people: People, ada: Actor, keygen: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    line = generate(keygen, tmp_path, *options)
    key = await people.add_key("ada", line, ada)
    judged = subprocess.run(
        [keygen, "-l", "-f", tmp_path / "key.pub"], capture_output=True, text=True, check=True, timeout=10
    )
    assert judged.stdout.split()[1] == key.fingerprint
    assert key.comment == "ada@laptop"
    assert await people.key_allowed("ada", " ".join(line.split()[:2]))
    assert not await people.key_allowed("eve", line)
    assert not await people.key_allowed("ada", KEY)
    assert (await people.show("ada")).keys == 1
    await people.logged_in("ada", ORIGIN, "key", line)
    (listed,) = (await people.list_keys("ada")).keys
    assert listed.last_used is not None
    assert (await people.show("ada")).last_login == listed.last_used
    with pytest.raises(LabboxError, match="it is there already"):
        await people.add_key("ada", f"{' '.join(line.split()[:2])} other@comment", ada)
    await people.remove_key("ada", key.fingerprint, ada)
    assert not await people.key_allowed("ada", line)
    with pytest.raises(LabboxError, match="cannot find a key SHA256:"):
        await people.remove_key("ada", key.fingerprint, ada)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "it is empty"),
        ("hello", "does not begin with a kind of key"),
        ("\x1b[31mred AAAA", "“␛\\[31mred”"),
        ("ssh-dss AAAAB3NzaC1kc3M= ada", "DSA keys are not safe any more"),
        ('command="rm" ' + KEY, "does not begin with a kind of key"),
        (KEY[:-8], "damaged or cut off"),
        (KEY.replace("ssh-ed25519", "ssh-rsa", 1), "damaged or cut off"),
        ("ssh-ed25519", "damaged or cut off"),
        (f"{KEY}\n{KEY}", "more than one line"),
        (f"{KEY} {'x' * 20_000}", "too long"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb", "private key, which should never leave"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "another format"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
    ],
)
def test_what_is_no_key_is_said(line: str, said: str) -> None:
    with pytest.raises(LabboxError, match=said) as caught:
        parse_key(line)
    assert caught.value.code == "invalid"
    assert "\x1b" not in caught.value.message
    assert caught.value.hint


def test_a_key_that_lives_in_a_security_token_is_taken() -> None:
    def string(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data  # RFC 4251, section 5

    kind = "sk-ssh-ed25519@openssh.com"
    blob = base64.b64encode(string(kind.encode()) + string(b"k" * 32) + string(b"ssh:")).decode()
    assert parse_key(f"{kind} {blob} ada").line == f"{kind} {blob}"


def test_a_short_rsa_key_is_refused(keygen: str, tmp_path: Path) -> None:
    with pytest.raises(LabboxError, match="an RSA key of 1024 bits is too short"):
        parse_key(generate(keygen, tmp_path, "-t", "rsa", "-b", "1024"))


def test_a_comment_is_shown_without_its_escapes() -> None:
    assert parse_key(f"{KEY} \x1b]52;c;aGk=\x07ada\u202e").comment == "␛]52;c;aGk=␇ada\\u202e"


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    with pytest.raises(LabboxError, match="cannot take this key"):
        parse_key(text)
