"""What hands type by themselves: wildcards, the flags of cp, mv and rm; cat, head, tail, du, chmod, ln."""

from __future__ import annotations

import os
import pty
import select
import shutil
import stat
import subprocess
import unicodedata
import zipfile
from pathlib import Path

import pytest
from filing import ok, put
from person import Person

from labbox.cli.filechange import mode_change
from labbox.errors import LabboxError

E_COMPOSED, E_APART = (unicodedata.normalize(form, "résumé") for form in ("NFC", "NFD"))


def raw(ada: Person, *words: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(ada.box.ssh("ada", *words), input=stdin, capture_output=True)
    assert done.returncode == 0, done
    return done.stdout


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} if folder.exists() else set()


def test_wildcards_are_read_where_no_shell_did(ada: Person, home: Path) -> None:
    for name in (
        "a.csv",
        "b.csv",
        "B.CSV",
        ".c.csv",
        "d.txt",
        "e[1].csv",
        "sub/f.csv",
        "sub2/g.csv",
        "sub/h.dat",
    ):
        put(home, f"w/{name}", name)
    put(home, f"w/{E_APART}.txt", "macOS")
    assert ok(ada.run("file", "cp", "'w/*.csv'", "one/")).startswith("copied 3 files")
    assert names(home / "one") == {"a.csv", "b.csv", "e[1].csv"}
    ok(ada.run("file", "cp", "'w/sub*/[fg].{csv,txt}'", "two/"))
    assert names(home / "two") == {"f.csv", "g.csv"}
    ok(ada.run("file", "cp", "'w/e[1].csv'", "three"))  # a name that is there is itself
    assert (home / "three").read_text() == "e[1].csv"
    assert ok(ada.run("file", "cat", "'w/?.csv'")) == "a.csvb.csv"
    assert ok(ada.run("file", "cat", f"'w/{E_COMPOSED}.txt'")) == "macOS"
    assert ok(ada.run("file", "rm", "'w/*.csv'", "w/d.txt")).startswith("put into the trash: 4 files")
    assert names(home / "w") == {"B.CSV", ".c.csv", "sub", "sub2", f"{E_APART}.txt"}
    done = ada.run("file", "rm", "'w/*.csv'")
    assert done.returncode == 1 and "cannot find anything that fits ~/w/*.csv" in done.stderr
    zipfile.ZipFile(put(home, "z.zip"), "w").writestr("in/x.csv", "inside")
    assert ok(ada.run("file", "cat", "'z.zip!/*/*.csv'")) == "inside"
    assert ok(ada.run("file", "ls", "'w/su*'")).count("csv") == 2
    assert ok(ada.run("file", "sum", "'w/sub*/*.csv'")).splitlines()[0].endswith("  w/sub/f.csv")


def test_the_flags_of_cp_mv_and_rm(ada: Person, home: Path) -> None:
    put(home, "t/sub/a", "new")
    for flags in (["-r"], ["-a"], ["-Rv"], ["-rp"], ["--recursive"], ["--archive"]):
        ok(ada.run("file", "cp", *flags, "t", "copy"))
        assert (home / "copy/sub/a").read_text() == "new"
        shutil.rmtree(home / "copy")
    put(home, "old", "old")
    assert "in the way" in ada.run("file", "cp", "t/sub/a", "old").stderr
    assert "~/t/sub/a -> ~/old" in ok(ada.run("file", "cp", "-fv", "t/sub/a", "old"))
    assert (home / "old").read_text() == "new"
    put(home, "m/x", "x")
    ok(ada.run("file", "mv", "-f", "-t", "dest", "m/x", "old"))
    assert names(home / "dest") == {"x", "old"}
    put(home, "x", "other")
    ok(ada.run("file", "mv", "--no-clobber", "x", "dest"))
    assert (home / "dest/x").read_text() == "x"
    done = ada.run("file", "cp", "-i", "t/sub/a", "dest/x")
    assert done.returncode == 2 and "cannot ask about each" in done.stderr
    assert ok(ada.run("file", "rm", "-rf", "nothing", "t")).startswith("put into the trash: ")
    assert ok(ada.run("file", "rm", "-f", "'no*thing'")) == ""
    assert ada.run("file", "rm", "nothing").returncode == 1
    assert "put into the trash: ~/dest" in ok(ada.run("file", "rm", "-rv", "dest"))
    assert not (home / "dest").exists()
    assert "no terminal" in ada.run("file", "rm", "-i", "copy").stderr


