"""A project folder: what stands in it, what would run, and what is wrong with it.

Two layouts. *Halves*: `code/` and `input/` beside each other, what describes the environment in `code/` or
beside it. *Flat*: everything but `input/` and `output/` is code. While it runs, code is `/code` and input is
`/input`; the names `input` and `output` in the code lead there, so that a script that was written beside its
data finds it. What else stands beside `code/` is there too: then the run sees the whole folder at
`/project`, with `code`, `input` and `output` in it, and starts in `/project/code`, or in `/project` where its
command names files from there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from labbox.files import batchlines, jobtoml
from labbox.files.entries import Choice, choose, language
from labbox.files.entries import TemplateView as TemplateView
from labbox.files.firstline import obeyed
from labbox.files.following import Meter
from labbox.files.ignoring import Ignore, ignoring
from labbox.files.jobtoml import JobFile
from labbox.files.listing import FOLDER_FLAGS, Listing, shown, walk
from labbox.files.naming import names_from
from labbox.files.pointers import Stand, empty, modules, pointers
from labbox.files.reading import names_in, read_plain
from labbox.files.software.asked import ProjectFile, Recipe, Software
from labbox.files.software.finding import Found
from labbox.files.software.scripts import BEGINS
from labbox.files.tree import Half
from labbox.files.understanding import understand_folder, understand_script
from labbox.files.windows import as_saved, is_marked, is_utf16, plain_text
from labbox.model import MIB, JobSpec, Resources, Value
from labbox.protocol import Finding, Inspection
from labbox.text import format_bytes, visible_line

CODE, INPUT, OUTPUT = "code", "input", "output"
RESULTS = "jobs"  # the link in every home
LARGE: Final = (
    256 * MIB
)  # bytes of one file of code; data belongs into input/, where nothing is built from it
_LINKS: Final = ((INPUT, "/input"), (OUTPUT, "/output"))
_MAX_FINDINGS: Final = 100
_SCRIPT: Final = 1 << 16  # bytes of a script that are looked at
_PROGRAMS: Final = (
    ".py", ".m", ".jl", ".sh", ".R", ".r", ".Rmd", ".ipynb", ".qmd", ".pl", ".smk", ".c", ".cpp", ".h",
    ".f90", "Makefile", "Snakefile",
)  # fmt: skip
_READING_ENDS: Final = (".py", ".m", ".jl")  # what runs these reads carriage returns as it does newlines
_NOTEBOOK: Final = 4 * MIB  # bytes of a notebook that are looked at
_MOST_PROGRAMS: Final = 1000  # files of code of which the first bytes are looked at
_MOST_NAMED: Final = 6  # names in a sentence
_MAX_NAME: Final = 64  # letters of a job's name that comes from its folder


class TemplateLike(Protocol):
    """What is asked of a template; `labbox.custom.Template` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def title(self) -> str: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def entries(self) -> tuple[str, ...]: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def command(self) -> tuple[str, ...]: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def image(self) -> str | None: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def unavailable(self) -> str: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def fallback(self) -> str | None: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def requires(self) -> tuple[str, ...]: ...  # noqa: D102 - as at labbox.custom.Template
    @property
    def env(self) -> dict[str, str]: ...  # noqa: D102 - as at labbox.custom.Template


class Defaults(Value):
    """What the box gives where neither person nor project says anything."""

    resources: Resources = Resources()
    time_limit: float | None = None  # seconds
    dockerfiles: bool = False  # a project's own Dockerfile is built here


class ProjectPlan(Value):
    """What a submission needs to know. What `asked` leaves None neither the person nor `job.toml` said."""

    asked: JobSpec
    name: str
    command: tuple[str, ...]
    entry: str | None = None  # relative to the code
    template: str | None = None
    files: tuple[ProjectFile, ...] = ()
    software: Software = Software()
    submit_on_push: bool = False
    at_top: bool = False  # the command starts in the folder that `code/` stands in


class Look(NamedTuple):
    """A project folder that was looked at, ready to be snapshotted while its descriptors are open."""

    inspection: Inspection
    plan: ProjectPlan | None  # None where a finding is an error
    identity: tuple[int, int]
    code: Half
    input: Half | None
    beside: Half | None = None  # what else stands beside `code/`


def template_view(template: TemplateLike) -> TemplateView:
    """The part of a template that travels to a worker."""
    return TemplateView(
        name=template.name,
        title=template.title,
        entries=template.entries,
        command=template.command,
        image=template.image,
        unavailable=template.unavailable,
        fallback=template.fallback,
        missing=tuple(name for name in template.requires if not template.env.get(name)),
    )


