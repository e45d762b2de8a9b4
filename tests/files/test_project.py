from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from labbox.custom import Template
from labbox.errors import LabboxError
from labbox.files.project import Defaults, inspect
from labbox.model import JobSpec, Sweep

NBCONVERT = (
    "jupyter nbconvert --to notebook --execute --ExecutePreprocessor.kernel_name=python3 --output-dir /output"
)
KERNEL = (
    '{"cells": [{"source": ["\\"kernelspec\\": {}"]}], "metadata": {"kernelspec": '
    '{"display_name": "x", "language": "%s", "name": "%s"}}}'
)
APP = {"code/app.py": "print(1)\n", "input/a.csv": "1,2\n"}


def texts(findings: Any) -> str:
    return "\n".join(f"{one.text} | {one.hint}" for one in findings)


def test_halves_with_requirements_beside(lab: Any) -> None:
    lab.project({**APP, "requirements.txt": "numpy\n", "README.md": "x"})
    found = lab.inspect()
    assert found.entry == "code/app.py"
    assert found.command == ("python", "app.py")
    assert found.template == "python"
    assert found.dependencies == ("requirements.txt",)
    assert (found.code_files, found.input_files, found.input_bytes) == (1, 1, 4)
    assert not [one for one in found.findings if one.level != "ok"]


def test_a_flat_folder_is_code_but_for_input_and_output(lab: Any) -> None:
    lab.project({"app.m": "1", "helper.m": "2", "input/a": "x", "output/old.csv": "y", "apt.txt": "jq\n"})
    found = lab.inspect()
    assert (found.entry, found.template, found.dependencies) == ("app.m", "octave", ("apt.txt",))
    assert found.code_files == 3


def test_a_home_is_handed_in_without_the_link_to_its_results(lab: Any) -> None:
    (lab.home / "run.sh").write_text("echo\n")
    (lab.home / "jobs").symlink_to("/somewhere/results/ada")
    found = lab.inspect(".")
    assert found.entry == "run.sh"
    assert found.code_files == 1


def test_an_entry_beside_a_folder_named_code_is_a_flat_project(lab: Any) -> None:
    lab.project({"app.py": "1", "code/helper.py": "2"})
    assert lab.inspect().entry == "app.py"


def test_missing_input_is_fine(lab: Any) -> None:
    lab.project({"run.sh": "echo\n"})
    assert "there is no input/ folder: /input will be empty" in texts(lab.inspect().findings)


def test_two_entries_are_named_with_the_way_to_choose(lab: Any) -> None:
    lab.project({"code/app.py": "1", "code/run.sh": "1"})
    (error,) = lab.errors()
    assert "code/app.py and code/run.sh" in error.text
    assert 'template = "python"' in error.hint
    lab.project({"job.toml": 'template = "shell"'})
    assert lab.inspect().entry == "code/run.sh"
    lab.project({"job.toml": 'command = ["python", "app.py"]'})
    assert lab.inspect().command == ("python", "app.py")