def on_a_terminal(ada: Person, words: list[str], answers: dict[bytes, bytes]) -> tuple[str, int]:
    """What stands on a terminal of ssh -t until the command ends; each question is answered as it comes."""
    child, terminal = pty.fork()
    if child == 0:
        command = ada.box.ssh("ada", *words)
        command.insert(1, "-tt")
        os.execvp(command[0], command)
    shown, waiting = b"", dict(answers)
    while select.select([terminal], [], [], 30)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not piece:
            break
        shown += piece
        for question in [question for question in waiting if question in shown]:
            os.write(terminal, waiting.pop(question))
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert not waiting, shown
    return shown.decode(), os.waitstatus_to_exitcode(status)


def test_cp_and_mv_ask_about_each_that_is_in_the_way(ada: Person, home: Path) -> None:
    for name in ("a", "b", "c"):
        put(home, f"new/{name}", f"new {name}")
    for name in ("a", "b"):
        put(home, f"old/{name}", f"old {name}")
    answers = {b"Overwrite new/a? [y/N]": b"y\n", b"Overwrite new/b? [y/N]": b"n\n"}
    shown, code = on_a_terminal(ada, ["file", "cp", "-i", "-T", "new", "old"], answers)
    assert code == 0, shown
    assert "c?" not in shown
    assert [(home / "old" / name).read_text() for name in "abc"] == ["new a", "old b", "new c"]
    put(home, "a", "third")
    shown, code = on_a_terminal(ada, ["file", "mv", "-i", "a", "old"], {b"Overwrite a? [y/N]": b"\n"})
    assert code == 0, shown
    assert (home / "a").read_text() == "third" and (home / "old/a").read_text() == "new a"
    shown, code = on_a_terminal(ada, ["file", "cp", "-i", "a", "old"], {b"Overwrite a? [y/N]": b"\x03"})
    assert code != 0, shown
    assert (home / "old/a").read_text() == "new a"


def test_an_archive_and_a_name_with_a_mark_at_its_end(ada: Person, home: Path) -> None:
    with zipfile.ZipFile(put(home, "a.zip"), "w") as packed:
        packed.writestr("x/y.txt", "inside")
    ok(ada.run("file", "cp", "a.zip!", "out/"))
    assert (home / "out/a/x/y.txt").read_text() == "inside"
    ok(ada.run("file", "cp", "a.zip!/x", "."))
    assert (home / "x/y.txt").read_text() == "inside"
    ok(ada.run("file", "cp", "a.zip", "a.zip!"))
    assert (home / "a.zip!").read_bytes() == (home / "a.zip").read_bytes()
    ok(ada.run("file", "mv", "a.zip!", "b.zip!"))
    assert (home / "b.zip!").exists() and not (home / "a.zip!").exists()
    ok(ada.run("file", "mkdir", "c.tar!"))
    ok(ada.run("file", "rm", "b.zip!", "c.tar!"))
    assert not (home / "b.zip!").exists() and not (home / "c.tar!").exists()


def test_cat_head_and_tail_are_byte_exact(ada: Person, home: Path) -> None:
    data = bytes(range(256)) * 3000 + b"\r\nno end"
    lines = b"".join(b"line %d \xff\n" % number for number in range(60_000)) + b"last"
    put(home, "c/raw", data)
    put(home, "c/lines", lines)
    put(home, "c/empty")
    (home / "c/link").symlink_to("raw")
    zipfile.ZipFile(put(home, "c/in.zip"), "w").writestr("raw", data)
    assert raw(ada, "file", "cat", "c/raw", "c/lines") == data + lines
    assert raw(ada, "file", "cat", "c/link") == data == raw(ada, "file", "cat", "c/in.zip!/raw")
    assert raw(ada, "file", "cat", "c/empty", "-", stdin=data) == data
    assert raw(ada, "file", "cat", "--offset", "100000", "-c", "5000", "c/raw") == data[100_000:105_000]
    for tool in ("head", "tail"):
        for words in (
            ["-n", "3"], ["-3"], ["-c", "1000"], ["-n", "-59990"], ["-n", "+59990"], ["-c", "+768000"],
            ["-c", "-1000"], ["-n", "0"], ["-n", "1"], ["-c", "0"], [],
        ):  # fmt: skip
            if tool == "head" and any("+" in word for word in words):
                continue
            for name in ("lines", "raw", "empty"):
                wanted = subprocess.run(
                    [tool, *words, home / "c" / name], capture_output=True, check=True
                ).stdout
                assert raw(ada, "file", tool, *words, f"c/{name}") == wanted, (tool, words, name)
            wanted = subprocess.run([tool, *words], input=lines, capture_output=True, check=True).stdout
            assert raw(ada, "file", tool, *words, "-", stdin=lines) == wanted, (tool, words)
    assert raw(ada, "file", "head", "-n1", "c/lines", "c/empty").startswith(b"==> ~/c/lines <==\nline 0")
    for words, said in ((["c"], "a folder"), (["c/none"], "not there"), (["c/empty", "c/none"], "not there")):
        done = ada.run("file", "cat", *words)
        assert done.returncode == 1 and said in done.stderr


