from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from labbox.custom import Settings, defaults_dir, load
from labbox.errors import LabboxError
from labbox.model import GIB, Limits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    return tmp_path


def refusal(folder: Path, text: str) -> LabboxError:
    (folder / "box.toml").write_text(text)
    with pytest.raises(LabboxError) as caught:
        load(folder)
    assert caught.value.code == "invalid"
    assert caught.value.hint
    return caught.value


def test_no_folder_and_a_missing_one_give_the_defaults(tmp_path: Path) -> None:
    assert load(None).settings == Settings()
    assert load(tmp_path / "nowhere") == load(None)
    assert load(None).skeleton == defaults_dir() / "skeleton"


def test_settings_are_read_with_their_units(folder: Path) -> None:
    (folder / "box.toml").write_text(
        """
        name = "Perception lab"
        [ssh]
        listen = "[::]:22"
        [people]
        limits = { memory = "64G", cpus = 4, running_jobs = 3 }
        [jobs]
        default_memory = "1.5G"
        max_time = "7d"
        weights = { ada = 2 }
        """
    )
    settings = load(folder).settings
    assert settings.name == "Perception lab"
    assert settings.people.limits == Limits(memory=64 * GIB, cpus=4.0, running_jobs=3)
    assert settings.jobs.default_memory == 3 * GIB // 2
    assert settings.jobs.max_time == 7 * 86400
    assert settings.jobs.weights == {"ada": 2.0}
    assert settings.jobs.disk == Settings().jobs.disk


def test_every_mistake_is_named_at_once_with_its_line(folder: Path) -> None:
    (folder / "templates" / "perl.toml").write_text('title = "Perl"\nentries = ["app.pl"]\n')
    error = refusal(
        folder,
        'name = 3\n[jobs]\ncpu = 4\ngrace = "soon"\n\nmemory = "0"\n'
        '[ssh]\nlisten = "here"\n[people.limits]\ngpus = -1\n',
    )
    assert [line.strip() for line in error.message.splitlines()[1:]] == [
        "box.toml: line 1: name: cannot use 3: a short name is wanted",
        "box.toml: line 3: jobs.cpu: unknown key",
        "box.toml: line 4: jobs.grace: cannot read “soon” as a duration",
        "box.toml: line 6: jobs.memory: cannot use 0: a size above 0 is wanted",
        "box.toml: line 7: ssh: cannot use “here” as an address",
        "box.toml: line 10: people.limits.gpus: cannot use -1: a whole number from 0 up is wanted",
        "templates/perl.toml: command: this key is missing",
    ]
    assert "did you mean “cpus”?" in error.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = \n", "line 1: invalid value"),
        ("[ssh\nlisten = 1", "line 1"),
        ("[jobs]\ncpus = nan\n", "line 2: jobs.cpus: cannot use nan"),
        ("[jobs]\ncpus = inf\n", "line 2: jobs.cpus: cannot use inf"),
        ("jobs = 3\n", "line 1: jobs: cannot use 3: a table is wanted"),
        (
            "[jobs]\ndefault_time = '2h'\nmax_time = '1h'\n",
            "line 1: jobs: default_time is longer than max_time",
        ),
        ("[jobs]\nnetwork = 'yes'\n", 'line 2: jobs.network: cannot use "yes": true or false is wanted'),
        (
            "[containers]\nbases = 'debian'\n",
            'containers.bases: cannot use "debian": a list, each text, is wanted',
        ),
        ("[people]\nfirst_uid = 0\n", "line 2: people.first_uid: cannot use 0"),
        ('"\\u001b[31m" = 1\n', "unknown key"),
        ("[jobs]\nlog = 2020-01-01\n", "jobs.log"),
    ],
)
def test_one_mistake_is_one_sentence(folder: Path, text: str, said: str) -> None:
    error = refusal(folder, text)
    assert said in error.message
    assert error.message.startswith("cannot use the configuration in ")
    assert not re.search("[\x00-\x1f\x7f]", error.message)


