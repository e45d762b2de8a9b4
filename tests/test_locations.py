"""Locations: what is read is what was written, and what is no location is refused in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labbox.errors import LabboxError
from labbox.locations import (
    ARCHIVES,
    Kind,
    Location,
    archive_ending,
    check_name,
    name_of,
    new_text,
    parse,
    path_of,
    path_text,
)
from labbox.text import visible_line
from labbox.tui.browsing import new_location_below

_CHARACTERS = st.one_of(
    st.sampled_from("ab.~!:\\x5c/- \n\x1b\u202e'\"[]@#?%*"),
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]),
    st.integers(0xDC80, 0xDCFF).map(chr),  # bytes that are not UTF-8
)


def _canonical(name: str) -> str:
    """As `os.fsdecode` gives it: bytes that happen to be UTF-8 are characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except LabboxError:
        return False
    return True


NAMES = (
    st.one_of(
        st.text(_CHARACTERS, min_size=1, max_size=30),
        st.sampled_from(
            [
                "shared:x",
                "sftp:",
                "box:",
                "~",
                "!",
                "a.zip!",
                "a.zip",
                ".zip",
                "b.TAR.GZ",
                "\\xff",
                "\\x5cx5c",
                "a.zip\\x21",
                "\\x21",
                "\\\\x41",
                "x\udcff\\xff",
            ]
        ),
    )
    .map(_canonical)
    .filter(_is_name)
)
PATHS = st.lists(NAMES, max_size=5)


@st.composite
def locations(draw: st.DrawFn) -> Location:
    """A location of any kind, made as programs make them: by joining names to a root."""
    start = draw(
        st.sampled_from(
            [
                "/",
                "~",
                "shared:/",
                "project:atlas/",
                "job:17/",
                "sftp://me@my-pc/",
                "sftp://my-pc:2222//",
                "sftp://[fe80::1]/",
            ]
        )
    )
    location = parse(start)
    for name in draw(PATHS):
        location = location.joined(name)
    if draw(st.booleans()):
        location = location.joined("in" + draw(st.sampled_from(ARCHIVES))).entered()
        for name in draw(PATHS):
            location = location.joined(name)
    return location


@given(locations())
@example(parse("sftp://me@my-pc/~/~"))
@example(parse("sftp://me@my-pc/~/~/sub"))
def test_text_is_whole(location: Location) -> None:
    text = str(location)
    assert parse(text) == location
    assert parse(text, parse("/somewhere/else")) == location
    assert json.loads(json.dumps(text).encode()) == text, "it travels"
    assert visible_line(location.shown()) == location.shown()


@given(st.text(_CHARACTERS, max_size=60))
def test_any_path_is_kept_by_its_text(path: str) -> None:
    path = _canonical(path)
    written = path_text(path)
    written.encode()  # no surrogate is left
    assert path_of(written) == path


@given(locations(), NAMES)
@example(parse("/in.zip!/"), "~")
def test_a_name_joined_is_below_and_its_parent_is_back(location: Location, name: str) -> None:
    below = location.joined(name)
    assert below.name == name
    assert below.parent == location
    assert location.holds(below) and location.holds(location)
    assert not below.holds(location)
    assert below.place == location.place
    assert not below.is_root


@given(locations(), locations())
def test_holding_is_an_order(one: Location, other: Location) -> None:
    if one.holds(other) and other.holds(one):
        assert one == other
    if one.holds(other) and one != other and other.inner is None:
        assert one.holds(other.parent)


@given(locations())
def test_going_up_ends_at_a_root(location: Location) -> None:
    steps = 0
    while location.parent != location:
        location = location.parent
        steps += 1
        assert steps < 20
    assert location.is_root or location.path == "~"


@given(PATHS, PATHS)
def test_relative_paths_are_below_where_one_stands(base: list[str], below: list[str]) -> None:
    start = parse("shared:/")
    for name in base:
        start = start.joined(name)
    expected = start
    for name in below:
        expected = expected.joined(name)
    text = str(expected).removeprefix(str(start)) if base else str(expected).removeprefix("shared:/")
    text = "./" + text.removeprefix("/")
    assert parse(text, start) == expected
    assert parse(text + "/../." if below else ".", start) == (expected.parent if below else expected)


