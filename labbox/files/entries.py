"""Which file of a project runs, and with which command."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from labbox.files.jobtoml import JobFile
from labbox.files.listing import Folder, shown
from labbox.model import JobSpec, Value
from labbox.protocol import Finding
from labbox.text import visible_line

ENTRY: Final = "{entry}"
_NOT_CODE: Final = ("setup.py", "conftest.py", "__init__.py")
_MAKEFILES: Final = ("Makefile", "makefile", "GNUmakefile")
_SNAKEFILE: Final = "Snakefile"
_DOCUMENTS: Final = (".ipynb", ".Rmd", ".qmd")
_WORKFLOW: Final = "write snakemake into requirements.txt, and give a command: -- snakemake --cores all"
_KERNEL: Final = re.compile(rb'"kernelspec"\s*:\s*\{([^{}]{0,2000})\}')
_KERNEL_SAYS: Final = re.compile(rb'"(?:language|name)"\s*:\s*"(ir|[rR]|julia|octave|matlab|bash)\b')


class TemplateView(Value):
    """The part of a template that decides what runs."""

    name: str
    title: str
    entries: tuple[str, ...]
    command: tuple[str, ...]
    image: str | None = None
    unavailable: str = ""
    fallback: str | None = None
    missing: tuple[str, ...] = ()  # the variables it needs (a licence) and does not set itself

    def ending(self) -> str:
        """How its files end: ".py"."""
        return "." + self.entries[0].rpartition(".")[2] if self.entries and "." in self.entries[0] else ""

    def runs(self, word: str) -> bool:
        """Whether a word of a command names the program that it starts."""
        return bool(self.command) and _program(word) == _program(self.command[0])


class Choice(NamedTuple):
    """What would run; `entry` is relative to the code."""

    entry: str | None
    command: tuple[str, ...]
    template: str | None
    findings: tuple[Finding, ...]


def choose(
    top: Folder,
    below: Sequence[Folder],
    prefix: str,
    spec: JobSpec,
    job: JobFile,
    templates: Sequence[TemplateView],
    *,
    image_made_by: str | None = None,
    language_of: Callable[[str], str] = lambda _: "",
) -> Choice:
    """Decide what runs: a command that was given, else the one entry that a template knows.

    `top` is the folder with the code, `below` those directly in it; `prefix` goes before names that people
    see. `image_made_by` is a Dockerfile that says what runs: the command is the image's then, and empty here.
    `language_of` tells a notebook's language, as `language` does.
    """
    asked = spec.template or job.template
    known = {template.name: template for template in templates}
    if asked is not None:
        if asked not in known:
            return _unknown_template(asked, templates)
        templates = [known[asked]]
    names = {file.name for file in top.files}
    command = spec.command or job.words()
    found = _claims(names, templates)
    if command:
        template = templates[0] if asked is not None else _guess(command, found, templates)
        if template is None:
            return Choice(None, command, None, (_ok(f"runs {_words(command)}"),))
        return _with_command(command, template, known, spec, job)
    if len(found) != 1 and image_made_by is not None and asked is None:
        return Choice(None, (), None, (_ok(f"runs the command in {shown(image_made_by)}"),))
    if not found:
        found = _likely(names, templates)
    if not found and asked is None and (made := next((n for n in _MAKEFILES if n in names), None)):
        return Choice(None, ("make",), None, (_ok(f"runs make, which reads {made}"),))
    if not found:
        return Choice(None, (), asked, (_nothing(top, below, prefix, templates, language_of),))
    if len(found) > 1:
        return Choice(None, (), None, (_several(found, prefix),))
    wanted, entry = found[0]
    template = _standing(wanted, known, spec, job)
    if template is None:
        return _unavailable(wanted)
    words = tuple(word.replace(ENTRY, entry) for word in template.command)
    instead = "" if template is wanted else f" in place of {wanted.title}"
    said = _ok(f"runs {entry} with {template.title}{instead}")
    return Choice(entry, words, template.name, (said,))


def _claims(names: Collection[str], templates: Sequence[TemplateView]) -> list[tuple[TemplateView, str]]:
    """Which templates find a file of theirs; one that stands in for another of them does not compete."""
    found = [(one, name) for one in templates if (name := next((e for e in one.entries if e in names), None))]
    return _first_choices(found)


def _first_choices(found: list[tuple[TemplateView, str]]) -> list[tuple[TemplateView, str]]:
    claimed = {template.fallback: name for template, name in found if template.fallback is not None}
    return [(one, name) for one, name in found if claimed.get(one.name) != name]


def _likely(names: Collection[str], templates: Sequence[TemplateView]) -> list[tuple[TemplateView, str]]:
    """What runs though no template knows its name: main, or the only script that there is."""
    found = [
        (template, name)
        for template in templates
        if template.ending() and template.command
        for name in sorted(names)
        if name.endswith(template.ending()) and _is_code(name, templates)
    ]
    mains = [(template, name) for template, name in found if name.rpartition(".")[0].lower() == "main"]
    if mains:
        return _first_choices(mains)
    alone = len({name for _, name in found}) == 1
    others = any(name.endswith(_DOCUMENTS) or name in (*_MAKEFILES, _SNAKEFILE) for name in names)
    return _first_choices(found) if alone and not others else []


def _is_code(name: str, templates: Sequence[TemplateView]) -> bool:
    if name in _NOT_CODE or name.startswith(("test_", ".")):
        return False
    return not any(name.lower() == entry.lower() for template in templates for entry in template.entries)


def _standing(
    template: TemplateView, known: Mapping[str, TemplateView], spec: JobSpec, job: JobFile
) -> TemplateView | None:
    """`template` where it can run, else what stands in for it; None where nothing can.

    Somebody who names an image themselves is believed.
    """
    seen: set[str] = set()
    given = {**job.variables(), **spec.env}
    while template.name not in seen:
        seen.add(template.name)
        lacks_image = template.image is None and bool(template.unavailable or template.fallback)
        lacks_licence = any(not given.get(name) for name in template.missing)
        if spec.image or job.image or not (lacks_image or lacks_licence):
            return template
        if template.fallback is None or template.fallback not in known:
            break
        template = known[template.fallback]
    return None


def _with_command(
    command: tuple[str, ...],
    wanted: TemplateView,
    known: Mapping[str, TemplateView],
    spec: JobSpec,
    job: JobFile,
) -> Choice:
    template = _standing(wanted, known, spec, job)
    if template is None or (template is not wanted and wanted.runs(command[0])):
        return _unavailable(wanted)
    return Choice(None, command, template.name, (_ok(f"runs {_words(command)} with {template.title}"),))


def _unavailable(template: TemplateView) -> Choice:
    why = template.unavailable or f"it needs {' and '.join(template.missing)}"
    hint = "name an image that has it, with --image or in job.toml"
    if template.image is not None:
        hint = f"set {' and '.join(template.missing)} with --env, or ask whoever runs the box"
    text = f"cannot run {template.title} here: {why}"
    return Choice(None, (), None, (Finding(level="error", text=text, hint=hint),))


def _program(word: str) -> str:
    """The program that a word names, without its folder and version: "python" for "/usr/bin/python3.11"."""
    return re.sub(r"[0-9.]+$", "", word.rpartition("/")[2]).lower()


def _guess(
    command: Sequence[str], found: Sequence[tuple[TemplateView, str]], templates: Sequence[TemplateView]
) -> TemplateView | None:
    """The template that fits a given command: by its program, by the files it names, by the only entry."""
    try:
        words = [word for part in command for word in shlex.split(part)]
    except ValueError:
        words = list(command)
    for word in words:
        program = _program(word)
        for template in templates:
            programs = {template.name, template.title.lower(), (template.command or ("",))[0].lower()}
            if program and program in programs and program not in ("sh", "bash"):
                return template
    for word in words:
        for template in templates:
            if template.ending() and word.endswith(template.ending()):
                return template
    return found[0][0] if len(found) == 1 else None


def _several(found: Sequence[tuple[TemplateView, str]], prefix: str) -> Finding:
    named = " and ".join(prefix + name for _, name in found)
    hint = f'choose one in job.toml: template = "{found[0][0].name}"; or give a command there or after --'
    return Finding(level="error", text=f"cannot tell what to run: {named} could both start", hint=hint)


def _nothing(
    top: Folder,
    below: Sequence[Folder],
    prefix: str,
    templates: Sequence[TemplateView],
    language_of: Callable[[str], str],
) -> Finding:
    names = sorted(file.name for file in top.files)
    entries = list(dict.fromkeys(name for template in templates for name in template.entries[:1]))
    where = prefix.rstrip("/") or "the folder"
    text = f"cannot find anything to run: {where} holds none of {', '.join(entries)}"
    return Finding(
        level="error", text=text, hint=_way_out(names, entries, below, prefix, templates, language_of)
    )


def _way_out(
    names: Sequence[str],
    entries: Sequence[str],
    below: Sequence[Folder],
    prefix: str,
    templates: Sequence[TemplateView],
    language_of: Callable[[str], str],
) -> str:
    folded = {entry.lower(): entry for entry in entries}
    for name in names:
        if name.lower() in folded:
            return f"rename {shown(prefix + name)} to {folded[name.lower()]}"
    for folder in below:
        if any(file.name in entries for file in folder.files):
            return f"hand in the folder inside it: {shown(prefix + folder.path)}"
    return (
        _document(names, language_of)
        or _without_scripts(names, below, templates)
        or _of_scripts(names, templates)
    )


def language(notebook: bytes) -> str:
    """A notebook's language where it is not Python: "r", "julia", …; a kernel's own name tells nothing."""
    kernels = _KERNEL.findall(notebook)  # cells may show one; the notebook's own stands last
    said = _KERNEL_SAYS.search(kernels[-1]) if kernels else None
    if said is None:
        return ""
    name = said[1].decode("ascii").lower()
    return "r" if name == "ir" else name


def _without_scripts(names: Sequence[str], below: Sequence[Folder], templates: Sequence[TemplateView]) -> str:
    """What runs where no script stands at the top: a paper, or what stands in a folder of the code."""
    if any(
        template.ending() and name.endswith(template.ending()) for template in templates for name in names
    ):
        return ""
    for name in names:
        quoted = shlex.quote(visible_line(name))
        if name.endswith(".mlx"):
            return f"save {quoted} in MATLAB as a plain code file, and name it app.m"
        if name.endswith(".tex"):
            return (
                "write latexmk and texlive-latex-extra into apt.txt, and give a command: "
                f"-- latexmk -pdf -output-directory=/output {quoted}"
            )
    inside = {f"{folder.path}/{file.name}" for folder in below for file in folder.files}
    if any(path.endswith(f"/{_SNAKEFILE}") and path.startswith(("workflow/", ".")) for path in inside):
        return _WORKFLOW
    known = {template.name: template for template in templates}
    for template in templates:
        works = _standing(template, known, JobSpec(), JobFile())
        if not template.ending() or works is None or not works.command:
            continue
        scripts = sorted(one for one in inside if one.endswith(template.ending()))
        if package := next((one for one in scripts if one.endswith("/__main__.py")), None):
            module = visible_line(package.removesuffix("/__main__.py"))
            return f"give a command: -- {_words((works.command[0], '-m', module))}"
        mains = [one for one in scripts if re.fullmatch(r".*/(main|run|app)\.\w+", one, re.IGNORECASE)]
        chosen = mains or [one for one in scripts if one.rpartition("/")[2] not in _NOT_CODE]
        if len(mains) == 1 or len(chosen) == 1:
            words = tuple(word.replace(ENTRY, visible_line(chosen[0])) for word in works.command)
            return f"give a command: -- {_words(words)}"
    return ""


def _notebook(name: str, spoken: str) -> str:
    quoted = shlex.quote(visible_line(name))
    if spoken == "r":
        script = f"jupyter nbconvert --to script {quoted}"
        return f"{quoted} is in R: where you have it, {script} makes a script; name that app.R"
    if spoken:
        return f"{quoted} is in {spoken}: name an image that has its kernel, and give a command"
    return (
        "write nbconvert and ipykernel into requirements.txt, and give a command: "
        "-- jupyter nbconvert --to notebook --execute "
        f"--ExecutePreprocessor.kernel_name=python3 --output-dir /output {quoted}"
    )


def _document(names: Sequence[str], language_of: Callable[[str], str]) -> str:
    """What runs a notebook, a document of R or LaTeX or a workflow, and keeps what comes out."""
    for name in names:
        quoted = shlex.quote(visible_line(name))
        if name == _SNAKEFILE:
            return _WORKFLOW
        if name.endswith(".ipynb"):
            return _notebook(name, language_of(name))
        if name.endswith(".qmd"):
            made = f"quarto convert {quoted}, where you have it, makes a notebook"
            return f"{made}; or name an image that has quarto"
        if name.endswith(".Rmd"):
            call = shlex.quote(f'rmarkdown::render("{visible_line(name)}", output_dir="/output")')
            return f"write r-cran-rmarkdown into apt.txt, and give a command: -- Rscript -e {call}"
    return ""


def _of_scripts(names: Sequence[str], templates: Sequence[TemplateView]) -> str:
    known = {template.name: template for template in templates}
    for template in templates:
        scripts = [n for n in names if template.ending() and n.endswith(template.ending())]
        scripts = [n for n in scripts if n not in _NOT_CODE]
        works = _standing(template, known, JobSpec(), JobFile())
        if scripts and works is not None and works.command:
            words = tuple(word.replace(ENTRY, scripts[0]) for word in works.command)
            return f"rename the one that runs to {works.entries[0]}, or give a command: -- {_words(words)}"
    return "name the file that runs as one of these, or give a command in job.toml or after --"


def _unknown_template(asked: str, templates: Sequence[TemplateView]) -> Choice:
    names = [template.name for template in templates]
    near = difflib.get_close_matches(asked, names, n=1)
    hint = f"did you mean “{near[0]}”?" if near else f"templates here: {', '.join(names)}"
    text = f"cannot find the template “{visible_line(asked)}”"
    return Choice(None, (), None, (Finding(level="error", text=text, hint=hint),))


def _ok(text: str) -> Finding:
    return Finding(level="ok", text=text)


def _words(command: Sequence[str]) -> str:
    line = visible_line(shlex.join(command))
    return line if len(line) <= 120 else line[:117] + "…"