def test_what_is_not_text_or_no_file_is_said(folder: Path) -> None:
    (folder / "box.toml").write_bytes(b"name = 1\n# \xff\n")
    with pytest.raises(LabboxError, match="line 2: the file is not UTF-8"):
        load(folder)
    (folder / "box.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(LabboxError, match="larger than 1 MiB"):
        load(folder)
    (folder / "box.toml").unlink()
    (folder / "box.toml").mkdir()
    with pytest.raises(LabboxError, match=r"box\.toml: cannot be read: Is a directory"):
        load(folder)


def test_a_lab_adds_a_template_and_replaces_one(folder: Path) -> None:
    (folder / "templates" / "perl.toml").write_text(
        'title = "Perl"\nentries = ["app.pl"]\ncommand = ["perl", "{entry}"]\n'
        'apt = ["perl"]\nhosts = ["lic:2700"]\n'
    )
    perl = load(folder).template("perl")
    assert perl is not None
    assert (perl.title, perl.command, perl.apt) == ("Perl", ("perl", "{entry}"), ("perl",))
    assert {template.name for template in load(None).templates} < {one.name for one in load(folder).templates}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('entries = ["code/app.pl"]', "“code/app.pl” is no file name"),
        ('apt = ["perl; rm"]', "“perl; rm” is no package name"),
        ('hosts = ["lic"]', "cannot use “lic” as an address"),
        ('hosts = [":80"]', "“:80” names no host"),
        ('fallback = "lisp"', "there is no other template “lisp”"),
        ('fallback = "perl"', "there is no other template “perl”"),
        ("command = []", "command is empty"),
    ],
)
def test_a_template_that_could_not_run_is_refused(folder: Path, lines: str, said: str) -> None:
    good = {"title": '"Perl"', "entries": '["app.pl"]', "command": '["perl", "{entry}"]'}
    key, _, value = lines.partition(" = ")
    text = "".join(f"{name} = {what}\n" for name, what in {**good, key: value}.items())
    (folder / "templates" / "perl.toml").write_text(text)
    with pytest.raises(LabboxError, match=re.escape(said)):
        load(folder)


def test_two_templates_for_one_file_name_are_refused(folder: Path) -> None:
    for name in ("perl", "raku"):
        (folder / "templates" / f"{name}.toml").write_text(
            'title = "P"\nentries = ["a.pl"]\ncommand = ["p"]\n'
        )
    with pytest.raises(LabboxError, match=r"“a\.pl” selects the template “perl” already"):
        load(folder)
    (folder / "templates" / "raku.toml").rename(folder / "templates" / "Raku 6.toml")
    with pytest.raises(LabboxError, match="lower case"):
        load(folder)


def fields(kind: type[msgspec.Struct], prefix: str = "") -> set[str]:
    """Every key that a struct's tables may have, dotted."""
    found: set[str] = set()
    for field in msgspec.structs.fields(kind):
        nested = field.default if isinstance(field.default, msgspec.Struct) else None
        found |= (
            fields(type(nested), f"{prefix}{field.name}.") if nested is not None else {prefix + field.name}
        )
    return found


def test_the_example_shows_every_setting_and_is_right_when_all_is_switched_on(folder: Path) -> None:
    example = (defaults_dir() / "box.toml").read_text()
    (folder / "box.toml").write_text(example)
    assert load(folder).settings == Settings()  # as it stands it changes nothing
    (folder / "box.toml").write_text(re.sub(r"^#(?=\w+ = )", "", example, flags=re.MULTILINE))
    settings = load(folder).settings
    table, shown = "", set[str]()
    for line in example.splitlines():
        if header := re.match(r"\[([\w.]+)\]", line):
            table = header[1] + "."
        elif key := re.match(r"#(\w+) = ", line):
            shown.add(table + key[1])
    assert {key for key in shown if not key.startswith("jobs.weights.")} | {"jobs.weights"} == fields(
        Settings
    )
    defaults: dict[str, Any] = msgspec.to_builtins(Settings())
    for name, value in msgspec.to_builtins(settings)["jobs"].items():
        if defaults["jobs"][name] is not None and name != "weights":
            assert value == defaults["jobs"][name], name