def test_two_names_of_one_template_are_no_conflict(lab: Any) -> None:
    lab.project({"app.py": "1", "main.py": "2"})
    assert lab.inspect().entry == "app.py"


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"code/": ""}, "name the file that runs"),
        ({"notes.txt": "x"}, "name the file that runs"),
        ({"App.py": "1"}, "rename “App.py” to app.py"),
        ({"a.py": "1", "b.py": "1"}, "rename the one that runs to app.py, or give a command: -- python a.py"),
        ({"a.m": "1", "b.m": "1"}, "-- octave a.m"),
        ({"w.Rmd": "1"}, '-- Rscript -e \'rmarkdown::render("w.Rmd", output_dir="/output")\''),
        ({"Snakefile": "1", "x.py": "1"}, "-- snakemake --cores all"),
        ({"study-main/app.py": "1"}, "hand in the folder inside it: “study-main”"),
        ({"work.ipynb": "{}"}, f"{NBCONVERT} work.ipynb"),
        ({"work.ipynb": KERNEL % ("python", "my-env")}, f"{NBCONVERT} work.ipynb"),
        ({"work.ipynb": KERNEL % ("R", "ir")}, "jupyter nbconvert --to script work.ipynb makes a script"),
        ({"work.ipynb": KERNEL % ("julia", "julia-1.9")}, "is in julia: name an image that has its kernel"),
        ({"w.qmd": "1"}, "quarto convert w.qmd"),
        ({"main.tex": "1", "refs.bib": "1"}, "-- latexmk -pdf -output-directory=/output main.tex"),
        ({"main.tex": "1", "a.py": "1", "b.py": "1"}, "give a command: -- python a.py"),
        ({"w.mlx": "1"}, "save w.mlx in MATLAB as a plain code file, and name it app.m"),
        ({"workflow/Snakefile": "1", "workflow/rules/a.smk": "1"}, "-- snakemake --cores all"),
        ({"src/main.py": "1", "src/help.py": "1"}, "give a command: -- python src/main.py"),
        ({"scripts/run.py": "1"}, "give a command: -- python scripts/run.py"),
        ({"pkg/__main__.py": "1", "pkg/__init__.py": "1", "pkg/x.py": "1"}, "-- python -m pkg"),
        ({"R/fit.R": "1"}, "give a command: -- Rscript R/fit.R"),
        ({"a/x.py": "1", "b/y.py": "1"}, "name the file that runs"),
    ],
)
def test_nothing_to_run_says_what_to_do(lab: Any, files: dict[str, str], hint: str) -> None:
    lab.project(files)
    (error,) = lab.errors()
    assert "cannot find anything to run" in error.text
    assert hint in error.hint


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"analysis.py": "1"}, ("python", "analysis.py")),
        ({"analysis.py": "1", "setup.py": "1", "test_analysis.py": "1"}, ("python", "analysis.py")),
        ({"analysis.m": "1"}, ("octave", "analysis.m")),
        ({"analysis.R": "1", "notes.txt": "1"}, ("Rscript", "analysis.R")),
        ({"main.R": "1", "helper.R": "2"}, ("Rscript", "main.R")),
        ({"code/main.py": "1", "code/other.py": "2"}, ("python", "main.py")),
        ({"Makefile": "all:\n", "x.py": "1", "y.py": "1"}, ("make",)),
    ],
)
def test_what_people_call_their_entry_runs(lab: Any, files: dict[str, str], command: tuple[str, ...]) -> None:
    lab.project(files)
    found = lab.inspect()
    assert not [one for one in found.findings if one.level == "error"]
    assert found.command == command


def test_an_empty_folder_has_nothing_to_run(lab: Any) -> None:
    lab.project({})
    assert "cannot find anything to run" in texts(lab.errors())


def test_a_language_that_is_not_here_says_so(lab: Any) -> None:
    lab.project({"app.jl": "1"})
    (error,) = lab.errors()
    assert error.text == "cannot run Julia here: Debian has no Julia"
    lab.project({"job.toml": 'image = "julia:1.12"'})
    assert not lab.errors()


def test_what_stands_in_for_another_does_not_compete_with_it(lab: Any) -> None:
    lab.project({"app.m": "1"})
    found = lab.inspect()
    assert (found.template, found.command) == ("octave", ("octave", "app.m"))
    assert "runs app.m with Octave in place of MATLAB" in texts(found.findings)
    own = lab.inspect(spec=JobSpec(path="study", image="mathworks/matlab"))
    assert (own.template, own.command) == ("matlab", ("matlab", "-batch", "run('app.m')"))
    assert lab.inspect(spec=JobSpec(path="study", template="octave")).template == "octave"
    assert lab.inspect(spec=JobSpec(path="study", template="matlab")).template == "octave"
    lab.project({"more.m": "2"})
    assert lab.inspect(spec=JobSpec(path="study", command=("octave-cli", "more.m"))).template == "octave"


def test_a_command_of_a_program_that_is_not_here_says_so(lab: Any) -> None:
    lab.project({"app.m": "1", "job.toml": 'command = ["matlab", "-batch", "app"]'})
    (error,) = lab.errors()
    assert error.text == "cannot run MATLAB here: MATLAB needs an image and a licence"
    assert "--image" in error.hint