def test_tail_follows_what_is_added(ada: Person, home: Path) -> None:
    grows = put(home, "log", "one\n")
    with subprocess.Popen(ada.box.ssh("ada", "file", "tail", "-f", "log"), stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None and tail.stdout.readline() == b"one\n"
        with grows.open("a") as more:
            more.write("two\n")
        assert tail.stdout.readline() == b"two\n"
        grows.write_text("anew\n")
        assert tail.stdout.readline() == b"anew\n"
        tail.terminate()


def test_du_counts_what_folders_hold(ada: Person, home: Path) -> None:
    put(home, "d/a", "x" * 1000)
    put(home, "d/sub/b", "x" * 2000)
    put(home, "d/sub/deep/c", "x" * 3000)
    (home / "d/link").symlink_to("a")
    assert ok(ada.run("file", "du", "-sh", "d")) == "5.9 KiB\t~/d\n"
    assert ok(ada.run("file", "du", "-b", "-d", "1", "d")).splitlines() == ["5000\t~/d/sub", "6000\t~/d"]
    assert "1000\t~/d/a" in ok(ada.run("file", "du", "-ab", "d")).splitlines()
    assert ok(ada.run("file", "du", "-bc", "'d/s*'", "d/a")).splitlines()[-1] == "6000\ttotal"
    (held,) = ada.json("file", "du", "d")["sizes"]
    assert (held["size"], held["files"]) == (6000, 4)


def test_chmod_takes_what_chmod_takes(ada: Person, home: Path) -> None:
    script = put(home, "m/sub/run.sh", "x")
    script.chmod(0o644)
    ok(ada.run("file", "chmod", "+x", "m/sub/run.sh"))
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    ok(ada.run("file", "chmod", "-R", "go-rwx,u=rwX", "m"))
    assert stat.S_IMODE(script.stat().st_mode) == 0o700 == stat.S_IMODE(script.parent.stat().st_mode)
    assert "~/m/sub/run.sh" in ok(ada.run("file", "chmod", "-v", "640", "'m/*/*.sh'"))
    assert stat.S_IMODE(script.stat().st_mode) == 0o640
    ok(ada.run("file", "chmod", "-w", "m/sub/run.sh"))
    assert stat.S_IMODE(script.stat().st_mode) == 0o440
    done = ada.run("file", "chmod", "u+q", "m")
    assert done.returncode == 2 and "as a mode" in done.stderr


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    "mode",
    ["u+x", "+x", "a=r", "go-w", "u=rwx,g=rx,o=", "o=g", "g=u", "u+s", "+t", "a+X", "-X", "=", "u=rw,+x", "0",
     "2755", "ug+rw-x", "=rw", "o+t", "g-s", "u-s+x"],
)  # fmt: skip
@pytest.mark.parametrize("before", [0o644, 0o600, 0o755, 0o2750])
def test_modes_come_to_what_chmod_makes_of_them(tmp_path: Path, mode: str, before: int, folder: bool) -> None:
    made = tmp_path / "made"
    made.mkdir() if folder else made.touch()
    made.chmod(before)
    if folder and mode.isdigit():
        mode = f"0{mode}"  # chmod keeps a folder's s bits under fewer digits
        if before & 0o2000:
            return
    subprocess.run(["chmod", "--", mode, made], check=True, umask=0o022)
    assert mode_change(mode.removeprefix("0") or "0")(before, folder) == stat.S_IMODE(made.stat().st_mode)


def test_no_mode_is_refused() -> None:
    for text in ("", "u", "8", "x+u", "u+rq", "77777", "u+x,"):
        with pytest.raises(LabboxError, match="as a mode"):
            mode_change(text)


def test_links_are_made_as_ln_makes_them(ada: Person, home: Path) -> None:
    put(home, "l/data", "x")
    put(home, "into/.keep")
    ok(ada.run("file", "ln", "-s", "data", "l/soft"))
    assert str((home / "l/soft").readlink()) == "data"
    ok(ada.run("file", "ln", "l/data", "l/hard"))
    assert (home / "l/hard").samefile(home / "l/data")
    ok(ada.run("file", "ln", "-s", "../l/data", "into"))
    assert str((home / "into/data").readlink()) == "../l/data"
    ok(ada.run("file", "ln", "-sf", "elsewhere", "l/soft"))
    assert str((home / "l/soft").readlink()) == "elsewhere"
    assert ada.run("file", "ln", "-s", "x", "l/soft").returncode == 1
    ok(ada.run("file", "ln", "-s", "l/data"))
    assert str((home / "data").readlink()) == "l/data"
