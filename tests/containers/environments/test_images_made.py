"""Images with Debian packages, images by name, images from a project's Dockerfile."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from wishes import asked

from labbox.custom import ContainerSettings, Settings, Template
from labbox.daemon.containers.environments.interpreters import Interpreters
from labbox.daemon.containers.environments.software import LABEL, check_bases
from labbox.errors import LabboxError
from labbox.files.software.asked import Line, Recipe, Requirements, Software


@pytest.fixture
async def dockerfiles(open_box: Callable[..., Any]) -> AsyncIterator[Any]:
    settings = Settings(
        containers=ContainerSettings(dockerfiles=True, bases=("labbox/base", "scratch"), build_network="host")
    )
    box = await open_box(settings=settings)
    yield box
    made = await box.connection.call(lambda api: api.images(filters={"label": "labbox-test.images"}))
    for image in made:
        await box.connection.call(lambda api, found=image["Id"]: api.remove_image(found, force=True))


async def test_debian_packages_are_added_once(box: Any) -> None:
    first = await box.prepare(("apt", "# greets\nhello\n"))
    assert (await box.run(first, "hello", "-g", "from the box")).lines == ("from the box",)
    assert (await box.prepare()).image != first.image
    box.lines.clear()
    again = await box.prepare(
        template=Template(name="t", title="T", entries=(), command=("x",), apt=("hello",))
    )
    assert again.image == first.image
    assert box.lines == []
    labels = (await box.connection.call(lambda api: api.inspect_image(first.image)))["Config"]["Labels"]
    assert LABEL in labels


async def test_made_images_that_nobody_used_for_long_are_removed(dockerfiles: Any) -> None:
    text = "FROM scratch\nLABEL labbox-test.images=1\nLABEL labbox-test.which={}\n"
    old, used, busy, named = [
        await dockerfiles.prepare(("dockerfile", text.format(f"{dockerfiles.name}-{number}")))
        for number in range(4)
    ]

    async def stands(*prepared: Any) -> list[bool]:
        return [await dockerfiles.environments._images.exists(each.image) for each in prepared]

    engine = dockerfiles.connection
    container = await engine.call(lambda api: api.create_container(busy.image, ["true"])["Id"])
    await engine.call(lambda api: api.tag(named.image, f"somebody/kept-{dockerfiles.name}"))
    try:
        await dockerfiles.environments.prune(3600.0)
        assert await stands(old, used, busy, named) == [True] * 4
        for path in (dockerfiles.state / "environments-notes" / "used").iterdir():
            os.utime(path, (1.0, 1.0))
        await dockerfiles.environments.prune(3600.0, frozenset({used.image}))
        assert await stands(old, used, busy, named) == [False, True, True, True]
    finally:
        await engine.call(lambda api: api.remove_container(container, force=True))
    await dockerfiles.environments.prune(3600.0, frozenset({used.image}))
    assert await stands(used, busy, named) == [True, False, True]
    again = await dockerfiles.prepare(("dockerfile", text.format(f"{dockerfiles.name}-0")))
    assert await stands(again) == [True]


@pytest.mark.parametrize("name", ["no-such-lab-package", "hell.", "hel+o"])
async def test_a_debian_package_that_does_not_exist(box: Any, name: str) -> None:
    """Nor is a name taken for a pattern, which may fit hundreds."""
    with pytest.raises(LabboxError, match=f"cannot find the Debian package {re.escape(name)}") as caught:
        await box.prepare(("apt", f"{name}\n"))
    assert (caught.value.code, bool(caught.value.hint)) == ("invalid", True)


@pytest.mark.parametrize(
    "line", ["$(id)", "-o", "a`b`", "a&b", "a;$b", "A", "--help", "x|y", "ü", "texlive.+", "bc-"]
)
def test_what_is_no_package_name_never_reaches_a_shell(line: str) -> None:
    with pytest.raises(LabboxError, match=r"line 2 of apt\.txt"):
        asked(("apt", f"ffmpeg\n{line}\n"))


async def test_names_are_looked_at_again_where_they_go_to_a_shell(box: Any) -> None:
    """They come from a person's process."""
    for word in ("hello; id", "-o", "a b", "x\ny", "$(id)", "hello-"):
        with pytest.raises(LabboxError, match="is no package name"):
            await box.prepare(software=Software(packages=(word,)))
    for text in ("six\n--no-binary :all:", "-r /etc/passwd", "six\x85x"):
        wanted = Requirements(requirements=(Line(text=text, file="requirements.txt", number=1),))
        with pytest.raises(LabboxError, match="is no requirement"):
            await box.prepare(software=Software(requirements=wanted))