@pytest.mark.parametrize(
    ("env", "given", "template"),
    [({}, {}, "octave"), ({"LICENCE": "27000@x"}, {}, "matlab"), ({}, {"LICENCE": "mine"}, "matlab")],
)
def test_a_template_without_its_licence_yields(
    tmp_path: Path, env: dict[str, str], given: dict[str, str], template: str
) -> None:
    (tmp_path / "app.m").write_text("1")
    matlab = Template(
        name="matlab",
        title="MATLAB",
        entries=("app.m",),
        command=("matlab", "{entry}"),
        image="mathworks/matlab",
        requires=("LICENCE",),
        env=env,
        fallback="octave",
    )
    octave = Template(name="octave", title="Octave", entries=("app.m",), command=("octave", "{entry}"))
    assert inspect(tmp_path, JobSpec(env=given), (matlab, octave)).template == template
    alone = msgspec.structs.replace(matlab, fallback=None)
    findings = inspect(tmp_path, JobSpec(env=given), (alone,)).findings
    assert ("LICENCE" in texts(findings)) == (template == "octave")


@pytest.mark.parametrize(
    ("content", "text", "line"),
    [
        ("dependencies: [\n", "it is not valid YAML", 2),
        ("dependencies:\n\t- numpy\n", "it is not valid YAML", 2),
        ("numpy\n", "it says nothing about packages", None),
        ("dependencies: numpy\n", "its dependencies are no list", None),
        ("name: \x07\n", "it is not valid YAML", None),
    ],
)
def test_an_environment_yml_that_is_none_is_refused(
    lab: Any, content: str, text: str, line: int | None
) -> None:
    lab.project({"app.py": "1", "environment.yml": content})
    (error,) = lab.errors()
    assert error.text.startswith(f"cannot use environment.yml: {text}")
    assert (error.file, error.line) == ("environment.yml", line)


def test_a_command_finds_its_template(lab: Any) -> None:
    lab.project({"analysis.py": "1", "more.R": "1"})
    for command, template in (
        (("python3", "analysis.py"), "python"),
        (("sh", "-c", "./analysis.py | tee log"), "python"),
        (("Rscript", "more.R"), "r"),
        (("ls",), None),
    ):
        assert lab.inspect(spec=JobSpec(path="study", command=command)).template == template


def test_a_command_that_is_broken_shell_is_taken_as_it_is(lab: Any) -> None:
    lab.project({"app.py": "1"})
    assert lab.inspect(spec=JobSpec(command=("sh", "-c", "echo 'open"))).command[2] == "echo 'open"


def test_an_unknown_template_is_named_with_the_nearest(lab: Any) -> None:
    lab.project({"app.py": "1", "job.toml": 'template = "pyton"'})
    (error,) = lab.errors()
    assert error.text == "cannot find the template “pyton”"
    assert error.hint == "did you mean “python”?"


def test_a_script_with_windows_line_endings_is_read_as_it_is(lab: Any) -> None:
    lab.project({"run.sh": "#!/bin/sh\r\necho\r\n"})
    assert not lab.warnings()
    assert "run.sh is read as Windows saves it" in texts(lab.inspect().findings)


FIRST_LINES = {
    "#!/bin/bash -e": ("bash", "-e", "run.sh"),
    "#!/bin/bash -e -u": ("bash", "-e", "-u", "run.sh"),
    "#! /usr/bin/env -S bash -eu": ("bash", "-eu", "run.sh"),
    "#!/usr/bin/env bash -x": ("bash", "-x", "run.sh"),
    "#!/bin/bash -l": ("bash", "run.sh"),
    "#!/bin/bash --login -e": ("bash", "-e", "run.sh"),
    "#!/bin/bash -le": ("bash", "-e", "run.sh"),
    "#!/usr/local/bin/bash": ("bash", "run.sh"),
    "#!/bin/sh -e": ("sh", "-e", "run.sh"),
    "#!/bin/tcsh -f": ("tcsh", "-f", "run.sh"),
    "#!/usr/bin/env zsh": ("zsh", "run.sh"),
    "#!/usr/bin/env python3": ("python3", "run.sh"),
    "#!/usr/bin/env -S LC_ALL=C bash": ("env", "LC_ALL=C", "bash", "run.sh"),
    "#!/usr/bin/make -f": ("make", "-f", "run.sh"),
    "#!": ("bash", "run.sh"),
    "#!/usr/bin/env": ("bash", "run.sh"),
    "#!/bin/bash 'open": ("bash", "'open", "run.sh"),
    "echo #!/bin/zsh": ("bash", "run.sh"),
}


