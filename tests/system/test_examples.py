"""The examples that come with labbox run on a box as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

EXAMPLES = Path(__file__).parents[2] / "custom" / "shared" / "examples"


@pytest.mark.timeout(300)  # the image with Octave is made once for each engine
@pytest.mark.parametrize(
    ("name", "says", "table", "line"),
    [
        ("word-count", "box: 73 words", "texts.csv", "text,words,different"),
        ("reaction-time", "flanker effect 52.4 ms", "effects.csv", "incongruent - congruent,52.4,"),
        ("pendulum", "period by crossings", "pendulum.csv", "period_crossings_s,period_fit_s"),
    ],
)
def test_an_example_runs_as_it_is(
    name: str, says: str, table: str, line: str, ada: Person, tmp_path: Path
) -> None:
    ada.scp(str(EXAMPLES / name), "box:")
    done = ada.run("job", "submit", name, "--follow", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout
    job = ada.json("job", "list")["jobs"][0]
    assert job["name"] == name
    ada.scp(f"box:{job['results']}/output", str(tmp_path / "output"))
    assert line in (tmp_path / "output" / table).read_text()
