"""Users, passwords, keys, tokens, the audit trail."""

from labbox.daemon.people.accounts import BOX, Account, Actor, Login, Removal
from labbox.daemon.people.service import People

__all__ = ["BOX", "Account", "Actor", "Login", "People", "Removal"]