def test_several_names_versions_and_comments() -> None:
    text = "libgdal-dev g++ # compilers\nr-cran-mass=7.3-58.2-1\n"
    assert asked(("apt", text)).packages == ("libgdal-dev", "g++", "r-cran-mass=7.3-58.2-1")


async def test_a_dockerfile_needs_the_boxs_leave(box: Any) -> None:
    with pytest.raises(LabboxError, match="does not allow Dockerfiles") as caught:
        await box.prepare(("dockerfile", "FROM labbox/base\n"))
    assert (caught.value.code, bool(caught.value.hint)) == ("forbidden", True)


async def test_a_dockerfiles_own_command_starts_where_the_dockerfile_says(dockerfiles: Any) -> None:
    text = 'FROM labbox/base\nLABEL labbox-test.images=1\nWORKDIR /srv\nENTRYPOINT ["env", "A=1"]\nCMD {}\n'
    words = await dockerfiles.prepare(("dockerfile", text.format('["sh", "-c", "pwd; echo $A"]')))
    assert (words.command, words.cwd) == (("env", "A=1", "sh", "-c", "pwd; echo $A"), "/srv")
    assert (await dockerfiles.run(words, *words.command)).lines[1:] == ("1",)
    shell = await dockerfiles.prepare(
        ("dockerfile", "FROM labbox/base\nLABEL labbox-test.images=1\nCMD echo hi\n")
    )
    assert shell.command[-1] == "echo hi"
    assert (await dockerfiles.run(shell, *shell.command)).lines == ("hi",)
    assert (await dockerfiles.prepare()).command == ()


async def test_a_dockerfile_beside_code_finds_code_and_what_stands_beside_it(
    dockerfiles: Any, tmp_path: Path
) -> None:
    context = tmp_path / "tree"  # the snapshot of `code/`
    (context / "deep").mkdir(parents=True)
    (context / "app.py").write_text("print('app')\n")
    (context / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (context / "deep" / "run.sh").chmod(0o755)
    text = (
        "FROM labbox/base\nLABEL labbox-test.images=1\n"
        "COPY code/ /srv/\nCOPY apt.txt /srv/\nRUN test -x /srv/deep/run.sh\n"
    )
    prepared = await dockerfiles.prepare(("dockerfile", text), ("apt", "# none\n"), context=context)
    ran = await dockerfiles.run(prepared, "cat", "/srv/app.py", "/srv/apt.txt")
    assert (ran.code, list(ran.lines)) == (0, ["print('app')", "# none"])
    elsewhere = tmp_path / "elsewhere"
    context.rename(elsewhere)
    dockerfiles.lines.clear()
    again = await dockerfiles.prepare(("dockerfile", text), ("apt", "# none\n"), context=elsewhere)
    assert (again.image, dockerfiles.lines) == (prepared.image, [])  # named by content, wherever it stands


async def test_a_dockerfile_is_built_from_the_code_once(dockerfiles: Any, tmp_path: Path) -> None:
    context = tmp_path / "code"
    context.mkdir()
    (context / "greeting").write_text("hello\n")
    (context / "Dockerfile").write_text("a flat folder has it among its code\n")
    (context / "left-out").write_text("x")
    (context / ".dockerignore").write_text("left-out\n")
    text = "FROM labbox/base\nLABEL labbox-test.images=1\nCOPY . /lab/\nRUN echo built here\n"
    prepared = await dockerfiles.prepare(("dockerfile", text), context=context)
    ran = await dockerfiles.run(prepared, "sh", "-c", "cat /lab/greeting; ls /lab/left-out")
    assert "hello" in ran.lines  # two streams: either may come first
    assert ran.code != 0
    assert any("built here" in line for line in dockerfiles.lines)
    assert any(progress.total for progress in dockerfiles.progress)
    dockerfiles.lines.clear()
    assert (await dockerfiles.prepare(("dockerfile", text), context=context)).image == prepared.image
    assert dockerfiles.lines == []
    (context / "greeting").write_text("changed\n")
    assert (
        await dockerfiles.prepare(("dockerfile", text + "# v2\n"), context=context)
    ).image != prepared.image


async def test_a_dockerfile_that_fails_names_its_step_and_last_words(dockerfiles: Any) -> None:
    text = "FROM labbox/base\nRUN echo going && echo no compiler here && exit 3\nRUN true\n"
    with pytest.raises(LabboxError) as caught:
        await dockerfiles.prepare(("dockerfile", text))
    assert caught.value.code == "invalid"
    assert "cannot build Dockerfile: step 2/" in caught.value.message
    assert "no compiler here" in caught.value.message


async def test_what_a_step_writes_in_pieces_is_one_line_of_the_log(dockerfiles: Any) -> None:
    pieces = " && sleep 0.1 && ".join(f"printf %s {piece} >&2" for piece in ("E", ":", "no-such-thing"))
    text = f"FROM labbox/base\nRUN echo first >&2 && {pieces} && exit 3\n"
    with pytest.raises(LabboxError, match="E:no-such-thing"):
        await dockerfiles.prepare(("dockerfile", text))
    assert "first" in dockerfiles.lines
    assert "E:no-such-thing" in dockerfiles.lines


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian:sid\n",
        "FROM labbox/base\nFROM docker.io/evil\n",
        "ARG X=evil\nFROM $X\n",
        "FROM labbox/base\nCOPY --from=evil /x /y\n",
        "FROM \\\n evil\n",
        "from evil as labbox/base\n",
    ],
)
def test_bases_that_are_not_allowed(text: str) -> None:
    with pytest.raises(LabboxError, match="does not allow to start from"):
        check_bases(recipe_of(text), ("labbox/base",))


