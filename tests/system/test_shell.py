"""In a running job: a shell by its key and by its verb, with its window's size; lines for its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from harness import Box
from person import Person, wait_for
from screen import Screen

pytestmark = [pytest.mark.engine, pytest.mark.root]

Login = Callable[..., Screen]
# `$((…))` and quotes: what is waited for is what the shell says, never the echo of what was typed.
FOLLOWS = 'until [ "$(stty size)" = "{rows} {columns}" ]; do sleep 0.1; done; echo "now" {rows}x{columns}\r'


@pytest.fixture
def login(box: Box) -> Iterator[Login]:
    opened: list[Screen] = []

    def start(*words: str, rows: int = 30, columns: int = 100) -> Screen:
        opened.append(Screen(box.ssh("ada", *words, tty=True), rows, columns))
        return opened[-1]

    yield start
    for screen in opened:
        screen.close()


def running(ada: Person, name: str, script: str, *words: str) -> str:
    """The number of a job that has said that it began."""
    ada.project(name, {"run.sh": f"echo began\n{script}\n"})
    done = ada.run("job", "submit", name, "--quiet", "--memory", "64M", "--cpus", "0.2", *words)
    assert done.returncode == 0, done.stderr
    number = done.stdout.strip()
    log: list[str] = []

    def began() -> bool:
        log[:] = ada.run("job", "log", number).stdout.splitlines()
        assert ada.job(number)["state"] not in ("failed", "lost"), log
        return "began" in log

    wait_for(began)
    return number


def in_the_screens(screen: Screen, name: str) -> list[str]:
    """The job view with its title, the job, and the keys at the bottom."""
    if screen.wait(lambda lines: "F10Quit" in lines[-1].replace(" ", ""))[0].startswith(" Files"):
        screen.type("\x0f")
    return screen.wait(
        lambda lines: (
            lines[0].startswith(" Jobs ")
            and any(name in line and "running" in line for line in lines)
            and "F10Quit" in lines[-1].replace(" ", "")
        )
    )


def test_x_is_a_shell_in_the_job_and_the_screens_come_back(ada: Person, login: Login) -> None:
    number = running(ada, "looked-into", "echo from-the-run >/output/here; sleep 600")
    screen = login(rows=30, columns=100)
    in_the_screens(screen, "looked-into")
    screen.type("x")
    screen.wait_for(f"Inside job {number}")
    screen.type("cat /output/here; echo six-$((6 * 7)) as $(id -u)\r")
    uid = ada.box.client().show_user("ada").uid
    screen.wait_for("from-the-run", f"six-42 as {uid}")
    screen.type(FOLLOWS.format(rows=30, columns=100))
    screen.wait_for("now 30x100")
    screen.resize(41, 133)
    screen.type(FOLLOWS.format(rows=41, columns=133))
    screen.wait_for("now 41x133")
    screen.resize(25, 90)  # with the cursor where it was: nothing was typed for it
    screen.type(FOLLOWS.format(rows=25, columns=90))
    screen.wait_for("now 25x90")
    screen.type("sh -c 'clear; exec sleep 600'\r")  # wherever it is, an interrupt ends it
    screen.wait(lambda lines: not any("now 25x90" in line for line in lines))
    screen.type("\x03")  # Ctrl+C is the shell's, not the screens'
    # the shell asks again: it has dropped what was typed before
    screen.wait(lambda lines: "$" in "".join(lines).partition("^C")[2])
    screen.type("echo ended-with-$?; exit\r")
    lines = in_the_screens(screen, "looked-into")
    assert len(lines) == 25
    page = "\n".join(lines)
    for rest in ("ended-with", "Inside job", "^C", "$"):
        assert rest not in page
    screen.type("w")  # the screens answer keys again
    screen.wait(lambda lines: "running" in "\n".join(lines) and "Why" in "\n".join(lines))
    screen.type("\x1b")
    in_the_screens(screen, "looked-into")
    screen.resize(36, 110)
    screen.wait(lambda lines: len(lines) == 36 and "F10Quit" in lines[-1].replace(" ", ""))
    screen.type("\x1b[21~")
    assert screen.ended() == 0
    assert ada.job(number)["state"] == "running"
    ada.run("job", "kill", number)


def test_a_job_that_ends_gives_the_screens_back(ada: Person, login: Login) -> None:
    number = running(ada, "ends-under-a-shell", "sleep 600")
    screen = login()
    in_the_screens(screen, "ends-under-a-shell")
    screen.type("x")
    screen.wait_for(f"Inside job {number}")
    screen.type("echo in-$((40 + 2))\r")
    screen.wait_for("in-42")
    assert ada.run("job", "kill", number).returncode == 0
    lines = screen.wait(
        lambda lines: (
            any("ends-under-a-shell" in line and "cancelled" in line for line in lines)
            and "F10Quit" in lines[-1].replace(" ", "")
        )
    )
    assert "in-42" not in "\n".join(lines)
    screen.type("x")
    screen.wait_for("cannot open a shell", "it has ended already", f"labbox job rerun {number}")


def test_the_verb_on_a_terminal_follows_the_window_too(ada: Person, login: Login) -> None:
    number = running(ada, "by-its-verb", "sleep 600")
    screen = login("job", "shell", number, rows=20, columns=70)
    screen.type(FOLLOWS.format(rows=20, columns=70))
    screen.wait_for("now 20x70")
    screen.resize(44, 121)
    screen.type(FOLLOWS.format(rows=44, columns=121))
    screen.wait_for("now 44x121")
    screen.type("\x04")
    assert screen.ended() == 0
    piped = ada.run("job", "shell", number, stdin=b"echo $((6 * 7))-by-a-pipe; exit\n")
    assert piped.returncode == 0
    assert "42-by-a-pipe" in piped.stdout
    ada.run("job", "kill", number)
    ada.run("job", "wait", number)
    refused = ada.run("job", "shell", number)
    assert refused.returncode == 1
    assert f"cannot open a shell in job {number}: it has ended already" in refused.stderr
    assert f"hint: ssh … job rerun {number} " in refused.stderr


def test_i_hands_lines_to_the_run_and_ends_its_input(ada: Person, login: Login) -> None:
    script = 'while read -r line; do echo "heard <$line>"; done; echo its-input-has-ended'
    number = running(ada, "listens", script, "--stdin")
    screen = login()
    in_the_screens(screen, "listens")
    screen.type("i")
    screen.wait_for(f"Input for job {number}", "End of input")
    screen.type("größe 3; echo $HOME\r")
    wait_for(lambda: "heard <größe 3; echo $HOME>" in ada.run("job", "log", number).stdout)
    screen.wait_for(f"Sent to job {number}.")
    screen.wait(lambda lines: not any("Input for job" in line for line in lines))
    screen.type("i")
    screen.wait_for(f"Input for job {number}")
    screen.type("last")
    screen.wait_for("last")
    screen.press("\t")
    screen.press(" ")
    screen.wait_for("[x]")
    screen.press("\t")
    screen.type("\r")
    screen.wait(lambda lines: any("listens" in line and "succeeded" in line for line in lines))
    said = ada.run("job", "log", number).stdout
    assert said.splitlines()[-2:] == ["heard <last>", "its-input-has-ended"]
