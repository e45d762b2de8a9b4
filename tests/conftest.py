"""What all tests share."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable

import pytest

_ATTEMPTS = "attempts"


def pytest_configure() -> None:
    """Hear Ctrl+C though a shell began the tests beside others: what they start on terminals inherits it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Three thousand collected tests are no garbage: do not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Counts attempts of an attack: `tried()` before each, `tried(40)` for many at once."""

    def count(attempts: int = 1) -> None:
        record_property(_ATTEMPTS, attempts)

    return count


@pytest.fixture(autouse=True)
def _attack_is_named(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    marker = request.node.get_closest_marker("attack")
    if marker is not None:
        record_property("attack", marker.args[0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The attacks by row: tests that fail are attacks that succeeded."""
    tried: dict[str, int] = {}
    succeeded: dict[str, int] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            properties = getattr(report, "user_properties", [])
            row = next((value for name, value in properties if name == "attack"), None)
            if row is None or report.when not in ("call", "setup"):
                continue
            attempts = sum(value for name, value in properties if name == _ATTEMPTS)
            tried[row] = tried.get(row, 0) + max(1, attempts)
            if outcome != "passed":
                succeeded[row] = succeeded.get(row, 0) + 1
    if not tried:
        return
    terminalreporter.section("attacks")
    for row in sorted(tried, key=lambda name: (len(name), name)):
        terminalreporter.write_line(f"{row}: {tried[row]} tried, {succeeded.get(row, 0)} successes")
    total, lost = sum(tried.values()), sum(succeeded.values())
    terminalreporter.write_line(f"all: {total} tried, {lost} successes")
