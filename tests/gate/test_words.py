"""What the words after `ssh BOX` become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.daemon.gate.words import Copy, Git, Refused, Screens, Sftp, Verb, wish_of

_RSYNC = "rsync --server -vlogDtpre.iLsfxCIvu --delete --partial-dir .part . study/"


@pytest.mark.parametrize(
    ("command", "wish"),
    [
        ("job list --json", Verb(("job", "list", "--json"))),
        ("labbox job list", Verb(("job", "list"))),
        ("labbox", Verb(("--help",))),
        ("job submit 'my study' --env 'A=b c'", Verb(("job", "submit", "my study", "--env", "A=b c"))),
        ("api", Verb(("api",))),
        ("/usr/lib/openssh/sftp-server", Sftp()),
        ("scp -r -t ~/study", Copy("scp", ("-r", "-t", "--", "study"), writes=True)),
        ("scp -f -- -odd", Copy("scp", ("-f", "--", "-odd"), writes=False)),
        ("scp -pf 'a b' c", Copy("scp", ("-pf", "--", "a b", "c"), writes=False)),
        (
            _RSYNC,
            Copy(
                "rsync",
                ("--server", "-vlogDtpre.iLsfxCIvu", "--delete", "--partial-dir", ".part", ".", "study/"),
                writes=True,
            ),
        ),
        (
            "rsync --server --sender -logDtpre.iLsfxCIvu . ~/a b",
            Copy("rsync", ("--server", "--sender", "-logDtpre.iLsfxCIvu", ".", "a", "b"), writes=False),
        ),
        ("git-receive-pack '/study'", Git("receive-pack", "study")),
        ("git-upload-pack 'study.git'", Git("upload-pack", "study")),
        ("git upload-pack '~/study.git/'", Git("upload-pack", "study")),
    ],
)
def test_words_of_stock_clients(command: str, wish: object) -> None:
    assert wish_of(command, None, pty=False) == wish


@pytest.mark.parametrize(
    "command",
    [
        "bash",
        "/bin/sh -c id",
        "sudo -s",
        "/usr/bin/id",
        "../x",
        "$(id)",
        ";id",
        "",
        "'unbalanced",
        "a\x00b",
        "scp",
        "scp x y",
        "scp -t",
        "scp -S /tmp/evil -t x",
        "scp -oProxyCommand=id -t x",
        "scp -t -f x",
        "rsync",
        "rsync -a a b",
        "rsync --daemon",
        "rsync --server --daemon .",
        "rsync --server --config=x . y",
        "rsync --server -s . y",
        "rsync --server --log-file=x . y",
        "rsync --server -e.LsfxC --rsh=id . y",
        "rsync --server -re id . y",
        "rsync --server -logDtpr",
        "rsync --server . ",
        "rsync --server -M--daemon . x",
        "rsync --server --remote-option=--daemon . x",
        "rsync --server --protect-args . x",
        "git-receive-pack",
        "git-receive-pack ../grace/study",
        "git-receive-pack 'a/b'",
        "git-receive-pack '-x'",
        "git-receive-pack '.x'",
        "git-upload-pack --strict x",
        "git-receive-pack 'a..b'",
        "git-receive-pack ''",
        "git-upload-archive x",
    ],
)
def test_what_is_refused(command: str) -> None:
    wish = wish_of(command, None, pty=False)
    assert isinstance(wish, Refused)
    assert wish.sentence.startswith("cannot ")


def test_no_command() -> None:
    assert wish_of(None, None, pty=True) == Screens()
    assert isinstance(wish_of(None, None, pty=False), Refused)
    assert wish_of(None, "sftp", pty=False) == Sftp()
    assert isinstance(wish_of(None, "netconf", pty=False), Refused)


@given(st.text(max_size=60))
def test_never_raises_and_never_gives_a_program_that_is_not_ours(command: str) -> None:
    wish = wish_of(command, None, pty=False)
    if isinstance(wish, Copy):
        assert wish.program in ("scp", "rsync")
    assert isinstance(wish, Verb | Refused | Copy | Git | Sftp)


@given(
    st.lists(
        st.sampled_from(["--server", "--sender", "--daemon", "--config", "-e.x", "-s", ".", "x", "--rsh=x"])
    )
)
def test_rsync_daemon_never_passes(words: list[str]) -> None:
    wish = wish_of("rsync " + " ".join(words), None, pty=False)
    if isinstance(wish, Copy):
        options = wish.words[: wish.words.index(".")]
        assert wish.words[0] == "--server"
        assert not {"--daemon", "--config", "-s", "--rsh=x"} & set(options)
