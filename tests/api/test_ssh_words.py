"""Why ssh failed, as one sentence: its own client against what there is not, its words as a table."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

import labbox.client
from labbox.client.ssh import why
from labbox.errors import LabboxError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def asked(address: str, capfd: pytest.CaptureFixture[str]) -> LabboxError:
    with labbox.client.connect(address) as box, pytest.raises(LabboxError) as caught:
        box.status()
    assert caught.value.code == "unavailable"
    assert caught.value.message.startswith(f"cannot reach the box at {address}: ")
    assert "\n" not in caught.value.message
    assert caught.value.hint
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")  # it is said once, by whoever tells of the error
    return caught.value


def test_a_port_where_nothing_listens(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert "nothing listens on that port" in asked(f"ssh://ada@127.0.0.1:{port}", capfd).message


def test_a_name_that_nobody_has(capfd: pytest.CaptureFixture[str]) -> None:
    error = asked("ssh://ada@no-such-box.invalid:2222", capfd)
    assert "there is no machine of the name no-such-box.invalid" in error.message


def test_a_port_that_speaks_no_ssh(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        error = asked(f"ssh://ada@127.0.0.1:{server.getsockname()[1]}", capfd)
        thread.join()
    assert "closed the connection before the login" in error.message


CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
The fingerprint for the ED25519 key sent by the remote host is
SHA256:abcDEF123.
Please contact your system administrator.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (
            CHANGED,
            "its host key is another",
            "new key (SHA256:abcDEF123) is the box's; if so: ssh-keygen -R '[pc]:22",
        ),
        ("Host key verification failed.\r\n", "nobody has confirmed", "`ssh -p 2222 ada@pc` shows"),
        (
            "ada@pc: Permission denied (publickey,password).",
            "none of your keys",
            "`ssh-copy-id -p 2222 ada@pc`",
        ),
        (
            "Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures",
            "none of your keys",
            "",
        ),
        ("ssh: connect to host pc port 2222: Connection timed out", "(Connection timed out)", "firewall"),
        ("ssh: connect to host pc port 2222: No route to host", "(No route to host)", "firewall"),
        ("bash: line 1: api: command not found", "but not a box's", "SSH port"),
        (
            "Unable to negotiate with 1.2.3.4 port 22: no matching host key type found. Their offer: ssh-dss",
            "no matching host key type",
            "renew",
        ),
        ("/home/a/.ssh/config: line 3: Bad configuration option: fast", "its own configuration", "the line"),
        ("something quite new\x1b[31m", "ssh says 'something quite new", "`ssh -p 2222 ada@pc` shows more"),
        ("Warning: Permanently added 'pc' to the list\nodd", "ssh says 'odd'", "shows more"),
    ],
)
def test_what_ssh_says_becomes_a_sentence(said: str, reason: str, hint: str) -> None:
    error = why(said, "ada@pc", 2222)
    assert error is not None
    assert error.message.startswith("cannot reach the box at ssh://ada@pc:2222: ")
    assert reason in error.message
    assert hint in error.hint
    assert "\x1b" not in error.message


def test_silence_says_nothing() -> None:
    assert why("", "pc", None) is None
    assert (
        why("Warning: Permanently added 'pc' (ED25519) to the list of known hosts.\r\n", "pc", None) is None
    )
