"""`labbox file`, on a whole box and over SSH: every verb does to real files what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filing import ok, put
from person import Person, wait_for
from sshd import Sshd

from labbox.cli.places import complete_locations, location
from labbox.cli.progress import format_bar
from labbox.cli.session import Session
from labbox.model import Conflict, Progress, TransferVerb

if TYPE_CHECKING:
    from done import Done
    from serving import Served

Run = Callable[..., "Done"]


# ── here and now ──────────────────────────────────────────────────────────────────────────────────────────


def test_ls_lists_as_people_count_and_hides_no_control(ada: Person, home: Path) -> None:
    for name in ("run10.csv", "run2.csv", ".hidden", "evil\x1b]0;x\x07\n"):
        put(home, f"data/{name}", "x" * 10)
    put(home, "data/raw/a", "")
    (home / "data" / "link").symlink_to("run2.csv")
    lines = ok(ada.run("file", "ls", "data")).splitlines()
    assert lines == ["raw/", "evil␛]0;x␇␊", "link -> run2.csv", "run2.csv", "run10.csv"]
    long = ok(ada.run("file", "ls", "-l", "-a", "data"))
    assert ".hidden" in long and "10 B" in long and "-rw-" in long and "drwx" in long and "\x1b" not in long
    names = subprocess.run(ada.box.ssh("ada", "file", "ls", "-0", "data"), capture_output=True, check=True)
    assert set(names.stdout.split(b"\0")) == {
        b"raw",
        b"evil\x1b]0;x\x07\n",
        b"link",
        b"run2.csv",
        b"run10.csv",
        b"",
    }
    (folder,) = ada.json("file", "ls", "data")["folders"]
    by_name = {entry["name"]: entry for entry in folder["entries"]}
    assert folder["location"] == "~/data"
    assert by_name["link"]["target"] == "run2.csv" and by_name["raw"]["kind"] == "folder"
    assert by_name["run2.csv"]["location"] == "~/data/run2.csv" and by_name["run2.csv"]["size"] == 10
    done = ada.run("file", "ls", "data", "nowhere", "data/raw")
    assert done.returncode == 1 and "~/data/raw:" in done.stdout and "nowhere" in done.stderr
    assert ok(ada.run("file", "ls", "nowhere"), 1) == ""


def test_names_that_are_not_utf8_go_through_every_form(ada: Person, home: Path) -> None:
    folder = home / "odd"
    folder.mkdir()
    os.chown(folder, home.stat().st_uid, home.stat().st_gid)
    Path(os.fsdecode(os.fsencode(folder) + b"/gr\xfcn")).write_bytes(b"x")
    assert ok(ada.run("file", "ls", "odd")) == "gr\\xfcn\n"
    ((entry,),) = ([one["entries"] for one in ada.json("file", "ls", "odd")["folders"]],)
    assert entry[0]["name"] == r"gr\xfcn"
    ok(ada.run("file", "cp", "'" + entry[0]["location"] + "'", "copied"))
    assert (home / "copied").read_bytes() == b"x"


def test_mkdir_makes_folders_and_those_above(ada: Person, home: Path) -> None:
    ok(ada.run("file", "mkdir", "one", "~/two"))
    assert (home / "one").is_dir() and (home / "two").is_dir()
    done = ada.run("file", "mkdir", "deep/er/still")
    assert done.returncode == 1 and done.stderr.startswith("error: cannot make") and "hint: " in done.stderr
    ok(ada.run("file", "mkdir", "-p", "deep/er/still", "one"))
    assert (home / "deep/er/still").is_dir()
    done = ada.run("file", "mkdir", "one", "three")
    assert done.returncode == 1 and (home / "three").is_dir()


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_cp_copies_into_folders_and_under_new_names(ada: Person, home: Path) -> None:
    put(home, "a/one.txt", "one")
    put(home, "a/sub/two.txt", "two")
    assert ok(ada.run("file", "cp", "a/one.txt", "new.txt")).startswith("copied 1 file, 3 B")
    assert (home / "new.txt").read_text() == "one"
    (home / "there").mkdir()
    os.chown(home / "there", home.stat().st_uid, home.stat().st_gid)
    ok(ada.run("file", "cp", "a", "new.txt", "there", "--verify"))
    assert (home / "there/a/sub/two.txt").read_text() == "two" and (home / "there/new.txt").exists()
    ok(ada.run("file", "cp", "a", "b", "--exclude", "*.txt"))
    assert sorted(path.name for path in (home / "b").rglob("*")) == ["sub"]
    answer = ada.json("file", "cp", "a", "c")
    assert answer["job"]["kind"] == "transfer" and answer["summary"]["files"] == 2
    done = ada.run("file", "cp", "nowhere", "x")
    assert done.returncode == 1 and "nowhere" in done.stderr and done.stdout == ""
    done = ada.run("file", "cp", "alone")
    assert done.returncode == 2 and "what it goes to is missing" in done.stderr


@pytest.mark.parametrize(
    ("policy", "left", "code"),
    [
        ((), {"f": "old"}, 1),
        (("--skip",), {"f": "old"}, 0),
        (("--overwrite",), {"f": "new!"}, 0),
        (("--newer",), {"f": "old"}, 0),
        (("--rename",), {"f": "old", "f (2)": "new!"}, 0),
    ],
)
def test_what_is_in_the_way_is_treated_as_asked(
    ada: Person, home: Path, policy: tuple[str, ...], left: dict[str, str], code: int
) -> None:
    put(home, "from/f", "new!")
    os.utime(home / "from/f", (1, 1))
    put(home, "to/f", "old")
    done = ada.run("file", "cp", "from/f", "to/", *policy)
    ok(done, code)
    assert {path.name: path.read_text() for path in (home / "to").iterdir()} == left
    if code:
        assert "hint: what is in the way stays: say --skip, --overwrite, --newer or --rename" in done.stderr


@pytest.mark.root
def test_a_copy_to_another_machine_is_taken_back(ada: Person, home: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    put(home, "data.txt", "results")
    with Sshd(tmp_path / "sshd") as sshd:
        name = f"sftp://root@127.0.0.1:{sshd.port}"
        line = ok(ada.run("host", "add", name))
        with (sshd.folder / "authorized").open("a") as authorized:
            authorized.write(line)
        shown = ada.run("host", "trust", name).stderr.split("it shows ")[1].split()[0]
        ok(ada.run("host", "trust", name, shown))
        copied = ada.json("file", "cp", "data.txt", f"{name}/{tmp_path}/far")
        assert (tmp_path / "far/data.txt").read_text() == "results"
        assert ok(ada.run("file", "undo", str(copied["job"]["id"]))).startswith("taken back: 1 file")
        assert not (tmp_path / "far/data.txt").exists()


def test_what_goes_into_itself_is_no_name_that_is_taken(ada: Person, home: Path) -> None:
    put(home, "study/code/app.py", "pass")
    for verb, *words in (("cp", "study", "study"), ("mv", "study", "study/code"), ("cp", "study", "study/x")):
        done = ada.run("file", verb, *words)
        ok(done, 1)
        assert done.stderr.count("cannot put “study” into itself") == 1
        assert "--overwrite" not in done.stderr
    assert (home / "study/code/app.py").read_text() == "pass"


def test_mv_moves_and_undo_takes_back(ada: Person, home: Path) -> None:
    put(home, "m/one", "1")
    answer = ada.json("file", "mv", "m", "n")
    assert not (home / "m").exists() and (home / "n/one").read_text() == "1"
    assert ok(ada.run("file", "undo", str(answer["job"]["id"]))).startswith("taken back:")
    assert (home / "m/one").read_text() == "1" and not (home / "n").exists()


def test_a_dry_run_shows_the_plan_and_changes_nothing(ada: Person, home: Path) -> None:
    put(home, "p/one", "x" * 2048)
    put(home, "p/two", "y" * 1024)
    put(home, "q/p/one", "old")
    before = len(ada.json("job", "list", "--files")["jobs"])
    plan = ok(ada.run("file", "cp", "p", "q", "--dry-run"))
    assert plan.startswith("copy 2 files, 1 folder, 3.0 KiB\nfree at the target: ")
    assert "in the way: 1, which with this command are left and counted as not done" in plan
    assert "\n  p/one\n" in plan
    found = ada.json("file", "cp", "p", "q", "-n")
    assert (found["files"], found["size"], found["conflict_count"]) == (2, 3072, 1)
    assert "+ p/two" in ok(ada.run("file", "sync", "p", "q/p", "-n"))
    assert (home / "q/p/one").read_text() == "old" and len(
        ada.json("job", "list", "--files")["jobs"]
    ) == before


def test_rm_goes_to_the_trash_and_comes_back(ada: Person, home: Path) -> None:
    put(home, "t/one", "1")
    put(home, "two", "2")
    assert ok(ada.run("file", "rm", "t", "two")).startswith("put into the trash: ")
    assert not (home / "t").exists() and not (home / "two").exists()
    shown = ok(ada.run("file", "trash", "list"))
    assert "~/t" in shown and "~/two" in shown and "folder" in shown
    assert {item["origin"].rpartition("/")[2] for item in ada.json("file", "trash", "list")["items"]} == {
        "t",
        "two",
    }
    ok(ada.run("file", "trash", "restore", "t", "~/two"))
    assert (home / "t/one").read_text() == "1" and (home / "two").read_text() == "2"
    ok(ada.run("file", "rm", "two"))
    done = ada.run("file", "trash", "empty")
    assert done.returncode == 2 and "say --yes" in done.stderr
    assert ok(ada.run("file", "trash", "empty", "--yes", "--older", "1")) == "deleted 0 things for good\n"
    assert ok(ada.run("file", "trash", "empty", "--yes")) == "deleted 1 thing for good\n"
    assert ok(ada.run("file", "trash", "list")) == ""
    assert ok(ada.run("file", "trash", "restore", "two"), 1) == ""
    done = ada.run("file", "rm", "t", "--erase")
    assert done.returncode == 2 and "say --yes" in done.stderr and (home / "t").exists()
    assert ok(ada.run("file", "rm", "t", "--erase", "--yes")).startswith("deleted ")
    assert not (home / "t").exists() and ok(ada.run("file", "trash", "list")) == ""


def test_find_by_name_and_by_content(ada: Person, home: Path) -> None:
    put(home, "f/a.csv", "needle in hay")
    put(home, "f/b.csv", "hay")
    put(home, "f/sub/c\n.csv", "needle")
    put(home, "f/notes.txt", "needle")
    assert ok(ada.run("file", "find", "f", "--name", "'*.csv'")).splitlines() == [
        "~/f/a.csv",
        "~/f/b.csv",
        "~/f/sub/c␊.csv",
    ]
    found = subprocess.run(
        ada.box.ssh("ada", "file", "find", "f", "--name", "'*.csv'", "--text", "needle", "-0"),
        capture_output=True,
        check=True,
    )
    assert sorted(found.stdout.split(b"\0")) == [b"", b"~/f/a.csv", b"~/f/sub/c\n.csv"]
    answer = ada.json("file", "find", "f", "--text", "needle", "--exclude", "sub")
    assert answer["lines"] == ["~/f/a.csv", "~/f/notes.txt"]
    assert "cannot search for nothing" in ada.run("file", "find", "f").stderr


def test_results_beyond_the_summary_are_all_printed(ada: Person, home: Path) -> None:
    for number in range(1100):
        put(home, f"many/{number}.dat")
    assert len(ok(ada.run("file", "find", "many", "--name", "'*.dat'")).splitlines()) == 1100


def test_diff_and_sync(ada: Person, home: Path) -> None:
    put(home, "s/same", "same")
    put(home, "s/new", "new")
    put(home, "s/other", "here")
    shutil.copytree(home / "s", home / "d")
    for path in (home / "d", *(home / "d").rglob("*")):
        os.chown(path, home.stat().st_uid, home.stat().st_gid)
    (home / "d/new").unlink()
    put(home, "d/gone", "gone")
    put(home, "d/other", "longer there")
    lines = ok(ada.run("file", "diff", "s", "d"), 1).splitlines()
    assert sorted(line[:2] for line in lines) == ["+ ", "- ", "~ "]
    assert {"- s/new", "+ d/gone"} <= set(lines)  # signed as `diff -u` does, each a path that is there
    assert any(line.startswith("~ s/other\t") for line in lines)
    assert ok(ada.run("file", "sync", "s", "d", "--mirror")).startswith("synchronised ")
    assert not (home / "d/gone").exists() and (home / "d/other").read_text() == "here"
    assert ok(ada.run("file", "diff", "s", "d", "--content")) == ""


def test_diff_says_what_is_not_there_and_shows_lines(ada: Person, home: Path) -> None:
    put(home, "one.txt", "same\nhere\x1b[31m\n")
    put(home, "two.txt", "same\nthere\n")
    put(home, "raw", bytes(range(256)))
    for words in (("one.txt", "typo"), ("typo", "one.txt"), ("-u", "one.txt", "typo")):
        done = ada.run("file", "diff", *words)
        assert done.returncode == 2 and "cannot compare: ~/typo is not there" in done.stderr
    assert ok(ada.run("file", "diff", "-u", "one.txt", "two.txt"), 1).splitlines()[3:] == [
        " same",
        "-here␛[31m",
        "+there",
    ]
    assert ok(ada.run("file", "diff", "-u", "one.txt", "one.txt")) == ""
    assert "it is no text" in ada.run("file", "diff", "-u", "raw", "two.txt").stderr


def test_what_is_in_an_archive_is_not_deleted_by_a_job_that_fails(ada: Person, home: Path) -> None:
    zipfile.ZipFile(put(home, "a.zip"), "w").writestr("x", "1")
    before = len(ada.json("job", "list", "--files")["jobs"])
    for words in (("rm", "a.zip!/x"), ("rm", "--erase", "--yes", "a.zip!/x"), ("mv", "a.zip!/x", "y")):
        done = ada.run("file", *words)
        assert done.returncode == 1 and "it is inside the archive a.zip" in done.stderr
    assert len(ada.json("job", "list", "--files")["jobs"]) == before


def _waiting(ada: Person) -> list[int]:
    return [
        job["id"] for job in ada.json("job", "list", "--files")["jobs"] if job["state"] in ("queued", "held")
    ]


@pytest.mark.parametrize("verb", ["cp", "sync", "pack", "find", "sum", "diff"])
def test_a_cancelled_transfer_ends_with_130(ada: Person, home: Path, verb: str) -> None:
    put(home, "big/one", "1")
    put(home, "run/run.sh", "true")
    held = ok(ada.run("job", "submit", "run", "--hold", "--quiet")).strip()
    words = {
        "cp": ["big", "x"], "sync": ["big", "x"], "pack": ["big", "x.zip"], "find": ["big", "--name", "x"],
        "sum": ["big"], "diff": ["big", "big"],
    }[verb]  # fmt: skip
    waiting = subprocess.Popen(
        ada.box.ssh("ada", "file", verb, *words, "--after", held), stderr=subprocess.PIPE
    )
    wait_for(lambda: max(_waiting(ada), default=0) > int(held))
    ok(ada.run("job", "cancel", str(max(_waiting(ada)))))
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 130, said
    ok(ada.run("job", "cancel", held))


def test_pack_unpack_and_sums(ada: Person, home: Path) -> None:
    put(home, "z/one", "1")
    put(home, "z/sub/two", "2")
    ok(ada.run("file", "pack", "z", "z.tar.gz"))
    assert ok(ada.run("file", "ls", "'z.tar.gz!/z'")).splitlines() == ["sub/", "one"]
    ok(ada.run("file", "unpack", "z.tar.gz", "--to", "out"))
    found = {path.name: path.read_text() for path in (home / "out").rglob("*") if path.is_file()}
    assert found == {"one": "1", "two": "2"}
    put(home, "plain.txt", "1")
    done = ada.run("file", "unpack", "plain.txt")  # into its own folder, where it stands itself
    assert done.returncode == 1 and "cannot unpack “plain.txt”: its name does not end" in done.stderr
    assert "--overwrite" not in done.stderr
    done = ada.run("file", "pack", "z", "nothing")
    assert done.returncode == 2 and "what kind of archive" in done.stderr
    sums = ok(ada.run("file", "sum", "z", "-a", "sha256"))
    checked = subprocess.run(["sha256sum", "-c"], input=sums, cwd=home, capture_output=True, text=True)
    assert checked.returncode == 0, checked


ODD = (
    "plain.txt", "tab\there", "esc\x1b[31m", "not utf8 \udcff", "zero\u200bwidth", "over\u202eride",
    "new\nline", "back\\slash", "c\rr", "all\\\n\r\\n", "  two  spaces", "\\x5c and \\xff", "a.zip!",
)  # fmt: skip


@pytest.mark.parametrize(
    ("algorithm", "program"),
    [
        (None, "sha256sum"),
        ("md5", "md5sum"),
        ("b2sum", "b2sum"),
        ("SHA-512", "sha512sum"),
        ("sha1", "sha1sum"),
    ],
)
def test_sums_are_what_the_usual_programs_write_and_check(
    ada: Person, home: Path, algorithm: str | None, program: str
) -> None:
    for name in ODD:
        put(home, f"odd/sub/{name}", name.encode("utf-8", "surrogateescape"))
    options = ["-a", algorithm] if algorithm else []
    names = [os.fsencode(f"odd/sub/{name}") for name in ODD]
    theirs = subprocess.run([program, "--", *names], cwd=home, capture_output=True, check=True).stdout
    for given in ("odd", "~/odd/sub/../sub", "box:~/odd"):
        sums = subprocess.run(
            ada.box.ssh("ada", "file", "sum", f"'{given}'", *options), capture_output=True, check=True
        ).stdout
        checked = subprocess.run([program, "-c", "--strict"], input=sums, cwd=home, capture_output=True)
        assert checked.returncode == 0, checked
        if given == "odd":
            assert sorted(sums.split(b"\n")) == sorted(theirs.split(b"\n"))
    one = subprocess.run(
        ada.box.ssh("ada", "file", "sum", "'odd/sub/back\\slash'", "odd/sub/plain.txt", *options),
        capture_output=True,
        check=True,
    ).stdout
    assert one.splitlines() == [
        next(line for line in theirs.split(b"\n") if line.endswith(name))
        for name in (b"\\\\slash", b"plain.txt")
    ]
    nul = subprocess.run(
        ada.box.ssh("ada", "file", "sum", "odd", "-0", *options), capture_output=True, check=True
    ).stdout
    theirs = subprocess.run([program, "-z", "--", *names], cwd=home, capture_output=True, check=True).stdout
    assert sorted(nul.split(b"\0")) == sorted(theirs.split(b"\0"))


def _succeeded(ada: Person, number: str) -> bool:
    return bool(ada.job(number)["state"] == "succeeded")


def test_sums_of_a_job_are_a_file_that_the_usual_programs_check(ada: Person, home: Path) -> None:
    for name in ODD:
        put(home, f"odd/{name}", "x" + name[:1])
    for algorithm, program, called in (("sha256", "sha256sum", "SHA256SUMS"), ("b2", "b2sum", "B2SUMS")):
        number = ok(ada.run("file", "sum", "odd", "-a", algorithm, "--queue", "--quiet")).strip()
        wait_for(partial(_succeeded, ada, number))
        left = ada.job(number)["results"].removeprefix("operations/")
        sums = ada.box.state / "operations" / "ada" / left / "output" / called
        checked = subprocess.run([program, "-c", "--strict", sums], cwd=home, capture_output=True)
        assert checked.returncode == 0 and checked.stdout.count(b"OK\n") == len(ODD), checked


def test_sums_on_a_terminal_send_no_controls(ada: Person, home: Path) -> None:
    put(home, "odd/esc\x1b[31m", "x")
    shown = subprocess.run(
        [
            "script",
            "-qec",
            subprocess.list2cmdline(ada.box.ssh("ada", "-tt", "file", "sum", "odd")),
            "/dev/null",
        ],
        capture_output=True,
    ).stdout
    assert "␛[31m".encode() in shown and b"\x1b[31m" not in shown


@pytest.mark.parametrize("asked", ["needle", "'*.{csv,tsv};n*'", "NEEDLE"])
def test_find_in_words_puts_case_aside_like_the_screens(ada: Person, home: Path, asked: str) -> None:
    put(home, "f/one.txt", "a NEEDLE in hay")
    put(home, "f/.two", "needle")
    put(home, "f/NOTES.CSV")
    by_text = ada.json("file", "find", "f", "--text", asked)["lines"]
    by_name = ada.json("file", "find", "f", "--name", asked)["lines"]
    assert (by_text, by_name) == {
        "needle": (["~/f/.two", "~/f/one.txt"], []),
        "NEEDLE": (["~/f/.two", "~/f/one.txt"], []),
    }.get(asked, ([], ["~/f/NOTES.CSV"]))


def test_any_number_of_things_is_packed(ada: Person, home: Path) -> None:
    put(home, "a/x.csv", "1")
    put(home, "b/x.csv", "2")
    put(home, "c/run one.txt", "3")
    assert ok(ada.run("file", "pack", "a/x.csv", "b/x.csv", "c", "all.zip")).startswith(
        "packed 3 files, 1 folder"
    )
    ok(ada.run("file", "pack", "a", "b", "all.tar.gz", "--dry-run"))
    ok(ada.run("file", "pack", "a", "b", "all.tar.gz"))
    assert zipfile.ZipFile(home / "all.zip").namelist() == ["a/x.csv", "b/x.csv", "c/", "c/run one.txt"]
    with tarfile.open(home / "all.tar.gz") as packed:
        assert packed.getnames() == ["a", "a/x.csv", "b", "b/x.csv"]


def test_a_queued_transfer_is_a_job_like_others(ada: Person, home: Path) -> None:
    put(home, "big/one", "1")
    number = ok(ada.run("file", "cp", "big", "big2", "--queue", "--quiet")).strip()
    wait_for(lambda: ada.job(number)["state"] == "succeeded")
    assert (home / "big2/one").read_text() == "1"
    assert f"job {int(number) + 1} (" in ok(
        ada.run("file", "cp", "big", "big3", "--queue", "--after", number)
    )
    done = ada.run("file", "cp", "big", "x", "--queue", "--follow")
    assert done.returncode == 2 and "cannot combine --follow and --queue" in done.stderr


# ── the terminal ──────────────────────────────────────────────────────────────────────────────────────────


def on_a_terminal(
    command: list[str], talk: Callable[[Callable[..., str], Callable[[bytes], None]], None]
) -> tuple[int, str]:
    """Run with a terminal; `talk(wait, type)` reads and answers."""
    import pty
    import select

    pid, master = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    text = ""

    def more(seconds: float) -> bool:
        nonlocal text
        if not select.select([master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(master, 65536)
        except OSError:
            return False
        text += data.decode(errors="replace")
        return bool(data)

    def wait(words: str) -> str:
        end = time.monotonic() + 60
        while words not in text:
            assert time.monotonic() < end and more(60), text
        return text

    def say(data: bytes) -> None:
        os.write(master, data)

    talk(wait, say)
    while more(60):
        pass
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(master)
    return code, text


def test_rm_asks_on_a_terminal(ada: Person, home: Path) -> None:
    put(home, "kept", "1")

    def no(wait: Any, say: Any) -> None:
        wait("Put ~/kept into the trash? [y/N]")
        say(b"n\r")

    code, text = on_a_terminal(ada.box.ssh("ada", "file", "rm", "kept", tty=True), no)
    assert code == 1 and "nothing was deleted" in text and (home / "kept").exists()

    def yes(wait: Any, say: Any) -> None:
        wait("[y/N]")
        say(b"y\r")

    code, text = on_a_terminal(ada.box.ssh("ada", "file", "rm", "kept", tty=True), yes)
    assert code == 0 and not (home / "kept").exists()


def test_ctrl_c_asks_and_leaves_the_transfer_running(served: Served) -> None:
    """The bar shows bytes, files, rate and time left; Ctrl+C asks, and no leaves it alone."""
    from labbox.model import JobState

    async def play() -> None:
        jobs = served.jobs
        while 1 not in jobs.jobs:
            async with jobs._changed:
                await jobs._changed.wait()
        await jobs.move(
            1,
            JobState.RUNNING,
            progress=Progress(
                phase="copying", done=1 << 30, total=2 << 30, unit="bytes", rate=float(1 << 27), remaining=8,
                files=412, files_total=1000,
            ),
        )  # fmt: skip

    served.soon(play)
    command = [sys.executable, "-P", "-m", "labbox", "file", "cp", "a", "b", "-T", "--as", "ada"]

    def talk(wait: Any, say: Any) -> None:
        wait("412/1000 files")
        say(b"\x03")
        wait("End job 1? It goes on otherwise [y/N]")
        say(b"\r")

    code, text = on_a_terminal(command, talk)
    assert "1.0 GiB/2.0 GiB" in text and "128.0 MiB/s" in text and "8s left" in text
    assert code == 130 and "job 1 goes on without you" in text and "come back:  labbox job log -f 1" in text
    assert served.jobs.jobs[1].state is JobState.RUNNING

    def end(wait: Any, say: Any) -> None:
        wait("job 2")
        say(b"\x03")
        wait("[y/N]")
        say(b"y\r")

    code, text = on_a_terminal(command, end)
    assert code == 130 and served.jobs.jobs[2].state is JobState.CANCELLED


def test_every_option_reaches_the_box(served: Served, labbox: Run, tmp_path: Path, monkeypatch: Any) -> None:
    done = labbox(
        "file", "cp", "a", "sftp://me@pc//data", "shared:/x", "--newer", "--verify", "--exclude", "*.tmp",
        "--queue", "-q", "--as", "ada",
    )  # fmt: skip
    assert (done.code, done.out) == (0, "1\n"), done.err
    spec = served.jobs.specs[1].transfer
    assert spec is not None
    assert (spec.verb, spec.sources, spec.target) == (
        TransferVerb.COPY,
        ("~/a", "sftp://me@pc//data"),
        "shared:/x",
    )
    assert (spec.conflict, spec.verify, spec.exclude, spec.exact) == (Conflict.NEWER, True, ("*.tmp",), False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "study" / "raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "study")
    assert [str(location(Session(), text)) for text in ("raw", "../x", "/srv/y", "shared:/a", ".")] == [
        "~/study/raw", "~/x", "/srv/y", "shared:/a", "~/study",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert str(location(Session(), "../up")) == f"{tmp_path.parent}/up"
    done = labbox("file", "diff", "a", "b", "--content", "--after", "1", "--queue", "--as", "ada")
    assert done.code == 0 and served.jobs.specs[2].after == (1,)
    spec = served.jobs.specs[2].transfer
    assert spec is not None and spec.content and (spec.sources, spec.target) == (("~/a",), "~/b")
    done = labbox("file", "ls", "--as", "ada")
    assert done.code == 2 and "log in as them" in done.err
    done = labbox("file", "cp", "notes:2024", "x", "--queue", "--as", "ada")
    assert done.code == 1 and "./notes:2024" in done.err


def test_locations_are_completed(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from labbox.cli.root import root

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("study", "studio", "bad\x1bname"):
        (tmp_path / name).mkdir()
    (tmp_path / "study" / "run 1.csv").write_text("")
    context = click.Context(root, obj=Session())

    def completed(text: str) -> list[str]:
        return [item.value for item in complete_locations(context, click.Argument(["x"]), text)]

    assert completed("stud") == ["studio/", "study/"]
    assert completed("~/study/") == ["~/study/run 1.csv"]
    assert completed("sh") == ["shared:"]
    assert completed("bad") == []
    assert completed("/nowhere/x") == []
    assert "sftp://" in completed("")


def test_from_another_machine_the_same_words_go_by_ssh(
    ada: Person, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, "far/one file", "1")
    wrapper = tmp_path / "ssh"  # the person's own configuration: which key, and no questions
    options = " ".join(f"'{word}'" for word in ada.box.ssh("ada")[1:-1])
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
    wrapper.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    where = f"ssh://ada@127.0.0.1:{ada.box.port}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "labbox", *words],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert ok(run("file", "ls", "far", "--socket", where)) == "one file\n"
    ok(run(f"--socket={where}", "file", "cp", "far/one file", "far/two ; files"))
    assert (home / "far/two ; files").read_text() == "1"
    assert run("--socket", where, "file", "ls", "nowhere").returncode == 1


def test_files_go_to_another_host_and_come_back(ada: Person, home: Path, tmp_path: Path) -> None:
    from sshd import Sshd

    server = Sshd(tmp_path / "sshd").start()
    try:
        far = f"sftp://root@127.0.0.1:{server.port}"
        ok(ada.run("host", "add", far, "--key", "-", stdin=server.key.read_bytes()))
        put(home, "raw/one", "1")
        done = ada.run("file", "ls", far)
        assert (
            done.returncode == 1
            and "has not been confirmed" in done.stderr
            and "ssh … host trust" in done.stderr
        )
        shown = subprocess.run(
            ["ssh-keygen", "-lf", tmp_path / "sshd" / "host_key.pub"],
            capture_output=True,
            text=True,
            check=True,
        )
        ok(ada.run("host", "trust", far, shown.stdout.split()[1]))
        ok(ada.run("file", "mkdir", f"{far}/{tmp_path}/there"))
        ok(ada.run("file", "cp", "raw", f"{far}/{tmp_path}/there", "--verify"))
        assert (tmp_path / "there/raw/one").read_text() == "1"
        assert ok(ada.run("file", "ls", f"{far}/{tmp_path}/there/raw")) == "one\n"
        ok(ada.run("file", "cp", f"{far}/{tmp_path}/there/raw/one", "back"))
        assert (home / "back").read_text() == "1"
    finally:
        server.stop()
    done = ada.run("file", "cp", "raw", f"{far}/{tmp_path}/new")
    assert done.returncode == 1 and "say --exact" in done.stderr
    number = ok(
        ada.run("file", "cp", "raw", f"{far}/{tmp_path}/new/", "--wait", "1h", "--queue", "-q")
    ).strip()
    wait_for(lambda: ada.job(number)["state"] == "queued")
    ok(ada.run("job", "cancel", number))


def test_the_bar_tells_files_too() -> None:
    line = format_bar(
        Progress(phase="copying", done=5, total=10, unit="bytes", files=1, files_total=None), 100
    )
    assert "5 B/10 B  1 file" in line and "files" not in line


def test_a_transfer_is_described_by_what_it_does(ada: Person, home: Path) -> None:
    put(home, "from/a", "x")
    ok(ada.run("file", "cp", "from", "to-here", "--newer", "--verify"))
    number = str(ada.json("job", "list", "--files")["jobs"][0]["id"])
    for verb in ("show", "describe"):
        told = ok(ada.run("job", verb, number))
        for line in ("does:", "copy", "~/from", "to-here", "overwrite it where it is older", "read again"):
            assert line in told, told
        assert "CPU" not in told.partition("ATTEMPT")[0] and "template" not in told
