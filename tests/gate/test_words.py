"""What the words after `ssh BOX` become."""

from __future__ import annotations

import shlex

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox import cli, familiar
from labbox.cli.root import root
from labbox.daemon.gate.words import (
    ADD_KEYS,
    Copy,
    Git,
    Nothing,
    Refused,
    Screens,
    Secluded,
    Sftp,
    Verb,
    split,
    wish_of,
)

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
        (
            "/usr/bin/rsync --server --sender -logDtpre.iLsfxCIvu . x",
            Copy("rsync", ("--server", "--sender", "-logDtpre.iLsfxCIvu", ".", "x"), writes=False),
        ),
        ("rsync --server -slogDtpre.iLsfxCIvu", Secluded(("--server", "-logDtpre.iLsfxCIvu"))),
        (
            "/usr/bin/rsync --server --sender -vlogDtprse.iLsfxCIvu",
            Secluded(("--server", "--sender", "-vlogDtpre.iLsfxCIvu")),
        ),
        ("exit", Nothing()),
        ("true", Nothing()),
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
        "rsync --server -vlogDtprse.iLsfxCIvu . y",
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
    assert isinstance(wish, Verb | Refused | Copy | Git | Sftp | Secluded | Nothing)


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


_OPENSSH_9 = (
    'exec sh -c \'cd; umask 077; mkdir -p ".ssh" && { [ -z `tail -1c .ssh/authorized_keys 2>/dev/null` ] || '
    'echo >> ".ssh/authorized_keys" || exit 1; } && cat >> ".ssh/authorized_keys" || exit 1; '
    'if type restorecon >/dev/null 2>&1; then restorecon -F ".ssh" ".ssh/authorized_keys"; fi\''
)
_OPENSSH_10 = (
    'exec sh -c \' cd; umask 077; AUTH_KEY_FILE=".ssh/authorized_keys"; [ -f /etc/openwrt_release ] && '
    '[ "$LOGNAME" = "root" ] && AUTH_KEY_FILE=/etc/dropbear/authorized_keys; '
    'AUTH_KEY_DIR=`dirname "${AUTH_KEY_FILE}"`; mkdir -p "${AUTH_KEY_DIR}" && '
    '{ [ -z "`tail -1c "${AUTH_KEY_FILE}" 2>/dev/null`" ] || echo >> "${AUTH_KEY_FILE}" || exit 1; } && '
    'cat >> "${AUTH_KEY_FILE}" || exit 1; if type restorecon >/dev/null 2>&1; then restorecon -F '
    '"${AUTH_KEY_DIR}" "${AUTH_KEY_FILE}"; fi \''
)
_OPENSSH_6 = (
    "umask 077 ; mkdir -p .ssh && cat >> .ssh/authorized_keys || exit 1 ; if type restorecon >/dev/null"
)


@pytest.mark.parametrize(
    "command",
    [
        _OPENSSH_6,
        _OPENSSH_9,
        _OPENSSH_10,
        "cat >> ~/.ssh/authorized_keys",
        "cat >> .ssh/authorized_keys",
        "cat>>~/.ssh/authorized_keys",
        'cat >> "$HOME/.ssh/authorized_keys"',
        "cat >> ${HOME}/.ssh/authorized_keys",
        "cat >> /home/ada/.ssh/authorized_keys2",
        "cat > .ssh/authorized_keys",
        "mkdir -p ~/.ssh && cat >> ~/.ssh/authorized_keys",
        "mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && chmod -R go= ~/.ssh && "
        "cat >> ~/.ssh/authorized_keys",
        "umask 077; test -d .ssh || mkdir .ssh ; cat >> .ssh/authorized_keys || exit 1",
        "tee -a ~/.ssh/authorized_keys",
        "tee -a .ssh/authorized_keys > /dev/null",
        "sh -c 'cat >> ~/.ssh/authorized_keys'",
    ],
)
def test_whatever_appends_keys_adds_them(command: str) -> None:
    assert wish_of(command, None, pty=False) == ADD_KEYS


@pytest.mark.parametrize(
    "command", ["cat ~/.ssh/authorized_keys", "file ls .ssh/authorized_keys", "rm .ssh/authorized_keys"]
)
def test_other_words_about_keys_add_none(command: str) -> None:
    assert wish_of(command, None, pty=False) != ADD_KEYS


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("head x", "file head"),
        ("tail -f x", "file tail"),
        ("cat x", "file cat"),
        ("less x", "file cat FILE | less"),
        ("du -sh x", "file du"),
        ("chmod 644 x", "file chmod"),
        ("ln -s x y", "file ln -s"),
        ("stat x", "file ls -l"),
        ("wc -l x", "file cat FILE | PROGRAM"),
        ("which python3", "templates"),
        ("sudo ls", "nobody becomes root here"),
        ("/usr/bin/sudo -i", "nobody becomes root here"),
    ],
)
def test_familiar_words_lead_to_the_verb_of_that_name(
    line: str, hint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    wish = wish_of(line, None, pty=False)
    if isinstance(wish, Refused):
        said = wish.sentence
    else:
        assert isinstance(wish, Verb)
        assert cli.run(list(wish.words)) == 2
        said = capfd.readouterr().err
    assert hint in said


@pytest.mark.parametrize(
    "word", ["ls", "cat", "rm", "tar", "mosh-server", "/bin/ls", "tail", "sbatch", "vim", "R", "echo", "7z"]
)
def test_familiar_words_get_the_word_that_does_it(word: str, capfd: pytest.CaptureFixture[str]) -> None:
    wish = wish_of(f"{word} -la x", None, pty=False)
    if isinstance(wish, Refused):
        said = wish.sentence
    else:
        assert isinstance(wish, Verb)
        assert cli.run(list(wish.words)) == 2
        said = capfd.readouterr().err
    assert f"cannot run “{word}”: this box has no shell; " in said
    assert "ssh …" in said or "log in" in said or "scp" in said


def test_no_verb_of_ours_is_taken_for_a_program() -> None:
    assert isinstance(root, click.Group)
    for verb in root.list_commands(click.Context(root)):
        assert familiar.instead(verb) is None
        assert wish_of(verb, None, pty=False) == Verb((verb,))


def test_the_words_of_rsync_that_come_over_the_connection_pass_the_same_list() -> None:
    wish = wish_of("rsync --server -slogDtpre.iLsfxCIvu", None, pty=False)
    assert isinstance(wish, Secluded)
    assert wish.complete(b"rsync\0--delete\0.\0my dir/") == Copy(
        "rsync", ("--server", "-logDtpre.iLsfxCIvu", "--delete", ".", "my dir/"), writes=True
    )
    for hostile in (b"--daemon", b"--config=x", b"--rsh=id", b"-s", b"-M--daemon", b"--log-file=x"):
        assert isinstance(wish.complete(b"rsync\0" + hostile + b"\0.\0x"), Refused)
    assert isinstance(wish.complete(b""), Refused)


@given(st.text(alphabet="ab \t\n'\"\\$`~é", max_size=40))
def test_words_are_split_as_a_shell_splits_them(command: str) -> None:
    try:
        wanted: list[str] | None = shlex.split(command)
    except ValueError:
        wanted = None
    assert split(command) == wanted or "$" in command or "`" in command or "\\\n" in command
