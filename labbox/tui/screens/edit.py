"""Forms that change a job: run it again with edits, or change it while it waits."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labbox.errors import LabboxError
from labbox.groups import check_parallel, parse_change
from labbox.model import JobKind
from labbox.protocol import Job, JobDetail, JobEdit
from labbox.text import duration_text, visible_line
from labbox.tui.format import size_text
from labbox.tui.widgets.dialog import Field, Form, Prompt
from labbox.units import parse_cpus, parse_duration, parse_size

if TYPE_CHECKING:
    from labbox.tui.screens.base import Pane


def optional(check: Callable[[str], Any]) -> Callable[[str], object]:
    """The check, for a field that may stay empty: then None."""
    return lambda text: check(text.strip()) if text.strip() else None


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise LabboxError(
            "invalid", f"cannot read “{text}” as a whole number", "Write a number such as 5."
        ) from None


def at_once(text: str) -> int:
    """How many jobs of a group may run at once."""
    parallel = whole(text)
    check_parallel(parallel)
    return parallel


def words(text: str) -> tuple[str, ...]:
    """A command line as words."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise LabboxError("invalid", f"cannot read the command: {error}", "Close the quotes.") from None


def environment(text: str) -> dict[str, str]:
    """``A=1 B='two words'`` as variables."""
    found: dict[str, str] = {}
    for word in words(text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise LabboxError(
                "invalid", f"cannot read “{word}” as a variable", "Write KEY=VALUE, with spaces between."
            )
        found[key] = value
    return found


def _fields(detail: JobDetail, command: bool) -> list[Field]:
    job = detail.job
    limit = "" if detail.time_limit is None else duration_text(detail.time_limit)
    name = Field("name", "Name", visible_line(job.name), check=optional(str))
    if job.kind is JobKind.TRANSFER:  # it takes no CPUs, memory or GPUs of the runs
        return [
            name,
            Field("time_limit", "Time limit", limit, "none", optional(parse_duration)),
            Field("priority", "Priority", str(job.priority), check=optional(whole)),
            Field("retries", "Retries", str(detail.retries), check=optional(whole)),
            Field("group", "Group", job.group or "", "none", parse_change),
        ]
    fields = [
        name,
        Field("cpus", "CPUs", f"{job.resources.cpus:g}", check=optional(parse_cpus)),
        Field("memory", "Memory", size_text(job.resources.memory), check=optional(parse_size)),
        Field("gpus", "GPUs", str(job.resources.gpus), check=optional(whole)),
        Field("time_limit", "Time limit", limit, "none", optional(parse_duration)),
        Field("priority", "Priority", str(job.priority), check=optional(whole)),
        Field("retries", "Retries", str(detail.retries), check=optional(whole)),
        Field("group", "Group", job.group or "", "none", parse_change),
    ]
    if command:
        fields.insert(
            1, Field("command", "Command", visible_line(shlex.join(detail.command)), check=optional(words))
        )
        variables = visible_line(shlex.join(f"{key}={value}" for key, value in detail.spec.env.items()))
        fields.append(Field("env", "Variables", variables, "KEY=VALUE …", environment))
        fields.append(Field("network", "Network", flag=detail.network))
        fields.append(Field("fresh", "New snapshot", flag=False))
    return fields


def _changed(fields: list[Field], answer: dict[str, Any]) -> JobEdit:
    """Only what differs from what the form began with."""
    changes: dict[str, Any] = {}
    for field in fields:
        value = answer[field.key]
        before = field.flag if field.flag is not None else field.check(field.value)
        if value != before:
            changes[field.key] = value
    return JobEdit(**changes)


async def rerun(pane: Pane, job: Job) -> None:
    """Ask what to change, then run it again as a new job."""
    detail = await pane.ask(lambda: pane.lab.client.show_job(job.id))
    fields = _fields(detail, command=True)
    answer = await pane.app.push_screen_wait(Form(f"Run job {job.id} again", fields, "Run"))
    if answer is not None:
        edit = _changed(fields, answer)
        made = await pane.ask(lambda: pane.lab.client.rerun_job(job.id, edit))
        pane.lab.say(f"Job {made.id} runs job {job.id} again.")


async def change(pane: Pane, job: Job) -> None:
    """Ask what to change in a job that waits."""
    detail = await pane.ask(lambda: pane.lab.client.show_job(job.id))
    fields = _fields(detail, command=False)
    answer = await pane.app.push_screen_wait(Form(f"Change job {job.id}", fields, "Change"))
    if answer is not None:
        edit = _changed(fields, answer)
        await pane.ask(lambda: pane.lab.client.edit_job(job.id, edit))
        pane.lab.say(f"Job {job.id} is changed.")


async def limit_group(pane: Pane, job: Job) -> None:
    """Ask how many jobs of the job's group may run at once."""
    name = job.group
    if name is None:
        pane.lab.say(f"Job {job.id} is in no group.")
        return
    client = pane.lab.client
    groups = (await pane.ask(lambda: client.list_groups(job.owner))).groups
    present = next((group.parallel for group in groups if group.name == name), None)
    value = "" if present is None else str(present)
    answer = await pane.app.push_screen_wait(
        Prompt(f"Group {visible_line(name)}", "Max. parallel", value, "no limit", optional(at_once))
    )
    if answer is not None:
        parallel = answer["text"] if isinstance(answer["text"], int) else None
        await pane.ask(lambda: client.set_group(name, parallel, job.owner))
        limit = "no limit" if parallel is None else f"{parallel} at once"
        pane.lab.say(f"Group {visible_line(name)}: {limit}.")
