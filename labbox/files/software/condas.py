"""What an `environment.yml` asks for: conda's packages, and what it hands to pip."""

from __future__ import annotations

import re
from typing import Any, Final

from labbox.files.jobtoml import wrong_variable
from labbox.files.software.asked import LONGEST, MAX_SPECS, CondaPlan
from labbox.files.software.reading import Reading, shown
from labbox.files.software.requirements import RequirementsReader

_MAX_DEPTH: Final = 8  # an environment.yml has three
_MAX_EVENTS: Final = 20_000
_KEYS: Final = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "category")
_MISPLACED: Final = {
    "pip": "write its list below dependencies:, as “- pip:”",
    "packages": "call it dependencies",
}
_MOST_VARIABLES: Final = 200
_LONGEST_VALUE: Final = 10_000  # characters
_EXAMPLE: Final = "write a list below dependencies:, as in\n  dependencies:\n    - numpy"
# An option, an address, a folder or a repository: what pip or conda takes for something that is no name.
_ELSEWHERE: Final = re.compile(r"[-@/~.\\]|git\+|[A-Za-z][A-Za-z0-9+.-]*:(?!:)|.*://", re.IGNORECASE)
# Packages that conda has for Windows or macOS alone, and that every export from there lists.
_OTHER_SYSTEMS: Final = re.compile(
    r"(?:vc|vs2015_runtime|vc14_runtime|vcomp14|ucrt|icc_rt|pywin32|pywinpty|winpty|wincertstore|win_inet_pton"
    r"|pyreadline3?|menuinst|console_shortcut|powershell_shortcut|m2w64-.*|msys2-.*|mingw.*|win32_setctime"
    r"|libcxx|appnope|python\.app|pyobjc.*|applaunchservices|libuv-osx|.*_osx-64|.*_osx-arm64|.*_win-64)"
)


class _Refused(Exception):  # noqa: N818 - ends the reading of one file
    """What is wrong with the YAML: a sentence, a hint, a line."""


def read_environment_yml(
    name: str, content: bytes, reading: Reading, pip: RequirementsReader
) -> CondaPlan | None:
    """What conda is asked for; pip's lines go to `pip`. None, and errors, where it cannot be used."""
    reading.begin(name, content)
    text = reading.text(name, content)
    if text is None:
        return None
    try:
        document = _loaded(text)
    except _Refused as error:
        reading.error(name, error.args[2], error.args[0], error.args[1])
        return None
    if not isinstance(document, dict):
        reading.error(name, None, "it says nothing about packages", _EXAMPLE)
        return None
    entries = _list(document, "dependencies", name, reading)
    channels = _list(document, "channels", name, reading)
    foreign = _is_foreign(document, entries)
    specs: list[str] = []
    for entry in entries:
        reading.line(name)
        if isinstance(entry, str):
            if spec := _spec(entry, name, reading, foreign=foreign):
                specs.append(spec)
        elif isinstance(entry, dict) and set(entry) == {"pip"}:
            _pip(entry["pip"], name, reading, pip)
        else:
            hint = 'write "- name", "- name=1.2" or a list under "- pip:"'
            reading.error(name, None, f"“{shown(str(entry))}” is no package", hint)
    variables = _variables(document, name, reading)
    for key in document:
        if key not in _KEYS:
            hint = _MISPLACED.get(
                str(key), "remove it, or correct its name: dependencies, channels, variables"
            )
            reading.warn(name, None, f"“{shown(str(key))}” in {name} is not used", hint)
    if len(specs) > MAX_SPECS:
        reading.error(name, None, f"it names more than {MAX_SPECS:,} packages", "list only what is needed")
        return None
    named = [str(each).strip() for each in channels if each != "nodefaults"]
    if any(len(each) > LONGEST for each in named) or len(named) > 20:
        reading.error(name, None, "its channels are none", "name a few channels, such as conda-forge")
        return None
    return CondaPlan(file=name, specs=tuple(specs), channels=tuple(named), variables=variables)


def _loaded(text: str) -> Any:
    """The YAML with every value as text, as it is written: 3.10 stays 3.10."""
    import yaml  # not at the top: few projects have such a file, and every worker would pay for it

    loader: Any = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=loader)):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1
                raise _Refused("it uses a YAML alias", "write the lines out instead of *name", line)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH or number > _MAX_EVENTS:
                line = event.start_mark.line + 1
                raise _Refused("it is nested too deeply, or too long", _EXAMPLE, line)
        _check_once(yaml.compose(text, Loader=loader))
        return yaml.load(text, Loader=loader)  # noqa: S506 - the base loader makes texts, lists and tables only
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        why = shown(str(error.problem or error.context or "it ends too early"))
        raise _Refused(f"it is not valid YAML: {why}", "mend the file there", line) from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise _Refused("it is not valid YAML", "save it as plain text in UTF-8", None) from error