@given(st.text(_CHARACTERS | st.just("/"), max_size=40))
def test_any_text_is_a_location_or_refused_in_words(text: str) -> None:
    try:
        location = parse(text)
    except LabboxError as error:
        assert error.code == "invalid"
        assert error.message.startswith("cannot ") and error.hint
        assert visible_line(error.message + error.hint) == error.message + error.hint
    else:
        assert parse(str(location)) == location
        parts = location.path.split("/")[1:]
        assert location.path == "/" or not {"", ".", ".."} & set(parts)
        assert "\0" not in location.path


@pytest.mark.parametrize(
    ("text", "kind", "host", "path", "inner"),
    [
        ("study", Kind.BOX, "", "~/study", None),
        ("~", Kind.BOX, "", "~", None),
        ("~/", Kind.BOX, "", "~", None),
        ("~/a/../b//./c/", Kind.BOX, "", "~/b/c", None),
        ("~other/x", Kind.BOX, "", "~/~other/x", None),
        ("/", Kind.BOX, "", "/", None),
        ("/../..", Kind.BOX, "", "/", None),
        ("box:/srv/data", Kind.BOX, "", "/srv/data", None),
        ("box:~/x", Kind.BOX, "", "~/x", None),
        ("./shared:x", Kind.BOX, "", "~/shared:x", None),
        ("shared:", Kind.SHARED, "", "/", None),
        ("shared:atlas", Kind.SHARED, "", "/atlas", None),
        ("shared:/../../etc", Kind.SHARED, "", "/etc", None),
        ("project:atlas", Kind.PROJECT, "atlas", "/", None),
        ("project:atlas/raw/../..", Kind.PROJECT, "atlas", "/", None),
        ("job:0017/output", Kind.JOB, "17", "/output", None),
        ("sftp://me@my-pc", Kind.SFTP, "me@my-pc", "~", None),
        ("sftp://me@My-PC:22/x", Kind.SFTP, "me@my-pc", "~/x", None),
        ("sftp://my-pc:2222//data", Kind.SFTP, "my-pc:2222", "/data", None),
        ("sftp://my-pc/~/data", Kind.SFTP, "my-pc", "~/data", None),
        ("sftp://[::1]:8022//", Kind.SFTP, "[::1]:8022", "/", None),
        ("~/data.zip!/raw/a.csv", Kind.BOX, "", "~/data.zip", "raw/a.csv"),
        ("~/data.TAR.GZ!", Kind.BOX, "", "~/data.TAR.GZ", ""),
        ("shared:/a.7z!/../../x", Kind.SHARED, "", "/a.7z", "x"),
        ("~/plain!/x", Kind.BOX, "", "~/plain!/x", None),
        ("~/.zip!/x", Kind.BOX, "", "~/.zip!/x", None),
        (r"~/latin\xe9", Kind.BOX, "", "~/latin\udce9", None),
        (r"~/back\slash\x41", Kind.BOX, "", "~/back\\slash\\x41", None),
        (r"~/\x5cxff", Kind.BOX, "", "~/\\xff", None),
        (r"~/a.zip\x21/b", Kind.BOX, "", "~/a.zip!/b", None),
        (r"~/a.zip\x5cx21/b", Kind.BOX, "", "~/a.zip\\x21/b", None),
        (r"~/a.zip!/b.zip!/c", Kind.BOX, "", "~/a.zip", "b.zip!/c"),
    ],
)
def test_what_is_written_is_understood(
    text: str, kind: Kind, host: str, path: str, inner: str | None
) -> None:
    assert parse(text) == Location(kind=kind, host=host, path=path, inner=inner)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("a\0b", "empty"),
        ("~/..", "above the home"),
        ("..", "above the home"),
        ("box:x", "box:x"),
        ("project:", "project:"),
        ("project:../x", "project:../x"),
        ("project:a b", "project:a b"),
        ("job:", "job:"),
        ("job:x/output", "job:x"),
        ("job:-1", "job:-1"),
        ("job:" + "9" * 40, "job:9"),
        ("job:١٧", "job:"),
        ("sftp:", "sftp:"),
        ("sftp:my-pc/x", "sftp:my-pc"),
        ("sftp:///x", "sftp:///x"),
        ("sftp://me@/x", "me@"),
        ("sftp://-oProxyCommand=x/y", "-oProxyCommand"),
        ("sftp://-x@host/y", "-x@host"),
        ("sftp://host:0/x", "host:0"),
        ("sftp://host:65536/x", "host:65536"),
        ("sftp://ho st/x", "ho st"),
        ("sftp://me:secret@host/x", "password"),
        ("usb:/x", "“usb”"),
        ("pc1:/x", "“pc1”"),
        ("~/" + "n" * 256, "255 bytes"),
        ("~/" + "é" * 128, "255 bytes"),
        ("~/a\x1b[2J/" + "n" * 300, "255 bytes"),
    ],
)
def test_what_is_no_location_is_refused_in_words(text: str, part: str) -> None:
    with pytest.raises(LabboxError) as caught:
        parse(text)
    error = caught.value
    assert error.code == "invalid"
    assert error.message.startswith("cannot use") and part in error.message + error.hint
    assert error.hint
    assert visible_line(error.message) == error.message


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "n" * 256, "\udcff" * 256])
def test_what_is_no_single_name_is_not_joined(name: str) -> None:
    for start in ("~", "shared:/x", "sftp://pc/", "~/a.zip!/"):
        with pytest.raises(LabboxError, match="cannot use") as caught:
            parse(start).joined(name)
        assert caught.value.code == "invalid"


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(LabboxError) as caught:
        parse("sftp://me:hunter2@host/x")
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_parents_of_roots_and_archives() -> None:
    assert parse("~").parent == parse("/")
    assert parse("/").parent == parse("/")
    assert parse("shared:/").parent == parse("shared:/")
    assert parse("sftp://pc/").parent == parse("sftp://pc/")
    assert parse("~/a/b.zip!/").parent == parse("~/a")
    assert parse("~/b.zip!/x").parent == parse("~/b.zip!/")
    assert parse("~/b.zip!/").name == "b.zip"