def inspect(
    path: Path, spec: JobSpec, templates: Sequence[TemplateLike], defaults: Defaults | None = None
) -> Inspection:
    """Look at the folder `path`; LabboxError only where it cannot be looked at at all."""
    with ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        known = tuple(template_view(one) for one in templates)
        return look(descriptor, str(path), spec, known, defaults or Defaults(), Meter(), stack).inspection


def look(
    descriptor: int,
    path: str,
    spec: JobSpec,
    templates: Sequence[TemplateView],
    defaults: Defaults,
    meter: Meter,
    stack: ExitStack,
    places: Sequence[str] = (),
) -> Look:
    """Look at an open project folder, called `path` by people; what is opened for it `stack` closes.

    `places`: the addresses of the box's own package indexes.
    """
    return _Looking(descriptor, path, spec, templates, defaults, meter, stack, places).run()


class _Looking:
    def __init__(
        self,
        descriptor: int,
        path: str,
        spec: JobSpec,
        templates: Sequence[TemplateView],
        defaults: Defaults,
        meter: Meter,
        stack: ExitStack,
        places: Sequence[str],
    ) -> None:
        self._places = frozenset(places)
        self._top, self._path, self._spec = descriptor, path, spec
        self._templates, self._defaults = templates, defaults
        self._meter, self._stack = meter, stack
        self._findings: list[Finding] = []
        self._left: list[str] = []  # what is never handed in, as it was come across

    def run(self) -> Look:
        self._meter.begin("looking", unit="files")
        halves = self._open(CODE) if self._is_halves() else None
        understood = understand_folder(self._top, halves, self._places, self._meter.tick)
        job = understood.job
        self._findings += understood.job_findings
        ignore = ignoring(job.ignore)
        code_at = self._top if halves is None else halves
        prefix = "" if halves is None else f"{CODE}/"
        code = self._half(code_at, ignore, prefix, frozenset() if prefix else self._beside_code())
        data = self._input(ignore)
        top = code.listing.folders[0]
        choice = choose(
            top,
            [folder for folder in code.listing.folders if folder.depth == 1],
            prefix,
            self._spec,
            job,
            self._templates,
            image_made_by=self._made_by(understood.found.software.recipe),
            language_of=lambda name: language(read_plain(code_at, name, _NOTEBOOK) or b""),
        )
        choice, shell = self._as_written(choice, code_at)
        choice, converted = self._in_plain(choice, code.listing, code_at, prefix)
        self._findings += choice.findings
        self._check_encodings(code.listing, converted, code_at, prefix)
        self._check_code(code.listing, choice, code_at, prefix)
        found = self._with_script(understood.found, choice, code_at, prefix)
        self._findings += found.findings
        files = found.files
        self._check_shell(choice, shell, found.software, job)
        beside, at_top = None, False
        if halves is not None:
            at_top = names_from(choice.command, self._top, halves, aside=(INPUT, OUTPUT))
            beside = self._beside(ignore, {jobtoml.NAME, *(file.name for file in files)}, at_top)
        self._check_pointers((code, prefix), (data, f"{INPUT}/"), (beside, ""))
        self._say_what_is_left()
        return self._look(job, choice, found, (code, data, beside), prefix, at_top)

    def _beside(self, ignore: Ignore, ours: set[str], at_top: bool) -> Half | None:
        """What stands beside `code/` and `input/`; None where that is but what labbox itself reads."""
        found = self._half(self._top, ignore, "", self._beside_code() | {CODE}, beside=True)
        top = found.listing.folders[0]
        names = [*(one.name for one in top.files), *(one.name for one in top.links)]
        names += [f"{one.name}/" for one in found.listing.folders if one.depth == 1]
        if not at_top and not set(names) - ours:
            return None
        count, size = found.listing.total, format_bytes(found.listing.size)
        where = "starts in /project" if at_top else "starts in /project/code, so that ../ leads to them"
        files = f"{count:,} file{'' if count == 1 else 's'}"
        self._ok(f"beside {CODE}/: {_named(names)} ({files}, {size}); it {where}")
        return found

    def _say_what_is_left(self) -> None:
        output = self._open(OUTPUT)
        if output is not None and names_in(output):
            self._left.append(f"{OUTPUT}/")
        if self._left:
            self._ok(f"left out: {_named(self._left)}")

    def _as_written(self, choice: Choice, code: int) -> tuple[Choice, str]:
        """The command that an entry's first line asks for, as Windows saves it; and its shell's package."""
        template = next((one for one in self._templates if one.name == choice.template), None)
        head = None if choice.entry is None else read_plain(code, choice.entry, 1 << 16)
        if choice.entry is None or template is None or head is None:
            return choice, ""
        asked = obeyed(choice.command, choice.entry, head, template)
        said = (Finding(level="ok", text=visible_line(asked.said)),) if asked.said else ()
        command = as_saved(asked.command, choice.entry, head)
        return choice._replace(command=command, findings=(*choice.findings, *said)), asked.package

    def _check_shell(self, choice: Choice, package: str, software: Software, job: JobFile) -> None:
        """A shell that nothing brings."""
        named = self._spec.image or job.image or software.recipe is not None
        there = {package, "tcsh"} if package == "csh" else {package}  # tcsh brings both names
        if package and not named and not there & set(software.packages):
            entry = visible_line(choice.entry or "")
            text = f"{entry} asks for {package}, which only apt.txt or an image brings"
            self._warn(text, f"write {package} into apt.txt", entry)

    def _with_script(self, found: Found, choice: Choice, code: int, prefix: str) -> Found:
        """What the script that runs says of itself is asked for too."""
        words = (choice.entry,) if choice.entry is not None else choice.command
        name = next((word for word in words if word.endswith(".py") and "/" not in word), None)
        content = None if name is None else read_plain(code, name, _SCRIPT)
        if name is None or content is None or BEGINS not in content:
            return found
        more = understand_script(
            prefix + name, content[:_SCRIPT], found.software, self._places, self._meter.tick
        )
        return replace(found, software=more.software, findings=(*found.findings, *more.findings))

    def _made_by(self, recipe: Recipe | None) -> str | None:
        """The Dockerfile whose own command may run, where the box builds such files."""
        return recipe.file if recipe is not None and recipe.command and self._defaults.dockerfiles else None

    def _is_halves(self) -> bool:
        """Whether `code/` is the code: not where an entry stands in the top folder alone."""
        descriptor = self._open(CODE)
        if descriptor is None:
            return False
        entries = {name for template in self._templates for name in template.entries}
        here = entries & set(names_in(self._top))
        return not here or bool(entries & set(names_in(descriptor)))

    def _open(self, name: str) -> int | None:
        try:
            descriptor = os.open(name, FOLDER_FLAGS, dir_fd=self._top)
        except PermissionError:
            self._error(
                f"cannot read {name}/: you may not", f"make it readable: chmod u+rx {name}", f"{name}/"
            )
            return None
        except OSError:
            return None
        self._stack.callback(os.close, descriptor)
        return descriptor

    def _beside_code(self) -> frozenset[str]:
        """What of a flat folder is not code; a home that is handed in whole has the link to its results."""
        return frozenset({INPUT, OUTPUT, RESULTS} if self._path in ("", ".") else {INPUT, OUTPUT})

    def _half(
        self,
        descriptor: int,
        ignore: Ignore,
        prefix: str,
        excluded: frozenset[str],
        *,
        beside: bool = False,
    ) -> Half:
        def noting(path: str, name: str, folder: bool) -> bool:
            out = ignore(path, name, folder)
            if out and len(self._left) <= _MOST_NAMED:
                self._left.append(f"{path}/" if folder else path)
            return out

        def listing(rule: Ignore = ignore) -> Listing:
            found = walk(descriptor, rule, excluded=excluded, prefix=prefix, tick=self._meter.tick)
            if beside:  # what cannot go along is left out, and said: nobody asked for it by name
                return Listing(found.folders, [replace(one, fatal=False) for one in found.problems])
            return found

        found = listing(noting)
        self._report_problems(found)
        links: tuple[tuple[str, str], ...] = ()
        if prefix != f"{INPUT}/" and not beside:
            names = {one.name for one in found.folders[0].files} | {
                one.name for one in found.folders[0].links
            }
            names |= {folder.name for folder in found.folders if folder.depth == 1}
            links = tuple(link for link in _LINKS if link[0] not in names)
        return Half(descriptor=descriptor, listing=found, prefix=prefix, links=links, again=listing)

    def _input(self, ignore: Ignore) -> Half | None:
        descriptor = self._open(INPUT)
        if descriptor is not None:
            half = self._half(descriptor, ignore, f"{INPUT}/", frozenset())
            count, size = half.listing.total, format_bytes(half.listing.size)
            self._ok(f"{INPUT}/ holds {count:,} file{'' if count == 1 else 's'}, {size}")
            return half
        try:
            os.stat(INPUT, dir_fd=self._top, follow_symlinks=False)
        except OSError:
            self._ok("there is no input/ folder: /input will be empty")
        else:
            hint = "make input a folder and copy into it what the job reads"
            self._error("cannot hand in “input”: it is no folder", hint, INPUT)
        return None

    def _report_problems(self, listing: Listing) -> None:
        for problem in listing.problems[:_MAX_FINDINGS]:
            if problem.fatal:
                self._error(problem.error().message, problem.hint, visible_line(problem.path))
            else:
                self._warn(f"{shown(problem.path)}: {problem.text}", problem.hint, visible_line(problem.path))
        if len(listing.problems) > _MAX_FINDINGS:
            more = len(listing.problems) - _MAX_FINDINGS
            self._warn(f"{more:,} more paths have such problems", "correct these first")

    def _check_pointers(self, *halves: tuple[Half | None, str]) -> None:
        """What git, its LFS and its annex would bring, and did not."""
        stands: dict[Stand, list[str]] = {stand: [] for stand in Stand}
        named = modules(self._top)
        for half, prefix in halves:
            if half is None:
                continue
            for path, stand in pointers(half.descriptor, half.listing, self._meter.tick):
                stands[stand].append(prefix + path)
            # A commit has no empty folders but the places of other repositories.
            stands[Stand.MODULE] += [
                prefix + path
                for path in empty(half.listing)
                if self._spec.commit is not None or prefix + path in named
            ]
        for stand, found in stands.items():
            if found:
                some = ", ".join(visible_line(path) for path in found[:3])
                more = f" and {len(found) - 3} more" if len(found) > 3 else ""
                words, hint = stand.value
                self._warn(f"{some}{more}: {words}", hint, visible_line(found[0]))

    def _check_code(self, listing: Listing, choice: Choice, code: int, prefix: str) -> None:
        for file in listing.files():
            if file.size > LARGE:
                name = visible_line(prefix + file.path)
                self._warn(
                    f"{shown(prefix + file.path)} is large for code: {format_bytes(file.size)}",
                    "move data to input/",
                    name,
                )
        if choice.entry is None:
            return
        name = prefix + choice.entry
        head = read_plain(code, choice.entry, 1 << 16)
        if head is None:
            return
        if not head.strip():
            self._warn(f"{name} is empty", "write into it what should run", name)
        if (said := batchlines.told(plain_text(head))) is not None:
            self._warn(f"{name}: {said[0]}", said[1], name)
        first, newline, _ = head.partition(b"\n")
        if is_marked(head) and name.endswith((".sh", ".R")) and not is_utf16(head):
            self._ok(f"{name} is read as Windows saves it")
        elif newline and b"\r\n" in head and first.startswith(b"#!") and not name.endswith(_READING_ENDS):
            hint = f"convert it: sed -i 's/\\r$//' {name}"
            self._warn(f"{name} has Windows line endings, at which shells fail", hint, name)

    def _in_plain(
        self, choice: Choice, listing: Listing, code: int, prefix: str
    ) -> tuple[Choice, str | None]:
        """With what runs of a program that somebody's own command names in UTF-16; and what is made plain."""
        words = {word.removeprefix("./").removeprefix(prefix): word for word in choice.command}
        files = (one.path for one in listing.files() if one.path in words and one.path.endswith(_PROGRAMS))
        for path in files if choice.entry is None else (choice.entry,):
            head = read_plain(code, path, 4) or b""
            if is_utf16(head):
                name = visible_line(prefix + path)
                text = f"{name} is in UTF-16, as PowerShell's > writes it: what runs is made UTF-8"
                if choice.entry is None:
                    choice = choice._replace(command=as_saved(choice.command, words[path], head))
                said = Finding(level="ok", text=text)
                return choice._replace(findings=(*choice.findings, said)), path
        return choice, choice.entry

    def _check_encodings(self, listing: Listing, runs: str | None, code: int, prefix: str) -> None:
        """Programs beside the one that runs: nothing makes a plain copy of them."""
        programs = (one.path for one in listing.files() if one.path.endswith(_PROGRAMS))
        for path in islice(programs, _MOST_PROGRAMS):
            if path == runs:
                continue
            name = visible_line(prefix + path)
            if is_utf16(read_plain(code, path, 4) or b""):
                hint = (
                    f"save it as UTF-8: iconv -f UTF-16 -t UTF-8; in PowerShell:"
                    f" (Get-Content {name}) | Set-Content -Encoding utf8 {name}"
                )
                text = f"{name} is in UTF-16, as PowerShell's > writes it: what runs it reads UTF-8"
                self._warn(text, hint, name)
            elif path.endswith(".sh"):
                self._check_ends(code, path, prefix)

    def _check_ends(self, code: int, path: str, prefix: str) -> None:
        """A shell script that another one calls: nothing makes a plain copy of it."""
        head = read_plain(code, path, _SCRIPT) or b""
        if b"\r\n" in head:
            name = visible_line(prefix + path)
            hint = f"convert it: sed -i 's/\\r$//' {name}"
            self._warn(f"{name} has Windows line endings, at which shells fail", hint, name)

    def _look(
        self,
        job: JobFile,
        choice: Choice,
        found: Found,
        halves: tuple[Half, Half | None, Half | None],
        prefix: str,
        at_top: bool,
    ) -> Look:
        code, data, beside = halves
        asked = merge(self._spec, job)
        resources = Resources(
            cpus=asked.cpus if asked.cpus is not None else self._defaults.resources.cpus,
            memory=asked.memory if asked.memory is not None else self._defaults.resources.memory,
            gpus=asked.gpus if asked.gpus is not None else self._defaults.resources.gpus,
        )
        name = asked.name or _folder_name(self._path)
        inspection = Inspection(
            path=visible_line(self._path),
            name=name,
            entry=None if choice.entry is None else prefix + choice.entry,
            command=choice.command,
            template=choice.template,
            dependencies=tuple(file.name for file in found.files),
            code_files=code.listing.total,
            code_bytes=code.listing.size,
            input_files=0 if data is None else data.listing.total,
            input_bytes=0 if data is None else data.listing.size,
            resources=resources,
            time_limit=asked.time_limit if asked.time_limit is not None else self._defaults.time_limit,
            network=bool(asked.network),
            findings=tuple(self._findings),
            array=asked.array,
            submit_on_push=job.git.submit,
        )
        plan = ProjectPlan(
            asked=_with_variables(asked, found.software),
            name=name,
            command=choice.command,
            entry=choice.entry,
            template=choice.template,
            files=found.files,
            software=found.software,
            submit_on_push=job.git.submit,
            at_top=at_top,
        )
        status = os.fstat(self._top)
        wrong = any(finding.level == "error" for finding in self._findings)
        return Look(inspection, None if wrong else plan, (status.st_dev, status.st_ino), code, data, beside)

    def _ok(self, text: str) -> None:
        self._findings.append(Finding(level="ok", text=text))

    def _warn(self, text: str, hint: str, file: str = "") -> None:
        self._findings.append(Finding(level="warning", text=text, hint=hint, file=file))

    def _error(self, text: str, hint: str, file: str = "") -> None:
        self._findings.append(Finding(level="error", text=text, hint=hint, file=file))