def recipe_of(text: str) -> Recipe:
    recipe = asked(("dockerfile", text)).recipe
    assert recipe is not None
    return recipe


def test_bases_that_are_allowed() -> None:
    stages = "FROM python:3.12 AS one\nFROM labbox/base\n"
    copies = "COPY --from=one /x /y\nCOPY --from=0 /x /z\nFROM scratch\n"
    check_bases(recipe_of(stages + copies), ("labbox/base", "python:*"))
    check_bases(recipe_of("FROM anything\n"), ())


async def test_images_go_by_names_not_by_ids(open_box: Callable[..., Any], small_image: str) -> None:
    box = await open_box(settings=Settings(containers=ContainerSettings(pull=False)))
    prepared = await box.prepare(image=small_image)
    assert (await box.prepare(image=small_image.removesuffix(":latest"))).image == prepared.image
    number = prepared.image.removeprefix("sha256:")
    for name in (
        number,
        number[:12],
        f"sha256:{number}",
        "labbox/environment:x",
        "no-such/image",
        "-x",
        "a b",
    ):
        with pytest.raises(LabboxError, match="image"):
            await box.prepare(image=name)


async def test_an_image_without_python_is_told_so(box: Any, small_image: str) -> None:
    with pytest.raises(LabboxError, match="has no python3 that works") as caught:
        await box.prepare(("requirements", "labone\n"), image=small_image)
    assert caught.value.code == "invalid"


async def test_a_template_that_needs_an_image_says_so(box: Any) -> None:
    julia = Template(
        name="julia", title="Julia", entries=(), command=("julia",), unavailable="Julia is not in Debian"
    )
    with pytest.raises(LabboxError, match="cannot run Julia here: Julia is not in Debian"):
        await box.prepare(template=julia)


async def test_bytecode_for_another_python_is_made_by_that_one(box: Any) -> None:
    image = (await box.prepare()).image
    interpreters: Interpreters = box.environments._interpreters
    folder = box.state / "wheels" / "x.tmp-1"
    folder.mkdir()
    (folder / "module.py").write_text("x = 1\n")
    for path in (folder, folder / "module.py"):
        path.chmod(0o755)
    os.chown(folder, 69999, 69999)
    await interpreters.compile(image, [folder], "python3")
    assert len(list(folder.glob("__pycache__/module.cpython-*.pyc"))) == 1
