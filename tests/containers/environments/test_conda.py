"""environment.yml by py-rattler, from a small channel that the test makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_packages import PLACEHOLDER, add_package
from rattler.index import index_fs

from labbox.custom import IndexSettings, Settings
from labbox.errors import LabboxError


@pytest.fixture
async def box(open_box: Callable[..., Any], channel: str) -> Any:
    """A box whose lab opened the channel, and one where nobody listens."""
    return await open_box(settings=opened(channel, "http://127.0.0.1:9/channel"))


def opened(*channels: str) -> Settings:
    return Settings(index=IndexSettings(channels=channels))


@pytest.fixture
async def channel(links: Path) -> str:
    folder = links / "channel"
    greet = f"#!/bin/sh\nexec cat {PLACEHOLDER}/share/words\n"
    trap = {"bin/.greet-post-link.sh": f"#!/bin/sh\ntouch {links}/trap\n"}
    add_package(folder, "greet", "1.0", {"bin/greet": greet, **trap}, depends=("words >=2",))
    add_package(folder, "words", "1.0", {"share/words": "old\n"})
    add_package(folder, "words", "2.1", {"share/words": "hello from conda\n"})
    # stands for conda's Python: the image's, under the environment's roof
    add_package(folder, "python", "3.11.2", {"bin/python3": '#!/bin/sh\nexec /usr/bin/python3 "$@"\n'})
    (folder / "linux-64").mkdir()
    await index_fs(folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    folder.chmod(0o755)
    return folder.as_uri()


def environment(channel: str, *dependencies: str) -> tuple[str, str]:
    return "conda", f"name: x\nchannels: [{channel}]\ndependencies:\n" + "".join(
        f"  - {each}\n" for each in dependencies
    )


async def test_packages_work_at_the_path_they_were_made_for_and_run_no_scripts(
    box: Any, channel: str, links: Path
) -> None:
    prepared = await box.prepare(environment(channel, "greet"))
    assert prepared.environment == box.state / "environments" / prepared.name
    ran = await box.run(prepared, "greet")
    assert ran.lines == ("hello from conda",)
    assert not (links / "trap").exists()
    assert [line.rpartition("/")[2].partition("#")[0] for line in prepared.lock.splitlines()] == [
        "greet-1.0-0.tar.bz2",
        "words-2.1-0.tar.bz2",
    ]
    assert ("conda", 2, 2) in [(each.phase, each.done, each.total) for each in box.progress]
    assert {path.lstat().st_uid for path in prepared.environment.rglob("*")} == {69999}
    box.progress.clear()
    assert await box.prepare(environment(channel, "greet")) == prepared
    assert box.progress == []


async def test_pips_packages_stand_beside_condas(box: Any, channel: str, wheel: Callable[..., Path]) -> None:
    wheel("labone")
    prepared = await box.prepare(environment(channel, "greet", "python", "pip:\n    - labone"))
    assert "labone==1.0 --hash=" in prepared.lock
    assert (prepared.environment / "lib/python3.11/site-packages/labone.py").exists()
    assert (await box.run(prepared, "greet")).lines == ("hello from conda",)


@pytest.mark.parametrize(
    ("dependency", "words"),
    [
        ("nothere", "cannot find the conda package nothere"),
        ("words>=9", "cannot find the conda package words"),
        ("a b c d e", "cannot"),
    ],
)
async def test_what_no_channel_has(box: Any, channel: str, dependency: str, words: str) -> None:
    with pytest.raises(LabboxError) as caught:
        await box.prepare(environment(channel, dependency))
    assert caught.value.code == "invalid"
    assert words in caught.value.message
    assert caught.value.hint


async def test_only_the_channels_that_the_box_allows(open_box: Callable[..., Any], channel: str) -> None:
    box = await open_box(settings=opened(channel))
    with pytest.raises(LabboxError, match="does not allow the channel conda-forge"):
        await box.prepare(("conda", "channels: [conda-forge]\ndependencies: [greet]\n"))
    prepared = await box.prepare(("conda", "dependencies: [greet]\n"))  # the box's own where none is named
    assert (await box.run(prepared, "greet")).lines == ("hello from conda",)


async def test_a_channel_out_of_reach_may_be_there_later(box: Any) -> None:
    with pytest.raises(LabboxError) as caught:
        await box.prepare(environment("http://127.0.0.1:9/channel", "greet"))
    assert caught.value.code == "unavailable"
    begin = "cannot reach the conda channel http://127.0.0.1:9/channel (environment.yml): "
    assert caught.value.message.startswith(begin)
    assert "repodata" not in caught.value.message
    assert caught.value.hint