def _named(names: Sequence[str]) -> str:
    told = ", ".join(visible_line(one) for one in names[:_MOST_NAMED])
    return told + (", …" if len(names) > _MOST_NAMED else "")


def merge(spec: JobSpec, job: JobFile) -> JobSpec:
    """What the person asks for, and where they say nothing what `job.toml` says."""
    return JobSpec(
        path=spec.path,
        name=spec.name or (None if job.name is None else visible_line(job.name)),
        command=spec.command or job.words(),
        image=spec.image or job.image,
        template=spec.template or job.template,
        cpus=spec.cpus if spec.cpus is not None else job.cpus,
        memory=spec.memory if spec.memory is not None else job.memory,
        gpus=spec.gpus if spec.gpus is not None else job.gpus,
        time_limit=spec.time_limit if spec.time_limit is not None else job.time,
        priority=spec.priority or job.priority or 0,
        after=spec.after,
        array=spec.array or job.array,
        sweep=spec.sweep or job.sweeps(),
        parallel=spec.parallel if spec.parallel is not None else job.parallel,
        group=spec.group or job.group,
        deliver=spec.deliver or job.deliver,
        retries=spec.retries if spec.retries is not None else job.retries,
        hold=spec.hold,
        start_at=spec.start_at,
        network=spec.network if spec.network is not None else job.network,
        env={**job.variables(), **spec.env},
        stdin=spec.stdin or job.stdin,
        project=spec.project,
        commit=spec.commit,
    )


def _with_variables(asked: JobSpec, software: Software) -> JobSpec:
    """With the variables of an environment.yml, which yield to those of the job."""
    if software.conda is None or not software.conda.variables:
        return asked
    return replace(asked, env={**software.conda.variables, **asked.env})


def _folder_name(path: str) -> str:
    name = visible_line(path.rstrip("/").rpartition("/")[2])
    return name[:_MAX_NAME] if name not in ("", ".", "..", "~") else "home"