def _check_once(node: Any) -> None:
    """Refuse a key that stands twice in one table: YAML's readers keep the last and drop the rest."""
    nodes = [node]
    while nodes:
        one = nodes.pop()
        if not isinstance(one.value if one is not None else None, list):
            continue
        seen = set[str]()
        for each in one.value:
            if not isinstance(each, tuple):
                nodes.append(each)
                continue
            key = each[0].value
            if isinstance(key, str) and key in seen:
                line = each[0].start_mark.line + 1
                raise _Refused(
                    f"“{shown(key)}” stands twice in it", "put both together below one of them", line
                )
            seen |= {key} if isinstance(key, str) else set()
            nodes += each


def _variables(document: dict[Any, Any], name: str, reading: Reading) -> dict[str, str]:
    """The environment variables of a run."""
    table = document.get("variables") or {}
    if not isinstance(table, dict) or len(table) > _MOST_VARIABLES:
        reading.error(
            name, None, "its variables are no table, or too many", 'write "variables:" and "  MODE: fast"'
        )
        return {}
    found = {}
    for key, value in table.items():
        reading.line(name)
        if not isinstance(value, str) or len(value) > _LONGEST_VALUE or "\0" in value:
            why = f"the value of the variable “{shown(str(key))}” is no text"
            reading.error(name, None, why, "write it in quotes")
        elif (wrong := wrong_variable(str(key))) is not None:
            reading.error(name, None, f"“{shown(str(key))}” in its variables: {wrong[0]}", wrong[1])
        else:
            found[str(key)] = value
    return found


def _list(document: dict[Any, Any], key: str, name: str, reading: Reading) -> list[Any]:
    value = document.get(key) or []
    if isinstance(value, list):
        return value
    what = "its dependencies are no list" if key == "dependencies" else f"its {key} are no list"
    reading.error(name, None, what, _EXAMPLE if key == "dependencies" else f'write "{key}:" and "- …" lines')
    return []


def _is_foreign(document: dict[Any, Any], entries: list[Any]) -> bool:
    """Whether it was exported on another system: its builds exist there alone."""
    prefix = document.get("prefix")
    if isinstance(prefix, str) and re.match(r"[A-Za-z]:|/Users/|/opt/homebrew", prefix):
        return True
    return any(isinstance(each, str) and _OTHER_SYSTEMS.fullmatch(_bare(each)) for each in entries)


def _bare(spec: str) -> str:
    return re.split(r"[\s=<>!~\[;]", spec[:LONGEST].strip().rpartition("::")[2], maxsplit=1)[0].lower()


def _spec(entry: str, name: str, reading: Reading, *, foreign: bool) -> str:
    """One of conda's packages; "" where it is left out or refused."""
    spec = " ".join(entry.split())
    if not spec or len(spec) > LONGEST or _ELSEWHERE.match(spec):
        hint = 'write "- name" or "- name=1.2"; pip\'s lines stand in a list under "- pip:"'
        reading.error(name, None, f"“{shown(spec)}” is no package", hint)
        return ""
    if _OTHER_SYSTEMS.fullmatch(_bare(spec)):
        text = f"{shown(spec)} is left out: it exists for Windows or macOS alone"
        reading.warn(name, None, text, f"remove it from {name}")
        return ""
    match = re.fullmatch(r"([^=<>! ]+)(==?)([^=<>! ]+)=([^=<>! ]+)", spec)
    if match and foreign:
        text = f"the builds in {name} are left out: it was exported on another system"
        reading.warn(name, None, text, "export it with: conda env export --no-builds")
        return f"{match[1]}={match[3]}"
    return spec


def _pip(value: Any, name: str, reading: Reading, pip: RequirementsReader) -> None:
    """Lines of a requirements.txt; one alone may stand behind the colon, as people write it."""
    lines = value if isinstance(value, list) else [value]
    for each in lines:
        reading.line(name)
        if isinstance(each, str):
            pip.line(each, name, 0)
        elif each is not None:
            reading.error(
                name, None, f"“{shown(str(each))}” below “pip:” is no package", 'write "- name" there'
            )
