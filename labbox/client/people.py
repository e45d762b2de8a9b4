"""The calls about people: users, passwords, keys, limits, invitations, tokens."""

from __future__ import annotations

from labbox.client.transport import Transport, segment
from labbox.model import Limits, Scope
from labbox.protocol import (
    AdminBody,
    Empty,
    Invite,
    InviteBody,
    Key,
    KeyBody,
    Keys,
    NewToken,
    PasswordBody,
    SuspendBody,
    TokenBody,
    Tokens,
    User,
    UserAdd,
    UserEdit,
    UserPage,
)


class PeopleCalls:
    """Everything that can be asked about people and done for them."""

    _transport: Transport

    def list_users(self) -> UserPage:
        """All users, by name; for administrators.

        Example:
            print([user.name for user in box.list_users().users])
        """
        return self._transport.get("/v1/users", UserPage)

    def show_user(self, name: str) -> User:
        """One user; others than oneself for administrators.

        Example:
            print(box.show_user("ada").limits)
        """
        return self._transport.get(f"/v1/users/{segment(name)}", User)

    def add_user(self, user: UserAdd) -> User:
        """Make a user with a home; for administrators.

        Example:
            box.add_user(UserAdd(name="ada", keys=("ssh-ed25519 AAAA… ada@laptop",)))
        """
        return self._transport.send("POST", "/v1/users", User, user)

    def remove_user(self, name: str, files: str = "keep") -> None:
        """Remove a user and end their jobs; `files` is "keep" or "delete". For administrators.

        Example:
            box.remove_user("ada", files="delete")
        """
        self._transport.send(
            "DELETE", f"/v1/users/{segment(name)}", Empty, query={"files": files}, timeout=600
        )

    def set_password(self, name: str, new: str, old: str | None = None) -> None:
        """Set a password; people who have one and are not administrators give the old one too.

        Example:
            box.set_password("ada", "correct horse battery staple", old="123456789")
        """
        self._transport.send(
            "POST", f"/v1/users/{segment(name)}/password", Empty, PasswordBody(new=new, old=old)
        )

    def list_keys(self, name: str) -> Keys:
        """A person's public keys.

        Example:
            for key in box.list_keys("ada").keys:
                print(key.fingerprint, key.comment)
        """
        return self._transport.get(f"/v1/users/{segment(name)}/keys", Keys)

    def add_key(self, name: str, key: str) -> Key:
        """Deposit a public key, a line in OpenSSH's format.

        Example:
            box.add_key("ada", Path("~/.ssh/id_ed25519.pub").expanduser().read_text())
        """
        return self._transport.send("POST", f"/v1/users/{segment(name)}/keys", Key, KeyBody(key=key))

    def remove_key(self, name: str, fingerprint: str) -> None:
        """Remove a public key.

        Example:
            box.remove_key("ada", "SHA256:…")
        """
        self._transport.send("DELETE", f"/v1/users/{segment(name)}/keys/{segment(fingerprint)}", Empty)

    def set_limits(self, name: str, limits: Limits) -> User:
        """Replace what a person may take at once; for administrators.

        Example:
            box.set_limits("ada", Limits(running_jobs=4, cpus=8))
        """
        return self._transport.send("POST", f"/v1/users/{segment(name)}/limits", User, limits)

    def set_admin(self, name: str, admin: bool) -> User:
        """Say whether a person administers the box; for administrators.

        Example:
            box.set_admin("ada", True)
        """
        return self._transport.send("POST", f"/v1/users/{segment(name)}/admin", User, AdminBody(admin=admin))

    def invite_user(
        self, name: str, admin: bool = False, valid: float = 7 * 86400.0, full_name: str = ""
    ) -> Invite:
        """A one-time code for a person's first login, good for `valid` seconds; for administrators.

        Example:
            print(box.invite_user("ada").code)
        """
        body = InviteBody(name=name, admin=admin, valid=valid, full_name=full_name)
        return self._transport.send("POST", "/v1/users/invite", Invite, body)

    def withdraw_invitation(self, name: str) -> User:
        """Take a one-time code back before it has served; for administrators.

        Example:
            box.withdraw_invitation("ada")
        """
        return self._transport.send("DELETE", f"/v1/users/{segment(name)}/invitation", User)

    def suspend_user(self, name: str, cancel_running: bool = False) -> User:
        """Shut a person out at once, until `unsuspend_user`; for administrators.

        Logins, requests and streams end. What waits of their jobs waits; what runs goes on, or is cancelled.

        Example:
            box.suspend_user("ada", cancel_running=True)
        """
        body = SuspendBody(cancel_running=cancel_running)
        return self._transport.send("POST", f"/v1/users/{segment(name)}/suspend", User, body)

    def unsuspend_user(self, name: str) -> User:
        """Let a suspended person in again; for administrators.

        Example:
            box.unsuspend_user("ada")
        """
        return self._transport.send("POST", f"/v1/users/{segment(name)}/unsuspend", User)

    def edit_user(self, name: str, edit: UserEdit) -> User:
        """Change a full name, or when an account ends; the latter is for administrators.

        Example:
            box.edit_user("ada", UserEdit(full_name="Ada Lovelace"))
        """
        return self._transport.send("POST", f"/v1/users/{segment(name)}/edit", User, edit)

    def list_tokens(self, name: str) -> Tokens:
        """A person's tokens, without their secrets.

        Example:
            for token in box.list_tokens("ada").tokens:
                print(token.id, token.label, token.scope, token.expires_at)
        """
        return self._transport.get(f"/v1/users/{segment(name)}/tokens", Tokens)

    def add_token(self, name: str, label: str, scope: Scope, valid: float = 90 * 86400.0) -> NewToken:
        """Make a token for scripts, good for `valid` seconds; its secret is shown this once.

        Example:
            print(box.add_token("ada", "nightly", Scope.SUBMIT).secret)
        """
        return self._transport.send(
            "POST",
            f"/v1/users/{segment(name)}/tokens",
            NewToken,
            TokenBody(label=label, scope=scope, valid=valid),
        )

    def revoke_token(self, name: str, id: int) -> None:  # noqa: A002 - the word that people use for it
        """End a token.

        Example:
            box.revoke_token("ada", 3)
        """
        self._transport.send("DELETE", f"/v1/users/{segment(name)}/tokens/{id}", Empty)