@pytest.mark.parametrize("line", FIRST_LINES)
def test_the_first_line_of_a_script_is_obeyed(lab: Any, line: str) -> None:
    lab.project({"run.sh": f"{line}\necho hello\n"})
    found = lab.inspect()
    assert found.command == FIRST_LINES[line]
    assert ("as its first line says" in texts(found.findings)) == (found.command != ("bash", "run.sh"))


@pytest.mark.parametrize(
    ("file", "line", "command"),
    [
        ("app.py", "#!/usr/bin/env -S python3 -W error", ("python", "-W", "error", "app.py")),
        ("app.py", "#!/usr/bin/python3.9 -O", ("python", "-O", "app.py")),
        ("app.py", "#!/usr/bin/env -S uv run --script", ("python", "app.py")),
        ("app.py", "#!/usr/bin/env -S MPLBACKEND=Agg python3", ("python", "app.py")),
        ("app.py", "#!/usr/bin/env ipython", ("ipython", "app.py")),
        ("app.R", "#!/usr/bin/env -S Rscript --no-save", ("Rscript", "--no-save", "app.R")),
        ("app.m", "#!/usr/bin/octave -qf", ("octave", "-qf", "app.m")),
    ],
)
def test_the_first_lines_of_others_are_obeyed_too(
    lab: Any, file: str, line: str, command: tuple[str, ...]
) -> None:
    lab.project({file: f"{line}\n1\n"})
    assert lab.inspect().command == command


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/bin/sh -e"])
@pytest.mark.parametrize(
    "text",
    ["if [[ $x == y ]]; then :; fi", "source ./x", "a=(1 2)", "set -euo pipefail", "cat <<< x", "a &> b"],
)
def test_what_is_written_for_bash_has_bash(lab: Any, first: str, text: str) -> None:
    lab.project({"run.sh": f"{first}\n{text}\n"})
    found = lab.inspect()
    assert found.command == ("bash", *first.split()[1:], "run.sh")
    assert "run.sh asks for sh and is written for bash: bash runs it" in texts(found.findings)


@pytest.mark.parametrize(
    "text", ["# a [[ b ]]", "echo 'source x'", "x=$(ls); [ a = b ]", "cat <<END\nx\nEND"]
)
def test_what_any_shell_reads_has_sh(lab: Any, text: str) -> None:
    lab.project({"run.sh": f"#!/bin/sh\n{text}\n"})
    assert lab.inspect().command == ("sh", "run.sh")


def test_a_shell_that_nothing_brings_is_named(lab: Any) -> None:
    lab.project({"run.sh": "#!/bin/csh\nset x=1\n"})
    (warning,) = lab.warnings()
    assert (warning.hint, warning.file) == ("write csh into apt.txt", "run.sh")
    lab.project({"apt.txt": "tcsh\n"})
    assert not lab.warnings()


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        ("#!/bin/bash -e", ("bash", "-e", "-c")),
        ("#!/bin/sh", ("sh", "-c")),
        ("#!/usr/bin/perl -w", ("sh", "-c")),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_first_lines_are_obeyed_as_windows_saves_them(
    lab: Any, line: str, begins: tuple[str, ...], encoding: str
) -> None:
    lab.project({"run.sh": f"{line}\r\necho\r\n".encode(encoding)})
    command = lab.inspect().command
    assert command[: len(begins)] == begins
    assert "run.sh" in command


def test_other_scripts_with_windows_line_endings_are_warned_of(lab: Any) -> None:
    lab.project({"run.sh": "bash lib/other.sh\r\n", "lib/other.sh": "echo\r\n", "lib/good.sh": "echo\n"})
    (warning,) = lab.warnings()
    assert warning.file == "lib/other.sh"
    assert "has Windows line endings" in warning.text


def test_python_reads_windows_line_endings(lab: Any) -> None:
    lab.project({"app.py": "#!/usr/bin/env python3\r\nprint(1)\r\n"})
    assert not lab.warnings()
    assert lab.inspect().command == ("python", "app.py")


