"""What is documented of a run's variables is what a run is told, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from labbox.cli.job import job
from labbox.daemon.jobs import expand
from labbox.files import jobtoml

TOP = Path(__file__).parents[2]
# Of the box's own programs, not of runs.
OTHERS = {"LABBOX_SOCKET", "LABBOX_STATE", "LABBOX_CUSTOM", "LABBOX_SSH", "LABBOX_THEME", "LABBOX_LOG"}


def _named(text: str) -> set[str]:
    return set(re.findall(r"LABBOX_[A-Za-z]\w*", text)) - OTHERS


def test_every_variable_that_is_documented_is_set() -> None:
    source = (TOP / "labbox/daemon/jobs/expand.py").read_text()
    told_by = source.partition("def environment")[2].partition("\ndef ")[0]
    documented = {
        "README": _named((TOP / "README.md").read_text()),
        "help": _named(CliRunner().invoke(job, ["submit", "--help"]).output),
        "job.toml": _named(jobtoml.__doc__ or ""),
        "expand": _named(expand.__doc__ or ""),
        "examples": {
            name
            for one in (TOP / "custom").rglob("*")
            if one.is_file() and one.suffix in (".toml", ".py", ".sh", ".R", ".m", ".md")
            for name in _named(one.read_text())
        },
    }
    for where, names in documented.items():
        for name in names:
            sweep = name.startswith("LABBOX_SWEEP_")
            assert sweep or f'told["{name}"]' in told_by or f'"{name}": ' in told_by, f"{where} names {name}"
    for where in ("README", "help", "job.toml", "expand"):
        assert "LABBOX_INDEX" in documented[where], where
