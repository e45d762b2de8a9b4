"""Transfers: jobs that copy, move, delete, compare or search files, wherever they are.

`plan` tells what a transfer would do and changes nothing; `run` does it, and goes on where an earlier run was
cut off. Both work with the ids of the process that calls them and with nothing else.
"""

from labbox.files.transfer.control import NoPause, Pause
from labbox.files.transfer.planning import Clash, Plan, plan
from labbox.files.transfer.running import run

__all__ = ["Clash", "NoPause", "Pause", "Plan", "plan", "run"]