def test_a_script_that_is_not_executable_is_fine(lab: Any) -> None:
    (lab.project({"run.sh": "#!/bin/sh\necho\n"}) / "run.sh").chmod(0o644)
    assert not lab.warnings()


def test_a_huge_file_in_code_is_warned_of(lab: Any) -> None:
    folder = lab.project(APP)
    with (folder / "code/data.bin").open("wb") as file:
        file.truncate(1 << 30)
    (warning,) = lab.warnings()
    assert "“code/data.bin” is large for code: 1.0 GiB" in warning.text


def test_requirements_in_both_places_are_refused(lab: Any) -> None:
    lab.project({**APP, "requirements.txt": "numpy", "code/requirements.txt": "scipy"})
    (error,) = lab.errors()
    assert error.text == "cannot tell which is meant: requirements.txt or code/requirements.txt"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("numpy=1.26", "write numpy==1.26"),
        ("numpy 1.26", "write numpy==1.26"),
        ("import numpy", "write one package in a line: numpy or numpy==2.1"),
        ("numpy==", "write one package in a line: numpy or numpy==2.1"),
        ("-e ./mine", "put its code into the project; here stand packages of an index"),
        ("../other/wheel.whl", "put its code into the project; here stand packages of an index"),
    ],
)
def test_a_broken_line_in_requirements_has_its_number_and_a_way_out(lab: Any, line: str, hint: str) -> None:
    lab.project({**APP, "requirements.txt": f"# mine\nscipy>=1.1,<2 # ok\n\n{line}\n"})
    (error,) = lab.errors()
    assert (error.file, error.line, error.hint) == ("requirements.txt", 4, hint)


def test_what_pip_understands_is_no_broken_line(lab: Any) -> None:
    good = [
        "numpy",
        "numpy==2.1.*",
        "scipy >= 1.1, < 2",
        "requests[socks,use-chardet] ~= 2.0 ; python_version < '3.14'",
        "a \\",
        "  ==1",
        "--no-binary :all:",
        "-r more.txt",
        "zope.interface===1.0+local",
        "x (>=1.0)",
        "torch!=2.0.0",
    ]
    lab.project({**APP, "requirements.txt": "\r\n".join(good), "more.txt": "six\n"})
    assert not lab.errors()


def test_files_that_requirements_include_are_taken_too(lab: Any) -> None:
    lab.project(
        {
            **APP,
            "code/requirements.txt": "-r ../base.txt\n-c constraints.txt\n-r more/extra.txt\n",
            "base.txt": "six\n-r code/more/extra.txt\n",
            "code/constraints.txt": "numpy<2\n",
            "code/more/extra.txt": "scipy\n",
        }
    )
    asked = lab.plan().plan.software.requirements
    assert asked.text() == "six\nscipy\n"
    assert asked.constraint_text() == "numpy<2\n"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("code/link.txt", "real.txt"),
        ("code/link.txt", "second.txt"),
        ("code/link.txt", "deep/one.txt"),
        ("code/folder", "deep"),
    ],
)
def test_files_that_requirements_include_may_be_links(lab: Any, link: str, target: str) -> None:
    lab.project({**APP, "code/real.txt": "six\n", "code/deep/one.txt": "six\n"})
    study = lab.home / "study"
    (study / "code/second.txt").symlink_to("real.txt")
    (study / link).symlink_to(target)
    asks = "link.txt" if link.endswith(".txt") else "folder/one.txt"
    lab.project({"code/requirements.txt": f"-r {asks}\n"})
    assert lab.plan().plan.software.requirements.text() == "six\n"


@pytest.mark.parametrize(
    "target", ["../../outside.txt", "/etc/hostname", "/proc/self/environ", "link.txt", "gone.txt", "../.."]
)
def test_a_link_that_leads_to_no_file_of_the_project_includes_none(lab: Any, target: str) -> None:
    lab.project(APP)
    (lab.home / "outside.txt").write_text("six\n")
    (lab.home / "study/code/link.txt").symlink_to(target)
    lab.project({"code/requirements.txt": "-r link.txt\n"})
    assert any("there is no file “link.txt” in the project" in one.text for one in lab.errors())


