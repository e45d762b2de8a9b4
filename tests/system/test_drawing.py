"""What Octave and R are for on a first day: drawing, and the packages that textbooks of R use."""

from __future__ import annotations

from pathlib import Path

import pytest
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

_OCTAVE = """\
plot(1:3); title("angle");
print -dpng /output/a.png
print -dsvg /output/a.svg
print -dpdf /output/a.pdf
print -depsc /output/a.eps
"""
_R = """\
library(MASS); library(nlme); library(survival)
png("/output/a.png"); plot(1:3); dev.off()
pdf("/output/a.pdf"); plot(1:3); dev.off()
svg("/output/a.svg"); plot(1:3); dev.off()
cat(coef(rlm(stack.loss ~ ., stackloss))[1], "\\n")
"""
_BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".eps": b"%!PS"}


@pytest.mark.timeout(420)  # the images are made once for each engine
@pytest.mark.parametrize(("entry", "text"), [("app.m", _OCTAVE), ("app.R", _R)])
def test_a_plot_becomes_a_file_of_each_kind(entry: str, text: str, ada: Person, tmp_path: Path) -> None:
    study = tmp_path / f"drawing-{entry[4:]}"  # of its own: both are the same person's
    study.mkdir()
    (study / entry).write_text(text)
    ada.scp(str(study), "box:")
    done = ada.run("job", "submit", study.name, "--follow", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    job = ada.json("job", "list")["jobs"][0]
    ada.scp(f"box:{job['results']}/output", str(tmp_path / "output"))
    made = [path for path in (tmp_path / "output").iterdir() if path.suffix in _BEGINS]
    assert len(made) == (4 if entry == "app.m" else 3)
    for path in made:
        assert path.read_bytes().startswith(_BEGINS[path.suffix]), path
        assert path.stat().st_size > 1000
