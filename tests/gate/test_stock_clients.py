"""What stock clients do without being asked: copying keys, secluded words, a look whether one comes in."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked import Attacked, attacked

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def box() -> Iterator[Attacked]:
    with attacked() as running:
        yield running


@pytest.fixture
def new_key() -> Iterator[Path]:
    """Below a home whose path is short: ssh-copy-id makes a socket in it."""
    with tempfile.TemporaryDirectory(prefix="h-", dir="/tmp") as home:
        path = Path(home) / ".ssh" / "id_new"
        path.parent.mkdir(mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        yield path


def comes_in(box: Attacked, key: Path, user: str = "ada") -> bool:
    argv = [word.replace(str(box.key), str(key)) for word in box.ssh("true", user=user)]
    return subprocess.run(argv, capture_output=True, timeout=60).returncode == 0


def copy_id(
    box: Attacked, key: Path, *words: str, user: str = "ada", env: dict[str, str] | None = None
) -> str:
    """Stock `ssh-copy-id`, that logs in with the key that is there already, or as `env` says."""
    options = [word for word in box.options()[2:] if "IdentitiesOnly" not in word and "BatchMode" not in word]
    done = subprocess.run(
        ["ssh-copy-id", "-f", *words, "-i", f"{key}.pub", *options, "-p", str(box.port), f"{user}@127.0.0.1"],
        env={**os.environ, "HOME": str(key.parent.parent), **(env or {})},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("words", [(), ("-s",)])
def test_ssh_copy_id_adds_the_key(box: Attacked, new_key: Path, words: tuple[str, ...]) -> None:
    assert not comes_in(box, new_key)
    assert "Number of key(s) added: 1" in copy_id(box, new_key, *words)
    assert comes_in(box, new_key)
    copy_id(box, new_key, *words)  # once more is no error


def test_a_key_that_is_piped_to_authorized_keys_is_added(box: Attacked, new_key: Path) -> None:
    line = new_key.with_suffix(".pub").read_bytes()
    for data in (line.replace(b"\n", b"\r\n"), line):
        done = subprocess.run(
            box.ssh("mkdir -p ~/.ssh && cat >> ~/.ssh/authorized_keys"), input=data, capture_output=True
        )
        assert done.returncode == 0, done.stderr
    assert comes_in(box, new_key)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_a_key_as_powershell_writes_it_is_added(box: Attacked, new_key: Path, encoding: str) -> None:
    data = new_key.with_suffix(".pub").read_text().replace("\n", "\r\n").encode(encoding)
    done = subprocess.run(box.ssh("cat >> ~/.ssh/authorized_keys"), input=data, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert comes_in(box, new_key)


def test_an_invited_person_copies_a_key_with_the_code(box: Attacked, new_key: Path, tmp_path: Path) -> None:
    with box.client() as client:
        code = client.invite_user("eve").code
    helper = tmp_path / "askpass"
    helper.write_text(f"#!/bin/sh\necho {code}\n")
    helper.chmod(0o755)
    options = [word for word in box.options()[2:] if "BatchMode" not in word and "Identit" not in word]
    done = subprocess.run(
        ["ssh", "-F", "none", *options, "-oPubkeyAuthentication=no", "-p", str(box.port), "eve@127.0.0.1",
         "cat >> .ssh/authorized_keys"],
        env={**os.environ, "SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ""},
        input=new_key.with_suffix(".pub").read_bytes(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert comes_in(box, new_key, user="eve")


@pytest.mark.parametrize("form", [("-s",), ("--rsync-path=/usr/bin/rsync",), ("-s", "--delete", "-z")])
def test_rsync_in_every_form(box: Attacked, tmp_path: Path, form: tuple[str, ...]) -> None:
    source, back = tmp_path / "a study", tmp_path / "back"
    source.mkdir()
    (source / "a file").write_text("held")
    shell = " ".join(["ssh", *box.options(), "-p", str(box.port)])
    there = "ada@127.0.0.1:" + ("a study" if "-s" in form else "study")
    for one, other in ((f"{source}/", f"{there}/"), (f"{there}/", f"{back}/")):
        done = subprocess.run(
            ["rsync", "-a", *form, "-e", shell, one, other], capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert (back / "a file").read_text() == "held"


@pytest.mark.parametrize("mac", ["hmac-sha2-256", "hmac-sha2-512"])
def test_clients_that_know_older_macs_come_in(box: Attacked, mac: str) -> None:
    """What libssh2 up to 1.10 (curl) and dropbear's client offer, and no more."""
    words = ["-oCiphers=aes256-ctr", f"-oMACs={mac}", "-oKexAlgorithms=curve25519-sha256"]
    argv = box.ssh("whoami")
    done = subprocess.run([argv[0], *words, *argv[1:]], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"ada" in done.stdout


def test_curl_gets_and_puts_files_by_sftp(box: Attacked, tmp_path: Path) -> None:
    (tmp_path / "measured").write_text("held")
    place = f"sftp://ada@127.0.0.1:{box.port}/~/by-curl"
    words = ["curl", "-sS", "--insecure", "--key", str(box.key), "--pubkey", f"{box.key}.pub"]
    for more in (("-T", str(tmp_path / "measured"), place), ("-o", str(tmp_path / "back"), place)):
        done = subprocess.run(
            [*words, *more],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_text() == "held"


def test_familiar_words_over_ssh(box: Attacked) -> None:
    for word, instead in (
        ("ls", "file ls"),
        ("tar cf - x", "file pack"),
        ("rm x", "file rm"),
        ("cat x", "file cat"),
    ):
        done = subprocess.run(box.ssh(word), capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert "this box has no shell" in done.stderr
        assert instead in done.stderr


def test_the_client_of_dropbear_comes_in(box: Attacked, tmp_path: Path) -> None:
    """It reads keys of its own form alone, which its `dropbearkey` makes."""
    key = tmp_path / "id_dropbear"
    made = subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", str(key)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    line = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519 "))
    added = subprocess.run(
        box.ssh("cat >> ~/.ssh/authorized_keys"), input=f"{line}\n".encode(), capture_output=True, timeout=60
    )
    assert added.returncode == 0, added.stderr
    done = subprocess.run(
        ["dbclient", "-y", "-y", "-i", str(key), "-p", str(box.port), "ada@127.0.0.1", "whoami"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)}, input="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ada" in done.stdout, done.stderr