@pytest.mark.parametrize("link", ["requirements.txt", "code/requirements.txt"])
def test_a_file_of_the_usual_name_may_be_a_link_too(lab: Any, link: str) -> None:
    lab.project({**APP, "code/real.txt": "six\n"})
    target = "real.txt" if link.startswith("code/") else "code/real.txt"
    (lab.home / "study" / link).symlink_to(target)
    assert lab.plan().plan.software.requirements.text() == "six\n"
    (lab.home / "study/code/real.txt").unlink()
    found = lab.plan()
    assert found.plan.software.requirements is None
    assert [one.text for one in found.inspection.findings if one.level == "warning"] == [
        f"{link} is not used: it is a link to {target}, and the project has no such file"
    ]


def test_one_file_under_two_usual_names_is_one(lab: Any) -> None:
    lab.project({**APP, "code/requirements.txt": "six\n"})
    (lab.home / "study/requirements.txt").symlink_to("code/requirements.txt")
    assert lab.plan().plan.software.requirements.text() == "six\n"


def test_requirements_from_powershell_are_read(lab: Any) -> None:
    lab.project({**APP, "requirements.txt": "numpy==2.1\r\n".encode("utf-16")})
    found = lab.plan()
    assert found.plan is not None
    assert found.plan.files[0].content == b"numpy==2.1\r\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["app.py", "app.m", "app.R", "run.sh", "code/app.py", "code/run.sh"])
def test_a_program_in_utf16_runs_with_a_note(lab: Any, name: str, encoding: str) -> None:
    lab.project({name: "x = 1\r\n".encode(encoding)})
    found = lab.plan()
    assert found.plan is not None, texts(found.inspection.findings)
    assert "iconv -f UTF-16" in " ".join(found.plan.command)
    assert f"{name} is in UTF-16, as PowerShell's > writes it: what runs is made UTF-8" in texts(
        found.inspection.findings
    )
    assert not lab.warnings()


