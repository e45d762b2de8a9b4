"""Environments: the software of a run, named by what it is made from, made once, shared by whoever asks."""

from labbox.daemon.containers.environments.plan import (
    Context,
    EnvFile,
    EnvironmentPlan,
    FileKind,
    Prepared,
    Report,
)
from labbox.daemon.containers.environments.service import Environments

__all__ = ["Context", "EnvFile", "EnvironmentPlan", "Environments", "FileKind", "Prepared", "Report"]
