from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.errors import LabboxError
from labbox.text import format_bytes, format_duration
from labbox.units import MAX_SIZE, parse_cpus, parse_duration, parse_size, parse_when

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
POWERS = {"": 0, "B": 0, "K": 1, "kb": 1, "KiB": 1, "m": 2, "MB": 2, "G": 3, "GiB": 3, "T": 4, "PiB": 5}


@given(st.integers(0, 8000), st.sampled_from(sorted(POWERS)), st.sampled_from(["", " "]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str, space: str) -> None:
    size = number * 1024 ** POWERS[unit]
    if size <= MAX_SIZE:
        assert parse_size(f"{number}{space}{unit}") == size


@given(st.integers(0, MAX_SIZE // 4096))
def test_a_size_that_labbox_shows_is_read_back_as_nearly_the_same(size: int) -> None:
    assert math.isclose(parse_size(format_bytes(size)), size, rel_tol=0.05, abs_tol=1)


@given(st.integers(0, 10**7))
def test_a_duration_that_labbox_shows_is_read_back_to_its_last_unit(seconds: int) -> None:
    unit = 3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1
    assert parse_duration(format_duration(seconds)) == seconds // unit * unit


@given(st.integers(0, 9999), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_as_a_clock_shows_it(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}:{minutes:02}:{seconds:02}") == hours * 3600 + minutes * 60 + seconds


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_refused_in_one_clean_sentence(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_cpus, parse_when):
        try:
            parse(text)
        except LabboxError as error:
            assert error.code == "invalid"
            assert error.message.startswith("cannot read “")
            assert error.hint
            assert "\n" not in error.message
            assert "\x1b" not in error.message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("15m", 900),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1", "1x", "1h 30", "1e3", "nan", "inf", "999999d", "٣", "1m-"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(LabboxError, match="as a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "G", "-1G", "1.5", "2GG", "1e9", "99999999P", "0x10", "٣G"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(LabboxError, match="as a size"):
        parse_size(text)


@pytest.mark.parametrize(("text", "cpus"), [("4", 4.0), ("0.5", 0.5), ("0.01", 0.01), (" 2 ", 2.0)])
def test_cpus(text: str, cpus: float) -> None:
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e3", "nan", "99999999"])
def test_what_is_no_number_of_cpus(text: str) -> None:
    with pytest.raises(LabboxError, match="as a number of CPUs"):
        parse_cpus(text)


def test_moments() -> None:
    assert parse_when("2026-11-22T08:00:00Z", NOON) == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert parse_when("2026-11-22T08:00+02:00", NOON) == datetime(2026, 11, 22, 6, tzinfo=UTC)
    assert parse_when("+1h30m", NOON) == NOON + timedelta(minutes=90)
    local = datetime(2026, 11, 22, 8).astimezone()
    assert parse_when("2026-11-22 08:00", NOON) == local


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_the_next_one(hour: int, minute: int) -> None:
    moment = parse_when(f"{hour}:{minute:02}", NOON)
    assert NOON < moment <= NOON + timedelta(hours=25)
    assert (moment.astimezone().hour, moment.astimezone().minute) == (hour, minute)


@pytest.mark.parametrize("text", ["", "25:00", "yesterday", "+", "2026-13-01", "9999-99-99"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(LabboxError, match="cannot read"):
        parse_when(text, NOON)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1-00:00:00", 86400), ("2-12", 216000), ("1-02:30", 95400), ("0-00:00:01", 1), ("10-00:00:00", 864000),
        ("30min", 1800), ("30 mins", 1800), ("1h30", 5400), ("1h30m", 5400), ("2m30", 150), ("1d12", 129600),
        ("2 h", 7200), ("90s", 90), ("90 sec", 90), ("90 seconds", 90), ("1:30:00", 5400), ("01:30:00", 5400),
        ("1.5h", 5400), ("1,5h", 5400), (".5h", 1800), ("2 days", 172800), ("1 day 2 hours", 93600),
        ("1 hour and 30 minutes", 5400), ("1 hour, 30 minutes", 5400), ("1H", 3600), ("3 hrs", 10800),
        ("1w", 604800), ("PT1H30M", 5400), ("P1D", 86400), ("P1DT12H", 129600), ("90", 90), ("100:00:00", 360000),
    ],
)  # fmt: skip
def test_durations_as_people_type_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(f" {text} ") == seconds
    assert parse_duration(text.upper()) == seconds


@pytest.mark.parametrize(
    "text",
    ["1-", "-1", "1-00:60:00", "1-00:00:60", "1:30", "1h 30", "1h300", "s", "1hh", "h1", "1.h.5",
     "1,000h", "P", "PT", "P1H", "1h and", "1h,", "1e3", "١h", "1 fortnight", "30minx", "1--2"],
)  # fmt: skip
def test_what_could_mean_two_things_or_none_is_no_duration(text: str) -> None:
    with pytest.raises(LabboxError, match="as a duration") as caught:
        parse_duration(text)
    assert "1-00:00:00" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4Gi", 4 << 30), ("4GB", 4 << 30), ("4GiB", 4 << 30), ("4G", 4 << 30), ("4g", 4 << 30), ("4 gb", 4 << 30),
        ("4096M", 4 << 30), ("4096 MB", 4 << 30), ("512Mi", 512 << 20), ("1.5T", 3 << 39), ("1,5 T", 3 << 39),
        (".5G", 1 << 29), ("2 gigabytes", 2 << 30), ("1 gibibyte", 1 << 30), ("2 Gbytes", 2 << 30), ("1024", 1024),
        ("1024B", 1024), ("10 bytes", 10), ("64k", 64 << 10), ("64Ki", 64 << 10), ("1Pi", 1 << 50),
    ],
)  # fmt: skip
def test_sizes_as_people_type_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["4i", "4iB", "G", "4 G B", "4GG", "4Gbit", "-4G", "1,000M", "4e9", "٤G", "1.5", "4 x"])
def test_what_looks_like_a_size_and_is_none(text: str) -> None:
    with pytest.raises(LabboxError, match="as a size"):
        parse_size(text)
