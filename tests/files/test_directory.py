"""The model of a listing: natural order, filters, changes in place, marks; and how folders are read."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.errors import LabboxError
from labbox.files import ordering, readings
from labbox.files.apart import Apart, Send
from labbox.files.counting import count
from labbox.files.directory import Arrangement, Kind, Listing, Row, Sort
from labbox.files.finding import gather
from labbox.files.masks import matcher
from labbox.files.ordering import extension, natural
from labbox.files.scanning import Columns, Show, rearrange, scan
from labbox.files.watching import Watcher, is_blind

NAMES = st.text(st.characters(exclude_characters="/\0", codec=None), min_size=1, max_size=12).filter(
    lambda name: _can_be(name)
)
ROWS = st.builds(
    Row,
    NAMES,
    st.sampled_from([Kind.FILE, Kind.FOLDER, Kind.LINK, Kind.FOLDER_LINK, Kind.BROKEN]),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 60),
    st.integers(0, 0o7777),
)
HOW = st.builds(
    Arrangement,
    st.sampled_from(Sort),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "a", "*1"]),
)


def _can_be(name: str) -> bool:
    try:
        return os.fsdecode(os.fsencode(name)) == name
    except UnicodeEncodeError:
        return False


def listing_of(rows: list[Row], how: Arrangement) -> Listing:
    listing = Listing(how)
    listing.add(rows)
    listing.arrange(how)
    return listing


def shown(listing: Listing) -> list[str]:
    return [listing.name(number) for number in listing.shown]


def test_people_count_so() -> None:
    names = ["run10", "Run2", "run2b", "run02", "a", "B", "ä", ".x", "9", "10"]
    assert sorted(names, key=natural) == [".x", "9", "10", "a", "B", "Run2", "run02", "run2b", "run10", "ä"]
    assert extension("a.tar.GZ") == "gz" and extension(".profile") == "" == extension("plain")
    assert matcher("*.csv;b")("X.CSV") and matcher("*.csv;b")("abc") and not matcher("*.csv")("a.csv.gz")
    assert matcher("")("anything") is False


@given(
    st.lists(NAMES | st.from_regex("[aA]{0,2}[0-9]{1,30}[bB]?", fullmatch=True), unique=True),
    st.integers(1, 9),
)
def test_very_many_names_stand_in_the_order_of_their_keys(names: list[str], part: int) -> None:
    listing = Listing()
    listing.add(Row(name, Kind.FILE) for name in names)
    with pytest.MonkeyPatch.context() as patch:  # a few names in as many parts as a million has
        for what in ("AT_ONCE", "PART", "SAMPLES"):
            patch.setattr(ordering, what, part)
        order = ordering.by_name(listing.names, listing.starts)
    assert [listing.name(number) for number in order] == sorted(names, key=natural)


def test_numbers_of_any_length_are_numbers() -> None:
    names = [f"n{'0' * (number % 3)}{10**number}" for number in range(60)] + ["n0", "n", "n/"]
    random.Random(1).shuffle(mixed := names.copy())
    assert sorted(mixed, key=natural) == ["n", "n/", "n0", *names[:60]]


@given(st.lists(ROWS, unique_by=lambda row: row.name, max_size=25), HOW, ROWS, st.randoms())
def test_changes_in_place_are_as_good_as_reading_again(
    rows: list[Row], how: Arrangement, new: Row, dice: random.Random
) -> None:
    listing = listing_of(rows, how)
    now = {row.name: row for row in rows}
    for _ in range(6):
        if now and dice.random() < 0.4:
            gone = dice.choice(sorted(now))
            del now[gone]
            listing.change(gone, None)
        elif now and dice.random() < 0.5:
            name = dice.choice(sorted(now))
            now[name] = now[name]._replace(
                size=dice.randrange(100), mtime=dice.randrange(100), kind=Kind.FILE
            )
            listing.change(name, now[name])
        else:
            now[new.name] = new
            listing.change(new.name, new)
        afresh = listing_of(list(now.values()), how)
        assert shown(listing) == shown(afresh)
        assert sorted(listing.row(number) for number in listing.order) == sorted(now.values())


def test_marks_follow_names_through_another_order_and_count_what_is_known() -> None:
    rows = [Row(f"f{n}", Kind.FILE, n, n) for n in range(30)] + [Row("d", Kind.FOLDER, 4096, 0)]
    listing = listing_of(rows, Arrangement())
    listing.mark_names(["f3", "f20", "d", "nothing"])
    assert listing.marked_names() == ["d", "f3", "f20"] and listing.marked_bytes() == 23
    listing.set_size(listing.find("d") or 0, 1000)
    assert listing.marked_bytes() == 1023
    listing.arrange(Arrangement(Sort.SIZE, reverse=True))
    assert listing.marked_names() == ["d", "f20", "f3"]
    again = listing_of(rows, Arrangement())
    again.mark_names(f"f{n}" for n in range(25))
    assert len(again.marks) == 25
    listing.change("f3", None)
    assert listing.marked_names() == ["d", "f20"] and listing.find("f3") is None
    assert listing.matching("f1*") == {number for number in listing.shown if listing.name(number)[:2] == "f1"}


def test_a_search_goes_around_and_prefers_beginnings() -> None:
    listing = listing_of(
        [Row(name, Kind.FILE) for name in ("alpha", "beta", "gamma", "phabet")], Arrangement()
    )

    def found(text: str, start: int, step: int = 1) -> int | None:
        return next((row for row in listing.search(text, start, step, 1) if row is not None), None)

    assert (found("g", 0), found("PHA", 0), found("a", 1), found("bet", 2), found("[", 0)) == (
        2,
        3,
        0,
        1,
        None,
    )
    assert (found("eta", 0), found("a*a", 1), found("a", 3, -1)) == (1, 0, 0)


def read(folder: Path, how: Arrangement) -> tuple[list[Listing], Listing]:
    seen: list[Listing] = []

    def show(listing: Listing, columns: Columns | None) -> None:
        if columns is not None:
            listing.fill(columns)
        seen.append(listing)

    scan(str(folder), how, show, Apart())
    return seen, seen[-1]


@pytest.mark.parametrize("entries", [0, 7, 300, 5000])
@pytest.mark.parametrize("sort", list(Sort))
def test_a_folder_is_read_whole_whatever_its_size(tmp_path: Path, entries: int, sort: Sort) -> None:
    names = [f"f{n * 7919 % max(1, entries)}.{'ab'[n % 2]}" for n in range(entries)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * (number % 50))
        os.utime(tmp_path / name, (number, number))
    hostile = "\x1b[2J\n\udcff\u202e"
    (tmp_path / hostile).mkdir()
    (tmp_path / "link").symlink_to(hostile)
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    seen, last = read(tmp_path, Arrangement(sort, hidden=True))
    assert last.complete and len(last.order) == entries + 4
    assert all(len(listing.order) in (250, entries + 4) for listing in seen)
    kinds = {last.name(number): last.kinds[number] for number in last.order}
    assert (kinds[hostile], kinds["link"]) == (Kind.FOLDER, Kind.FOLDER_LINK)
    assert (kinds["broken"], kinds["pipe"]) == (Kind.BROKEN, Kind.OTHER)
    for number in last.order:
        about = os.lstat(tmp_path / last.name(number))
        assert (last.sizes[number], last.mtimes[number]) == (about.st_size, about.st_mtime_ns)
        assert last.modes[number] == about.st_mode & 0o7777
    assert shown(last) == shown(listing_of([last.row(number) for number in last.order], last.arrangement))


@pytest.mark.parametrize("entries", [300, 5000])
def test_two_that_open_a_folder_at_once_read_it_once(
    tmp_path: Path, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(entries):
        (tmp_path / f"f{number}").touch()
    began, joined, scans = threading.Event(), threading.Event(), []

    def counted(path: str, how: Arrangement, show: Show, apart: Apart) -> None:
        scans.append(path)
        scan(path, how, show, apart)

    monkeypatch.setattr(readings, "scan", counted)
    pages: dict[str, list[Listing]] = {"first": [], "second": []}

    def shower(who: str) -> Show:
        def show(listing: Listing, columns: Columns | None) -> None:
            if columns is not None:
                listing.fill(columns)
            pages[who].append(listing)
            if who == "first":
                began.set()
                assert joined.wait(20)
            else:
                joined.set()

        return show

    def open_it(who: str) -> None:
        readings.read(str(tmp_path), Arrangement(), shower(who), Apart())

    first = threading.Thread(target=open_it, args=("first",))
    first.start()
    assert began.wait(20)
    second = threading.Thread(target=open_it, args=("second",))
    second.start()
    first.join(20)
    second.join(20)
    one, other = pages["first"][-1], pages["second"][-1]
    assert len(scans) == 1 and one.complete and other.complete
    assert shown(one) == shown(other) and list(one.mtimes) == list(other.mtimes)
    other.change("f1", None)
    assert one.find("f1") is not None and other.find("f1") is None
    (tmp_path / "new").touch()
    open_it("first")
    assert len(scans) == 2 and pages["first"][-1].find("new") is not None


def test_who_looks_on_reads_alone_when_the_other_goes_elsewhere(tmp_path: Path) -> None:
    for number in range(5000):
        (tmp_path / f"f{number}").touch()
    began, joined, other, pages = threading.Event(), threading.Event(), Apart(), []

    def first(_listing: Listing, _columns: Columns | None) -> None:
        began.set()
        assert joined.wait(20)
        other.cancel()

    def second(listing: Listing, columns: Columns | None) -> None:
        if columns is not None:
            listing.fill(columns)
        pages.append(listing)
        joined.set()

    thread = threading.Thread(target=readings.read, args=(str(tmp_path), Arrangement(), first, other))
    thread.start()
    assert began.wait(20)
    readings.read(str(tmp_path), Arrangement(), second, Apart())
    thread.join(20)
    assert pages[-1].complete and len(pages[-1].order) == 5000


def test_a_large_listing_is_sorted_anew_in_a_helper(tmp_path: Path) -> None:
    listing = listing_of([Row(f"n{n}", Kind.FILE, n * 37 % 9001, n) for n in range(9001)], Arrangement())
    how = Arrangement(Sort.SIZE, reverse=True, filter="*5")
    found = rearrange(listing, how, Apart())
    assert found is not None
    listing.settle(how, *found)
    names = [row.name for row in sorted((listing.row(at) for at in listing.order), key=lambda row: -row.size)]
    assert shown(listing) == [name for name in names if name.endswith("5")]


def test_a_helper_ends_when_nobody_wants_it_and_tells_its_errors() -> None:
    apart, began = Apart(), threading.Event()

    def forever(send: Send) -> None:
        send("begun", b"x")
        while True:
            pass

    thread = threading.Thread(target=apart.run, args=(forever, lambda what, views: began.set()))
    thread.start()
    assert began.wait(20)
    apart.cancel()
    thread.join(20)
    assert not thread.is_alive()

    def fails(_send: Send) -> None:
        raise PermissionError(13, "no")

    with pytest.raises(PermissionError):
        Apart().run(fails, lambda what, views: None)

    def dies(_send: Send) -> None:
        os._exit(3)

    with pytest.raises(LabboxError, match="cannot sort"):
        Apart().run(dies, lambda what, views: None)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, kind in (("missing", FileNotFoundError), ("file", NotADirectoryError)):
        with pytest.raises(kind):
            read(tmp_path / name, Arrangement())


async def test_the_kernel_tells_which_names_changed(tmp_path: Path) -> None:
    watcher, heard = Watcher(), asyncio.Queue[set[str] | None]()
    number = watcher.add(str(tmp_path))
    assert number is not None
    watcher.listen(number, heard.put_nowait)
    try:
        for deed, name in (
            (lambda: (tmp_path / "new\n\udcff").touch(), "new\n\udcff"),
            (lambda: (tmp_path / "new\n\udcff").rename(tmp_path / "old"), "old"),
            (lambda: (tmp_path / "old").write_text("x"), "old"),
            (lambda: (tmp_path / "old").unlink(), "old"),
        ):
            deed()
            while name not in (await asyncio.wait_for(heard.get(), 10) or ()):
                pass
        tmp_path.rmdir()
        while await asyncio.wait_for(heard.get(), 10) is not None:
            pass
        assert watcher.add("/nowhere/at/all") is None
    finally:
        watcher.close()


def test_folders_added_from_several_threads_share_one_descriptor(tmp_path: Path) -> None:
    def kernels() -> list[str]:
        return [str(link) for link in Path("/proc/self/fd").iterdir() if "inotify" in os.path.realpath(link)]

    before, watcher, ready = kernels(), Watcher(), threading.Barrier(8)

    def add(number: int) -> int | None:
        (tmp_path / str(number)).mkdir()
        ready.wait()
        return watcher.add(str(tmp_path / str(number)))

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(add, range(8))) - {None}) == 8
    assert len(kernels()) == len(before) + 1
    watcher.close()
    assert kernels() == before
    assert watcher.add(str(tmp_path)) is None, "a session that ends opens nothing more"
    assert kernels() == before


async def test_a_folder_is_watched_until_the_last_has_forgotten_it(tmp_path: Path) -> None:
    watcher, heard = Watcher(), asyncio.Queue[set[str] | None]()
    numbers = [watcher.add(str(tmp_path)) for _ in range(3)]
    number = numbers[0]
    assert number is not None and set(numbers) == {number}
    watcher.listen(number, heard.put_nowait)
    watcher.forget(number)
    watcher.forget(number)
    (tmp_path / "new").touch()
    assert await asyncio.wait_for(heard.get(), 10) == {"new"}
    watcher.forget(number, heard.put_nowait)
    assert watcher.add(str(tmp_path)) != number, "the kernel watched it still"
    watcher.close()


def test_foreign_file_systems_are_blind() -> None:
    assert is_blind("/proc") and is_blind("/nowhere/at/all")


def test_counting_and_gathering(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/deep.txt").write_text("needle in here")
    (tmp_path / "a/loop").symlink_to("..")
    (tmp_path / "big").write_bytes(b"\0" * (1 << 20) + b"NEEDLE")
    (tmp_path / ".hidden").write_text("needle")
    assert count([str(tmp_path / "a"), str(tmp_path / "big")])[:3] == (3, 2, 14 + (1 << 20) + 6 + 2)
    assert count([str(tmp_path / "missing")]).unread == 1

    def found(**wanted: object) -> list[str]:
        rows: list[Row] = []
        assert gather(str(tmp_path), rows.extend, lambda: True, **wanted)  # type: ignore[arg-type]
        return sorted(row.name for row in rows)

    assert found() == ["a/b/deep.txt", "a/loop", "big"]
    assert found(text="needle") == ["a/b/deep.txt", "big"]
    assert found(mask="*.txt;.h*", hidden=True) == [".hidden", "a/b/deep.txt"]
    assert gather(str(tmp_path), lambda rows: None, lambda: False) is False