def test_holding_by_name() -> None:
    assert parse("~/a").holds(parse("~/a/b"))
    assert not parse("~/a").holds(parse("~/ab"))
    assert parse("~/a").holds(parse("~/a/b.zip!/x"))
    assert not parse("~/b.zip!/").holds(parse("~/b.zip"))
    assert not parse("~/b.zip!/x").holds(parse("~/c.zip!/x/y"))
    assert parse("/").holds(parse("/x")) and not parse("shared:/").holds(parse("/x"))
    assert not parse("sftp://a/x").holds(parse("sftp://b/x/y"))


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.zip", ".zip"),
        ("A.ZIP", ".zip"),
        ("a.tar.gz", ".tar.gz"),
        ("a.gz", None),
        (".tar.gz", None),
        ("x.tzst", ".tzst"),
        ("zip", None),
        (".zip", None),
    ],
)
def test_archives_are_known_by_their_ending(name: str, ending: str | None) -> None:
    assert archive_ending(name) == ending


def test_a_mark_at_the_end_of_a_new_name_enters_no_archive() -> None:
    for text in ("~/a.zip!", "a.tar.gz!", "shared:x/a.7z!", "~/plain!", "~/x/a!.zip!"):
        found = parse(new_text(text))
        assert found.inner is None and found.name == text.rpartition("/")[2]
        assert parse(str(found)) == found == new_location_below(text, parse("~"))
    assert parse(new_text("~/a.zip!/x")).inner == "x" and parse(new_text("~/a.zip!/")).inner == ""
    assert name_of(parse("~/a.zip!/")) == "a" and name_of(parse("~/b.tar.gz!/x")) == "x"
