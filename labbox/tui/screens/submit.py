"""Hand in a project folder: what was found in it stands beside what can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from textual import events, on
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Label

from labbox.errors import LabboxError
from labbox.groups import parse_group
from labbox.locations import parse as parse_location
from labbox.model import JobKind, JobSpec
from labbox.protocol import InspectBody, Inspection
from labbox.sweeps import parse_array, parse_sweep
from labbox.text import duration_text, format_bytes, visible_line
from labbox.tui.format import ranges, so_many
from labbox.tui.screens.base import Pane
from labbox.tui.screens.edit import environment, optional, whole, words
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.lines import Line, Lines, field, section, wrapped
from labbox.tui.widgets.tick import Tick
from labbox.units import parse_cpus, parse_duration, parse_size, parse_when

_LEVEL: Final = {"ok": ("✓", "good"), "warning": ("!", "warn"), "error": ("✗", "bad")}


def _ids(text: str) -> tuple[int, ...]:
    return tuple(whole(word) for word in text.replace(",", " ").split())


def _sweeps(text: str) -> tuple[Any, ...]:
    return tuple(parse_sweep(word) for word in text.split())


def _location(text: str) -> str:
    return str(parse_location(text))


# (name in the spec, label, example, how it is read)
FIELDS: Final[tuple[tuple[str, str, str, Callable[[str], object]], ...]] = (
    ("path", "Folder", "F3, or sftp://me@pc/study", str),
    ("name", "Name", "the folder's", optional(str)),
    ("command", "Command", "what the folder says", optional(words)),
    ("cpus", "CPUs", "the folder's, such as 2", optional(parse_cpus)),
    ("memory", "Memory", "the folder's, such as 2G", optional(parse_size)),
    ("gpus", "GPUs", "0", optional(whole)),
    ("time_limit", "Time limit", "such as 1h30m", optional(parse_duration)),
    ("array", "Array", "such as 1-20", str),
    ("sweep", "Sweep", "such as lr=0.1,0.2 n=1:5", _sweeps),
    ("parallel", "Max. parallel", "elements at a time", optional(whole)),
    ("group", "Group", "such as sims", optional(parse_group)),
    ("deliver", "Deliver to", "such as sftp://me@pc/out", optional(_location)),
    ("env", "Variables", "KEY=VALUE …", environment),
    ("after", "Start after job", "such as 17 18", _ids),
    ("start_at", "Start at", "such as 08:00 or +2h", optional(parse_when)),
    ("priority", "Priority", "0", optional(whole)),
    ("retries", "Retries", "0", optional(whole)),
)
FLAGS: Final = (("network", "Network"), ("hold", "Hold"), ("stdin", "Keep its input open"))


class SubmitScreen(Pane):
    """The form at the left, the inspection at the right."""

    KEYS = "submit"
    HEADING = "Submit a project folder"
    AUTO_FOCUS = "#submit-path"

    def __init__(self, path: str = "") -> None:
        """Begin with this folder, relative to the home; empty: ask for one."""
        super().__init__()
        self._path = path
        self.inspection: Inspection | None = None
        self._trouble: LabboxError | None = None
        self._inspected = ""

    def body(self) -> Iterator[Widget]:
        """Form and findings."""
        rows = []
        for key, label, example, _ in FIELDS:
            entry = Entry(self._path if key == "path" else "", example=example, id=f"submit-{key}")
            rows.append(Horizontal(Label(label, classes="label"), entry, classes="row"))
        for key, label in FLAGS:
            rows.append(Horizontal(Tick(label, id=f"submit-{key}", compact=True), classes="row flag"))
        yield Horizontal(
            VerticalScroll(*rows, id="submit-form", can_focus=False), Lines(id="submit-found"), id="submit"
        )

    def begin(self) -> None:
        """Ask for a folder where none was given."""
        self._show()
        if self._path:
            self._inspect_soon()
        else:
            self.action_choose()

    def on_key(self, event: events.Key) -> None:
        """Up and Down go through the fields, as in every dialog; Enter goes on."""
        if event.key in ("up", "down"):
            event.stop()
            move = self.focus_previous if event.key == "up" else self.focus_next
            move()
        elif event.key == "enter" and isinstance(self.focused, Tick):
            event.stop()
            self.focus_next()

    # Inspecting.

    @on(Input.Blurred)
    @on(Input.Submitted)
    def left_field(self, event: Input.Blurred | Input.Submitted) -> None:
        """Look at the folder once its name is written; Enter goes to the next field."""
        if event.input.id == "submit-path" and event.value.strip() != self._inspected:
            self._inspect_soon()
        if isinstance(event, Input.Submitted):
            self.focus_next()

    def action_check(self) -> None:
        """Look at the folder again."""
        self._inspect_soon()

    def _inspect_soon(self) -> None:
        path = self.query_one("#submit-path", Input).value.strip()
        self._inspected = path
        if path:
            self.attempt(self._inspect(path), group="inspect", exclusive=True)

    async def _inspect(self, path: str) -> None:
        self.inspection, self._trouble = None, None
        self._show("Looking at the folder…")
        try:
            spec = self._spec()
        except LabboxError:
            spec = JobSpec(path=path)  # the form is not filled in yet; its faults are told when it is sent
        try:
            self.inspection = await self.ask(
                lambda: self.lab.client.inspect(InspectBody(path=path, spec=spec))
            )
        except LabboxError as error:
            self._trouble = error
        self._show()

    def on_resize(self) -> None:
        """Break sentences anew."""
        if self.is_mounted:
            self._show()

    def _show(self, note: str = "") -> None:
        page = self.query_one("#submit-found", Lines)
        width = max(24, page.size.width)
        page.set_lines(found_lines(self.inspection, self._trouble, width, note))

    # Choosing and sending.

    def action_choose(self) -> None:
        """Open the folder chooser."""
        from labbox.tui.screens.folder import FolderDialog

        entry = self.query_one("#submit-path", Input)

        def chosen(path: str | None) -> None:
            if path is not None:
                entry.value = path
                self._inspect_soon()
                self.query_one("#submit-name", Input).focus()

        self.app.push_screen(FolderDialog(entry.value.strip()), chosen)

    def _spec(self) -> JobSpec:
        values: dict[str, Any] = {}
        for key, label, _, check in FIELDS:
            entry = self.query_one(f"#submit-{key}", Input)
            text = entry.value.strip()
            if not text:
                continue
            try:
                values[key] = check(text)
            except LabboxError as error:
                raise LabboxError(error.code, f"{label}: {error.message}", error.hint) from error
        if "array" in values:
            values["array"], parallel = parse_array(values["array"])
            if parallel is not None:
                values.setdefault("parallel", parallel)
        for key, _ in FLAGS:
            if self.query_one(f"#submit-{key}", Checkbox).value:
                values[key] = True
        return msgspec.structs.replace(JobSpec(), **values)

    def action_send(self) -> None:
        """Submit, and open the log, or the elements of what became an array."""
        self.attempt(self._send(), group="send", exclusive=True)

    async def _send(self) -> None:
        spec = self._spec()
        if not spec.path and not spec.command:
            raise LabboxError(
                "invalid", "cannot submit nothing", "Choose a folder with F3, or write a command."
            )
        if spec.path and spec.path != self._inspected:
            self._inspected = spec.path
            await self._inspect(spec.path)
        wrong = [f.text for f in self.inspection.findings if f.level == "error"] if self.inspection else []
        if spec.path and self._trouble is not None:
            raise self._trouble
        if spec.path and wrong:
            raise LabboxError(
                "invalid", f"cannot submit {spec.path}: {wrong[0]}", "The right side says what to mend."
            )
        self._show("Handing it in…")
        job = await self.ask(lambda: self.lab.client.submit_job(spec))
        self.lab.say(f"Job {job.id} is submitted.")
        if job.kind is JobKind.ARRAY:
            from labbox.tui.screens.array import ArrayScreen

            self.app.switch_screen(ArrayScreen(job))
            return
        from labbox.tui.screens.log import LogScreen

        self.app.switch_screen(LogScreen(job))


def _files(number: int, size: int) -> str:
    return f"{so_many(number, 'file')}, {format_bytes(size)}"


def found_lines(
    inspection: Inspection | None, trouble: LabboxError | None, width: int, note: str = ""
) -> list[Line]:
    """The right side as lines."""
    if trouble is not None:
        said = wrapped(visible_line(trouble.message), width, " ", "bad")
        return [[], *said, *wrapped(visible_line(trouble.hint), width, " ", "dim")]
    if inspection is None:
        return [
            [],
            *wrapped(
                note or "Choose a folder: F3. What is in it is shown here before anything runs.",
                width,
                " ",
                "dim",
            ),
        ]
    lines: list[Line] = [[], section("Found")]
    order = {"error": 0, "warning": 1, "ok": 2}
    for finding in sorted(inspection.findings, key=lambda each: order.get(each.level, 1)):
        sign, ink = _LEVEL.get(finding.level, ("·", "dim"))
        place = f" ({finding.file}:{finding.line})" if finding.line is not None else ""
        first, *rest = wrapped(
            visible_line(finding.text + place), width - 5, "", "text" if ink == "good" else ink
        )
        lines.append([(f"  {sign} ", ink), *first])
        lines += [[("    ", "text"), *line] for line in rest]
        if finding.hint:
            lines += wrapped(visible_line(finding.hint), width - 1, "    ", "dim")
    limit = "none" if inspection.time_limit is None else duration_text(inspection.time_limit)
    lines += [
        [],
        section("Would run"),
        field("Command", visible_line(" ".join(inspection.command)) or "–", "bold", 10),
        field("Template", visible_line(inspection.template or "–"), width=10),
        field("Code", _files(inspection.code_files, inspection.code_bytes), width=10),
        field("Input", _files(inspection.input_files, inspection.input_bytes), width=10),
        field(
            "Requests",
            f"{so_many(inspection.resources.cpus, 'CPU')}, {format_bytes(inspection.resources.memory)}",
            width=10,
        ),
        field("Limit", limit, width=10),
        field("Network", "yes" if inspection.network else "no", width=10),
    ]
    if inspection.dependencies:
        lines.insert(-3, field("Needs", visible_line(", ".join(inspection.dependencies)), width=10))
    if inspection.array:
        lines.append(field("Array", ranges(inspection.array), width=10))
    ready = not any(finding.level == "error" for finding in inspection.findings)
    lines += [[], [(" F2 submits it.", "good") if ready else (" It cannot be submitted like this.", "bad")]]
    if note:
        lines.append([(" " + note, "note")])
    return lines
