"""How much of this machine jobs may take together."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from labbox.custom import JobSettings
from labbox.model import Resources

_SHARE_OF_MEMORY = 0.9  # the rest is for the system and for people's sessions


def box_total(settings: JobSettings) -> Resources:
    """What `custom/` says, else all CPUs and GPUs of the machine and nine tenths of its memory."""
    memory = settings.memory
    if memory is None:
        memory = int(psutil.virtual_memory().total * _SHARE_OF_MEMORY)
    return Resources(
        cpus=float(settings.cpus if settings.cpus is not None else len(os.sched_getaffinity(0))),
        memory=memory,
        gpus=settings.gpus if settings.gpus is not None else count_gpus(),
    )


def count_gpus(devices: Path = Path("/dev"), driver: Path = Path("/proc/driver/nvidia/gpus")) -> int:
    """The NVIDIA devices of this machine: else what its driver lists, where the devices are hidden."""
    seen = sum(1 for path in devices.glob("nvidia[0-9]*") if path.is_char_device())
    return seen or sum(1 for path in driver.glob("*") if path.is_dir())
