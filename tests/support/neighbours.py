"""Somebody else's jobs, which go on while one person does something foolish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from person import Person, wait_for


@contextmanager
def jobs_that_go_on(person: Person) -> Iterator[Callable[[], None]]:
    """Two jobs, one running and one that waits for it; call what is given to see both end well.

    The first ends when it is told to, so both were there meanwhile.
    """
    person.project("told", {"code/run.sh": 'echo began; read -r word; echo "$word" >/output/word\n'})
    person.project("after-it", {"code/run.sh": "echo after\n"})
    first = person.run(
        "job", "submit", "told", "--quiet", "--stdin", "--memory", "64M", "--cpus", "0.2"
    ).stdout.strip()
    wait_for(lambda: "began" in person.run("job", "log", first).stdout)
    second = person.run("job", "submit", "after-it", "--quiet", "--after", first).stdout.strip()

    def go_on() -> None:
        running, waiting = person.job(first), person.job(second)
        assert (running["state"], waiting["state"]) == ("running", "queued"), (running, waiting)
        told = person.run("job", "input", first, stdin=b"onward\n")
        assert told.returncode == 0, told.stderr
        assert person.run("job", "log", second, "--follow").stdout == "after\n"
        ended = [person.job(number) for number in (first, second)]
        assert [(job["state"], job["exit_code"], job["attempt"]) for job in ended] == [
            ("succeeded", 0, 1)
        ] * 2
        folder = str(ended[0]["results"]).removeprefix("jobs/")
        word = person.box.state / "results" / person.name / folder / "output/word"
        assert word.read_text() == "onward\n"

    try:
        yield go_on
    finally:
        for number in (second, first):
            if person.job(number)["ended_at"] is None:
                person.run("job", "kill", number)
