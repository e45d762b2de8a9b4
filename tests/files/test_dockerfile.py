"""A Dockerfile as it is built: what Docker and the box's check read is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from labbox.files.software.dockerfile import Refused, canonical, check_lines, is_own, whole_name


def images(text: str) -> tuple[str, ...]:
    return check_lines(canonical(text)).images


def test_a_usual_file_becomes_plain_lines() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n# a comment\nARG BASE=python:3.12\nfrom ${BASE} as Build\n"
        "RUN apt-get update && \\\n  # in between\n\n    apt-get install -y x \\\n    && true\n"
        "COPY --chown=1:1 . /srv/\nFROM --platform=$BUILDPLATFORM debian\r\n"
        "COPY --from=Build /a /b\nCOPY --from=0 /c /d\nADD data.tar.gz /data/\n"
        'CMD ["x", "\\\\"]\nENV A="<<x"\n'
    )
    assert canonical(text) == (
        "ARG BASE=python:3.12",
        "FROM python:3.12 AS build",
        "RUN apt-get update &&     apt-get install -y x     && true",
        "COPY --chown=1:1 . /srv/",
        "FROM debian:latest",
        "COPY --from=build /a /b",
        "COPY --from=0 /c /d",
        "ADD data.tar.gz /data/",
        'CMD ["x", "\\\\"]',
        'ENV A="<<x"',
    )
    assert images(text) == ("python:3.12", "debian:latest")
    assert check_lines(canonical(text)).command


@pytest.mark.attack("S14")
@pytest.mark.parametrize(
    "text",
    [
        "FROM labbox/base\n# a \u2028FROM evil\nRUN true\u2028FROM evil\n",  # no line of its own for Docker
        "FROM labbox/base\nRUN true \x85FROM evil\nRUN true \x0bFROM evil\nRUN a\rFROM evil\n",
        "FROM labbox/base\nRUN true \\\nFROM evil\n",
    ],
)
def test_what_is_no_line_for_docker_is_none_here(text: str, tried: Callable[..., None]) -> None:
    tried()
    try:
        assert images(text) == ("labbox/base:latest",)
    except Refused as refused:
        assert "ends or continues" in refused.why


@pytest.mark.attack("S14")
@pytest.mark.parametrize(
    "text",
    [
        "FROM labbox/base\n\u2028FROM evil\n",
        "FROM labbox/base\n\x85\xa0FROM evil\n",
        "\ufeffFROM evil\n",
        "FROM labbox/base\nFR\\\nOM evil\n",
        "FROM \\\n\n# x\n evil\n",
        "FROM labbox/base AS a\nFROM A\nFROM evil AS b\n",
        "ARG X=evil\nFROM $X\n",
        "ARG X=evil\nFROM ${X}\n",
        "ARG X\nFROM ${X:-evil}\n",
        "FROM labbox/base\nCOPY --from=evil /x /y\n",
        "FROM labbox/base AS evil\nCOPY --from=evil /x /y\n",  # its own stage is not done: an image's name
        "FROM labbox/base\nCOPY --chown=1 --from=evil /x /y\n",
        "FROM labbox/base\nONBUILD COPY --from=evil /x /y\n",
        "FROM labbox/base\ncopy\t--from=evil /x /y\n",
        "FROM labbox/base\nCOPY --from=evil /x /y\nFROM labbox/base AS evil\n",
        "FROM labbox/base\nCOPY \\\n--from=evil /x /y\n",
        "from\tevil\n",
        "FROM docker.io/library/evil\n",
    ],
)
def test_no_image_is_used_unseen(text: str, tried: Callable[..., None]) -> None:
    tried()
    assert "evil:latest" in images(text)


@pytest.mark.attack("S14")
@pytest.mark.parametrize(
    "text",
    [
        "# escape=`\nFROM labbox/base\nRUN x `\nFROM evil\n",
        "# x=y\n#ESCAPE = `\nFROM labbox/base\n",
        "#escape=`\nFROM labbox/base\n",
        "# syntax=evil/frontend\nFROM labbox/base\n",
        "FROM labbox/base\nCOPY --from=² /x /y\n",
        "FROM labbox/base\nADD http://127.0.0.1:1/x /x\n",
        "FROM labbox/base\nADD HTTPS://h.example/x /x\n",
        "FROM labbox/base\nADD --chown=1 http://127.0.0.1/x /x\n",
        'FROM labbox/base\nADD ["http://127.0.0.1/x", "/x"]\n',
        'FROM labbox/base\nADD ["\\u0068ttp://127.0.0.1/x", "/x"]\n',
        "FROM labbox/base\nADD h\\ttp://127.0.0.1/x /x\n",
        "FROM labbox/base\nADD 'http://127.0.0.1/x' /x\n",
        "FROM labbox/base\nENV U=http://127.0.0.1\nADD $U/x /x\n",
        "FROM labbox/base\nADD git@h.example:x.git /x\n",
        "FROM labbox/base\nADD user@127.0.0.1:x /x\n",
        "FROM labbox/base\nADD --link u_1@[::1]:x/y /x\n",
        'FROM labbox/base\nADD ["a.txt", "user@h.example:x", "/x"]\n',
        "FROM labbox/base\nONBUILD ADD user@h.example:x /x\n",
        "FROM labbox/base\nADD //127.0.0.1/x /x\n",
        "FROM labbox/base\nADD http:/127.0.0.1/x /x\n",
        "FROM labbox/base\nADD github.com/x/y /x\n",
        "FROM labbox/base\nADD x.git#main /x\n",
        "FROM labbox/base\nONBUILD ADD http://127.0.0.1/x /x\n",
        "FROM labbox/base\nONBUILD FROM evil\n",
        "FROM labbox/base\nONBUILD ONBUILD RUN x\n",
        "FROM labbox/base\nRUN --mount=type=bind,from=evil,target=/x cp /x/y /\n",
        "FROM labbox/base\nRUN --network=host true\n",
        'FROM labbox/base\nCOPY --fr"om"=evil /x /y\n',
        "FROM labbox/base\nCOPY --fr\\om=evil /x /y\n",
        "FROM labbox/base\nCOPY --from=$X /x /y\n",
        "FROM labbox/base\nRUN <<EOF\nFROM labbox/base AS x\nEOF\nCOPY --from=x /a /b\n",
        "FROM labbox/base\nCOPY <<-'EOF' /x\nhi\nEOF\n",
        "FROM 0123456789ab@x\n",
        "FROM sha256:" + "a" * 64 + "\n",
        "FROM labbox/environment:abc\n",
        "FROM docker.io/labbox/environment:abc\n",
        "FROM labbox/base\nCOPY --from=index.docker.io/labbox/environment:abc / /\n",
        "ARG http_proxy=evil\nFROM $http_proxy\n",
        "FROM $X\n",
        'FROM "evil"\n',
        "RUN true\n",
        "",
        "FROM labbox/base\nINCLUDE x\n",
    ],
)
def test_what_is_not_honoured_is_refused(text: str, tried: Callable[..., None]) -> None:
    tried()
    with pytest.raises(Refused) as caught:
        canonical(text)
    assert caught.value.hint


@pytest.mark.attack("S14")
@pytest.mark.parametrize(
    "lines",
    [
        ("FROM labbox/base:latest", "RUN x\nFROM evil"),
        ("FROM labbox/base:latest", "RUN x \\", "FROM evil"),
        ("FROM labbox/base:latest", "from evil"),
        ("FROM labbox/base:latest", " FROM evil"),
        ("FROM labbox/base:latest AS x\tevil",),
        ("# escape=`", "FROM labbox/base:latest"),
        ("FROM --platform=x evil",),
        ("FROM labbox/environment:x",),
    ],
)
def test_lines_that_are_not_of_that_form(lines: tuple[str, ...], tried: Callable[..., None]) -> None:
    """The daemon looks at the lines again: they come from a process of the person's."""
    tried()
    with pytest.raises(Refused):
        check_lines(lines)


def test_images_that_look_like_beginnings_of_ids_are_names() -> None:
    assert canonical("FROM abc123\n") == ("FROM abc123:latest",)
    assert whole_name("localhost:5000/x") == "localhost:5000/x:latest"
    assert whole_name("docker.io/library/debian:12") == "debian:12"
    assert whole_name("x@sha256:" + "a" * 64) == "x@sha256:" + "a" * 64
    assert whole_name("UPPER") == whole_name("a b") == whole_name("sha256:" + "a" * 64) == ""
    assert is_own("labbox/environment@sha256:x")
    assert not is_own("labbox/environments:x")
