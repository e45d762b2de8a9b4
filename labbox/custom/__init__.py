"""The folder custom/: its schema, how it is loaded and checked. Pure functions over a path."""

from labbox.custom.load import defaults_dir, load, recipe
from labbox.custom.schema import (
    Configuration,
    ContainerSettings,
    IndexSettings,
    JobSettings,
    PeopleSettings,
    Settings,
    SshSettings,
    Template,
    split_address,
)

__all__ = [
    "Configuration",
    "ContainerSettings",
    "IndexSettings",
    "JobSettings",
    "PeopleSettings",
    "Settings",
    "SshSettings",
    "Template",
    "defaults_dir",
    "load",
    "recipe",
    "split_address",
]
