"""Which names users may have."""

from __future__ import annotations

import grp
import pwd
import re
from typing import Final

from labbox.errors import LabboxError
from labbox.text import visible_line

_FORM: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
# Words that stand for something else in the audit trail, in the API's paths or in talk.
_RESERVED: Final = frozenset({"all", "box", "everyone", "invite", "labbox", "local", "nobody", "root"})


def check_name(name: str) -> None:
    """LabboxError "invalid" for a name that no user may have."""
    shown = visible_line(name[:80])
    if not _FORM.fullmatch(name):
        raise LabboxError(
            "invalid",
            f"cannot use “{shown}” as a user's name",
            "a name begins with a lower-case letter; letters a-z, digits, - and _ may follow, 32 in all",
        )
    if name in _RESERVED:
        raise LabboxError(
            "invalid", f"cannot use “{shown}” as a user's name: it is reserved", "choose another"
        )


def check_no_system_user(name: str) -> None:
    """LabboxError "conflict" where the system has a user or group of the name. Asks NSS, which may block."""
    for what, look_up in (("user", pwd.getpwnam), ("group", grp.getgrnam)):
        try:
            look_up(name)
        except KeyError:
            continue
        raise LabboxError(
            "conflict",
            f"cannot add {name}: the box's system has a {what} of that name",
            "choose another name",
        )
