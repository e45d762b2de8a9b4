"""Lines for other queues in a script, `#SBATCH --mem=4G`: which lines of job.toml say the same."""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"^#(SBATCH|PBS|BSUB|COBALT)[ \t]+(-[^\n#]*)", re.MULTILINE)
_OPTION: Final = re.compile(r"(--[a-z-]+|-[a-zA-Z])(?:[= \t]*)([^\s-]\S*)?")
_KEYS: Final = {
    "--array": "array", "-a": "array", "--mem": "memory", "--cpus-per-task": "cpus", "-c": "cpus",
    "--time": "time", "-t": "time", "--job-name": "name", "-J": "name", "--gpus": "gpus", "-G": "gpus",
    "--gres": "gpus",
}  # fmt: skip
_NUMBERS: Final = ("cpus", "gpus")
_ELSE: Final = "say in job.toml what the job needs: cpus, memory, time, array"


def told(text: str) -> tuple[str, str] | None:
    """That such lines are not followed, and what to write into job.toml; None where there are none."""
    lines = _LINE.findall(text)
    if not lines:
        return None
    system = lines[0][0]
    said: dict[str, str] = {}
    for options in [options for name, options in lines if name == system == "SBATCH"]:
        for option, value in _OPTION.findall(options):
            if (key := _KEYS.get(option)) is not None and (written := _written(key, value)):
                said.setdefault(key, written)
    hint = f"write into job.toml: {'; '.join(said.values())}" if said else _ELSE
    if "array" in said:
        hint += "; each job of the array finds its index in LABBOX_INDEX, in place of SLURM_ARRAY_TASK_ID"
    return f"its #{system} lines are not followed", hint


def _written(key: str, value: str) -> str:
    value = value.strip("\"'")
    if key in _NUMBERS:
        number = value.rpartition(":")[2]
        return f"{key} = {number}" if number.isdecimal() else ""
    if key == "memory" and value.isdecimal():
        value += "M"  # Slurm's unit
    if key == "time" and value.isdecimal():
        value += "min"
    if not re.fullmatch(r"[\w.:,%-]{1,60}", value, re.ASCII):
        return ""
    return f'{key} = "{value}"'