@pytest.mark.parametrize("word", ["fit.py", "./fit.py", "code/fit.py"])
def test_what_a_command_names_is_looked_at_and_modules_are_warned_of(lab: Any, word: str) -> None:
    powershell = "x = 1\r\n".encode("utf-16")
    folder = "" if word != "code/fit.py" else "code/"
    lab.project(
        {
            "job.toml": f'command = ["python", "{word}", "--table", "table.csv"]\n',
            f"{folder}fit.py": powershell,
            f"{folder}table.csv": powershell,
            f"{folder}more/help.py": powershell,
        }
    )
    found = lab.plan()
    assert found.plan is not None
    assert found.plan.command[-4:] == ("python", word, "--table", "table.csv")
    levels = {one.file: one.level for one in found.inspection.findings if "UTF-16" in one.text and one.file}
    assert levels == {f"{folder}more/help.py": "warning"}
    lab.project({f"{folder}fit.py": "x = 1\n"})
    assert lab.plan().plan.command == ("python", word, "--table", "table.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_windows_writes_and_is_understood_runs(lab: Any, encoding: str) -> None:
    lab.project(
        {
            "run.sh": "echo ü\r\n".encode(encoding),
            "job.toml": 'name = "grün"\r\ncpus = 2\r\n'.encode(encoding),
            "requirements.txt": "six\r\n".encode(encoding),
            "apt.txt": "jq\r\n".encode(encoding),
        }
    )
    found = lab.plan()
    assert found.plan is not None, texts(found.inspection.findings)
    assert (found.plan.name, found.plan.asked.cpus) == ("grün", 2)
    assert not [one for one in found.inspection.findings if one.level == "error"]


def test_a_mistaken_name_is_warned_of(lab: Any) -> None:
    lab.project({**APP, "requirement.txt": "numpy"})
    assert "labbox looks for requirements.txt" in texts(lab.warnings())


def test_a_dockerfile_travels_with_the_plan(lab: Any) -> None:
    lab.project({**APP, "code/Dockerfile": "FROM labbox/base\n", "environment.yml": "name: x\n"})
    plan = lab.plan().plan
    assert plan is not None
    assert [(one.kind, one.name) for one in plan.files] == [
        ("conda", "environment.yml"),
        ("dockerfile", "code/Dockerfile"),
    ]


def test_links_out_of_the_project_are_refused_and_links_inside_are_not(lab: Any) -> None:
    folder = lab.project({**APP, "code/sub/x.py": "1"})
    (folder / "code/inside.py").symlink_to("sub/x.py")
    (folder / "code/sub/up.py").symlink_to("../app.py")
    (folder / "code/data").symlink_to("../input")
    assert not lab.errors()
    for target in (
        "/etc/passwd",
        "../../secret",
        "sub/../../../x",
        "..",
        "../job.toml",
        "../../study/code/app.py",
    ):
        link = folder / "code/bad"
        link.symlink_to(target)
        (error,) = lab.errors()
        assert "“code/bad”: it is a link out of the project" in error.text
        link.unlink()


def test_input_that_is_a_link_is_refused(lab: Any) -> None:
    lab.project({"app.py": "1"})
    (lab.home / "study/input").symlink_to("/etc")
    assert texts(lab.errors()).startswith("cannot hand in “input”: it is no folder")


def test_sockets_fifos_and_virtual_environments_stay_out_with_a_word(lab: Any) -> None:
    folder = lab.project({**APP, "code/.venv/pyvenv.cfg": "home = /usr", "code/.venv/lib/x.py": "1"})
    os.mkfifo(folder / "input/pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(folder / "input")
        try:
            sock.bind("agent")
        finally:
            os.chdir(here)
    shown = texts(lab.warnings())
    assert "“input/pipe”: a FIFO is left out" in shown
    assert "“input/agent”: a socket is left out" in shown
    assert "“code/.venv”: a virtual environment is left out" in shown
    assert lab.inspect().code_files == 1


def test_names_are_shown_safely_and_survive(lab: Any) -> None:
    evil = "a\n\x1b]52;c;AAAA\x07b\u202e[b]"
    folder = lab.project({"app.py": "1"}, name="stu\x1bdy ü\n")
    Path(os.fsdecode(os.fsencode(folder / evil) + b"\xff")).symlink_to("/etc")
    found = lab.inspect("stu\x1bdy ü\n")
    for text in (found.path, found.name, texts(found.findings)):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert found.name == "stu␛dy ü␊"
    assert "“a␊␛]52;c;AAAA␇b\\u202e[b]\\xff”" in texts(found.findings)


def test_ignored_things_do_not_count(lab: Any) -> None:
    lab.project(
        {
            **APP,
            "code/.git/config": "x",
            "code/__pycache__/a.pyc": "x",
            "code/.ipynb_checkpoints/a": "x",
            "input/raw/1.dat": "x",
            "input/keep/raw.txt": "x",
            "input/a.tmp": "x",
            "input/fig/b/c.png": "x",
            "job.toml": 'ignore = ["*.tmp", "raw/", "input/**/*.png"]',
        }
    )
    found = lab.inspect()
    assert (found.code_files, found.input_files) == (1, 2)


def test_a_job_file_and_the_person_who_submits_agree_on_who_wins(lab: Any) -> None:
    lab.project(
        {
            **APP,
            "job.toml": 'name = "n"\ncpus = 2\nmemory = "3G"\ntime = "2h"\nnetwork = true\narray = "1-3"\n'
            'priority = 5\n[env]\nA = 1\nB = "x"\n[sweep]\nlr = [0.1, 0.2]\nseed = "1:3"\n'
            "[git]\nsubmit = true\n",
        }
    )
    found = lab.plan(spec=JobSpec(path="study", cpus=4, env={"B": "y"}, network=False))
    assert found.plan is not None
    asked = found.plan.asked
    assert (asked.cpus, asked.memory, asked.time_limit, asked.network) == (4, 3 << 30, 7200, False)
    assert asked.env == {"A": "1", "B": "y"}
    assert asked.sweep == (
        Sweep(name="lr", values=("0.1", "0.2")),
        Sweep(name="seed", values=("1", "2", "3")),
    )
    assert (asked.array, asked.priority, asked.gpus) == ((1, 2, 3), 5, None)
    assert found.plan.submit_on_push
    assert found.inspection.resources.cpus == 4
    assert found.inspection.time_limit == 7200


def test_folders_that_are_not_there_or_not_ones_own(lab: Any, tmp_path: Path) -> None:
    lab.project({"app.py": "1"})
    (tmp_path / "elsewhere").mkdir()
    (lab.home / "link").symlink_to(tmp_path / "elsewhere")
    for path, code, words in (
        ("nowhere", "not_found", "cannot find the folder “nowhere”"),
        ("study/app.py", "invalid", "cannot hand in “study/app.py”: it is no folder"),
        ("study/app.py/x", "invalid", "it is no folder"),
        ("../elsewhere", "forbidden", "it is outside your home"),
        ("/etc", "forbidden", "it is outside your home"),
        ("link", "forbidden", "it is outside your home"),
        ("a\0b", "invalid", "NUL"),
        ("x" * 300, "invalid", "File name too long"),
    ):
        with pytest.raises(LabboxError, match="cannot") as raised:
            lab.inspect(path)
        assert raised.value.code == code
        assert words in raised.value.message
    assert lab.inspect(str(lab.home / "study")).entry == "app.py"
    assert lab.inspect("~/study/").entry == "app.py"


def test_inspect_takes_the_templates_of_custom_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("1")
    template = Template(name="python", title="Python", entries=("app.py",), command=("python", "{entry}"))
    assert inspect(tmp_path, JobSpec(), [template]).command == ("python", "app.py")


def test_a_dockerfiles_own_command_runs_where_the_box_builds_such_files(lab: Any) -> None:
    lab.project(
        {
            "code/study.py": "",
            "code/b.py": "",
            "Dockerfile": 'FROM labbox/base\nRUN true\nCMD ["python3", "study.py"]\n',
        }
    )
    assert "cannot find anything to run" in lab.errors()[0].text
    templates = [Template(name="python", title="Python", entries=("app.py",), command=("python", "{entry}"))]
    allowed = Defaults(dockerfiles=True)
    found = inspect(lab.home / "study", JobSpec(), templates, allowed)
    assert (found.entry, found.command, found.template) == (None, (), None)
    assert "runs the command in “Dockerfile”" in [one.text for one in found.findings]
    found = inspect(lab.home / "study", JobSpec(command=("true",)), templates, allowed)
    assert found.command == ("true",)
    for text in ("FROM labbox/base\nRUN echo CMD x\n", "FROM x\n# CMD x\n"):
        (lab.home / "study/Dockerfile").write_text(text)
        found = inspect(lab.home / "study", JobSpec(), templates, allowed)
        assert [one.level for one in found.findings if one.level == "error"], text


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        (
            "#SBATCH --array=1-10%2\n#SBATCH --mem=4G -c 2\n#SBATCH --time=1-00:00:00\n#SBATCH -J fit\n",
            'array = "1-10%2"; memory = "4G"; cpus = 2; time = "1-00:00:00"; name = "fit"; '
            "each job of the array finds its index in LABBOX_INDEX",
        ),
        ("#SBATCH --mem 4000\n#SBATCH -t 30\n", 'memory = "4000M"; time = "30min"'),
        ("#SBATCH --gres=gpu:a100:2\n", "gpus = 2"),
        ("#SBATCH --partition=long\n", "say in job.toml what the job needs"),
        ("#PBS -l nodes=1:ppn=4\n", "say in job.toml what the job needs"),
    ],
)
def test_lines_for_other_queues_are_told(lab: Any, lines: str, hint: str) -> None:
    lab.project({"run.sh": f"#!/bin/bash\n{lines}echo\n"})
    (warning,) = lab.warnings()
    assert "lines are not followed" in warning.text
    assert hint in warning.hint
    if '"' in hint:
        toml = warning.hint.removeprefix("write into job.toml: ").partition("; each job")[0]
        lab.project({"job.toml": toml.replace("; ", "\n")})
        assert not lab.errors()


def test_what_is_like_lines_for_other_queues_is_not(lab: Any) -> None:
    lab.project({"run.sh": "#!/bin/bash\n# SBATCH --mem=4G\n#SBATCH\necho '#SBATCH --mem=1G'\n"})
    assert not lab.warnings()
