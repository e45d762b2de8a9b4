"""What can be done with jobs, wherever jobs are at hand: the marked ones, else the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from labbox.errors import LabboxError
from labbox.model import FINAL, JobKind
from labbox.protocol import Job, JobEdit
from labbox.text import counted, visible_line
from labbox.tui.format import name_of
from labbox.tui.screens.base import Pane

if TYPE_CHECKING:
    from labbox.client import Client

_DONE = {
    "cancel": "is being cancelled",
    "kill": "was killed",
    "hold": "is held",
    "release": "was released",
    "pause": "is paused",
    "resume": "goes on",
    "retry": "gets another attempt",
}


class JobPane(Pane):
    """A screen with jobs at hand."""

    def job_here(self) -> Job | None:
        """The one job that a look is about."""
        raise NotImplementedError

    def jobs_meant(self) -> list[int]:
        """The ids that a deed is about: the marked ones, else the one here."""
        job = self.job_here()
        return [job.id] if job else []

    def deed_done(self) -> None:
        """A deed went through; take the marks away."""

    def _here(self) -> Job | None:
        job = self.job_here()
        if job is None:
            self.lab.say("There is no job under the cursor.")
        return job

    # Looks.

    def action_log(self) -> None:
        """Open the log; of an array its elements, each of which has one."""
        if job := self._here():
            if job.kind is JobKind.ARRAY:
                self.action_elements()
                return
            from labbox.tui.screens.log import LogScreen

            self.app.push_screen(LogScreen(job))

    def action_info(self) -> None:
        """Open the details."""
        if job := self._here():
            from labbox.tui.screens.detail import DetailScreen

            self.app.push_screen(DetailScreen(job))

    def action_history(self) -> None:
        """Open the history."""
        if job := self._here():
            from labbox.tui.screens.history import HistoryScreen

            self.app.push_screen(HistoryScreen(job))

    def action_results(self) -> None:
        """Open the result files."""
        if job := self._here():
            from labbox.tui.screens.results import ResultsScreen

            self.app.push_screen(ResultsScreen(job))

    def action_elements(self) -> None:
        """Open the grid of an array."""
        job = self._here()
        if job is None:
            return
        if job.kind is not JobKind.ARRAY:
            self.lab.say(f"Job {job.id} is no array.")
            return
        from labbox.tui.screens.array import ArrayScreen

        self.app.push_screen(ArrayScreen(job))

    def action_graph(self) -> None:
        """Open the graph of dependencies."""
        if job := self._here():
            from labbox.tui.screens.graph import GraphScreen

            self.app.push_screen(GraphScreen(job))

    def action_why(self) -> None:
        """Say why the job waits, or ended as it did."""
        if job := self._here():
            from labbox.tui.screens.history import show_why

            self.attempt(show_why(self, job))

    def action_copy_id(self) -> None:
        """Put the id on the terminal's clipboard (OSC 52)."""
        ids = " ".join(str(job) for job in self.jobs_meant())
        if ids:
            self.app.copy_to_clipboard(ids)
            self.lab.say(f"Copied: {ids}")

    # Deeds.

    def action_cancel(self) -> None:
        """Cancel after a question."""
        how = "It is asked to end, and what it wrote is kept."
        self.attempt(self._end("cancel", how, lambda client, job: client.cancel_job(job)))

    async def _end(self, verb: str, how: str, deed: Callable[[Client, int], object]) -> None:
        from labbox.tui.widgets.dialog import Confirm

        ids = self.jobs_meant()
        if not ids:
            self.lab.say("There is no job under the cursor.")
            return
        if len(ids) == 1:
            job = self.job_here()
            if job and job.id == ids[0] and job.state in FINAL:
                self.lab.say(f"Job {job.id} has ended already; R runs it again.")
                return
            name = f" “{name_of(job)}”" if job and job.id == ids[0] else ""
            question = f"{verb.capitalize()} job {ids[0]}{name}?\n{how}"
        else:
            those = how.replace("It is", "They are").replace("it wrote", "they wrote")
            question = f"{verb.capitalize()} {len(ids)} jobs?\n{those}"
        button = f"{verb.capitalize()} {'it' if len(ids) == 1 else 'them'}"
        if await self.app.push_screen_wait(
            Confirm(verb.capitalize(), question, button, refuse="Let it go on")
        ):
            await self._each(verb, ids, deed)

    def action_kill(self) -> None:
        """Kill at once, after a question."""
        self.attempt(
            self._end("kill", "It is ended by force, at once.", lambda client, job: client.kill_job(job))
        )

    def action_hold(self) -> None:
        """Hold."""
        self._do("hold", lambda client, job: client.hold_job(job))

    def action_release(self) -> None:
        """Release."""
        self._do("release", lambda client, job: client.release_job(job))

    def action_pause(self) -> None:
        """Pause."""
        self._do("pause", lambda client, job: client.pause_job(job))

    def action_resume(self) -> None:
        """Resume."""
        self._do("resume", lambda client, job: client.resume_job(job))

    def action_retry(self) -> None:
        """Try again as it was."""
        self._do("retry", lambda client, job: client.retry_job(job))

    def action_earlier(self) -> None:
        """One priority up."""
        self._shift(1)

    def action_later(self) -> None:
        """One priority down."""
        self._shift(-1)

    def _shift(self, by: int) -> None:
        def change(client: Client, job: int) -> Job:
            present = client.show_job(job).job.priority
            return client.edit_job(job, JobEdit(priority=present + by))

        self._do("priority", change)

    def action_priority(self) -> None:
        """Ask for a priority and set it."""
        self.attempt(self._priority())

    async def _priority(self) -> None:
        from labbox.tui.widgets.dialog import Prompt

        ids = self.jobs_meant()
        job = self.job_here()
        if not ids:
            return
        answer = await self.app.push_screen_wait(
            Prompt("Priority", "Higher goes first", str(job.priority if job else 0), "0", _whole)
        )
        if answer is not None:
            value = answer["text"]
            edit = JobEdit(priority=value if isinstance(value, int) else 0)
            await self._each("priority", ids, lambda client, job: client.edit_job(job, edit))

    def action_group_limit(self) -> None:
        """Say how many jobs of the job's group may run at once."""
        if job := self._here():
            from labbox.tui.screens.edit import limit_group

            self.attempt(limit_group(self, job))

    def action_rerun(self) -> None:
        """Ask what to change, and run the job again as a new one."""
        if job := self._here():
            from labbox.tui.screens.edit import rerun

            self.attempt(rerun(self, job))

    def action_edit(self) -> None:
        """Change a waiting job."""
        if job := self._here():
            from labbox.tui.screens.edit import change

            self.attempt(change(self, job))

    def action_input(self) -> None:
        """Send a line to the job's standard input."""
        if job := self._here():
            self.attempt(self._input(job))

    async def _input(self, job: Job) -> None:
        from labbox.tui.widgets.dialog import Field, Form

        answer = await self.app.push_screen_wait(
            Form(
                f"Input for job {job.id}",
                [Field("text", "Line"), Field("close", "End of input", flag=False)],
                "Send",
            )
        )
        if answer is not None:
            text, close = f"{answer['text']}\n" if answer["text"] else "", bool(answer["close"])
            await self.ask(lambda: self.lab.client.job_input(job.id, text, close))
            self.lab.say(f"Sent to job {job.id}.")

    def action_shell(self) -> None:
        """Leave the screens and be in the job's container."""
        if job := self._here():
            from labbox.tui.shell import run_shell

            self.attempt(run_shell(self.lab, job.id))

    def _do(self, verb: str, deed: Callable[[Client, int], object]) -> None:
        ids = self.jobs_meant()
        if ids:
            self.attempt(self._each(verb, ids, deed))
        else:
            self.lab.say("There is no job under the cursor.")

    async def _each(self, verb: str, ids: list[int], deed: Callable[[Client, int], object]) -> None:
        """Do it to each; one that fails never keeps the others from it."""
        client = self.lab.client

        def all_of_them() -> list[tuple[int, LabboxError]]:
            failed = []
            for job in ids:
                try:
                    deed(client, job)
                except LabboxError as error:
                    failed.append((job, error))
            return failed

        failed = await self.ask(all_of_them)
        done = len(ids) - len(failed)
        if len(ids) == 1 and failed:
            raise failed[0][1]
        words = _DONE.get(verb, "has a new priority")
        if done:
            what = f"Job {ids[0]} {words}." if len(ids) == 1 else f"{counted(done, 'job')}: {verb} done."
            self.lab.say(what)
        if failed:
            lines = "\n".join(f"{job}: {visible_line(error.message)}" for job, error in failed[:5])
            more = f"\nand {len(failed) - 5} more" if len(failed) > 5 else ""
            raise LabboxError("conflict", f"cannot {verb} {len(failed)} of {len(ids)} jobs:\n{lines}{more}")
        self.deed_done()


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise LabboxError(
            "invalid", f"cannot read “{text}” as a whole number", "Write a number such as 5."
        ) from None
