"""The calls about other machines: what is kept to log in there."""

from __future__ import annotations

from labbox.client.transport import Transport, segment
from labbox.protocol import Empty, Host, HostAdd, Hosts, HostSecret, HostTrust


class HostCalls:
    """What can be asked about one's own hosts and done with them; `name` is `[user@]host[:port]`."""

    _transport: Transport

    def list_hosts(self) -> Hosts:
        """The machines that something is kept for, without secrets.

        Example:
            for host in box.list_hosts().hosts:
                print(host.name, host.public_key)
        """
        return self._transport.get("/v1/hosts", Hosts)

    def add_host(self, name: str, private_key: str | None = None, password: str | None = None) -> Host:
        """Keep a private key or a password for a machine; with neither, the box makes a key.

        The public line of the answer belongs into `~/.ssh/authorized_keys` over there.

        Example:
            print(box.add_host("me@my-pc").public_key)
        """
        wish = HostAdd(name=name, private_key=private_key, password=password)
        return self._transport.send("POST", "/v1/hosts", Host, wish)

    def trust_host(self, name: str, key: str) -> Host:
        """Pin the key ("TYPE BASE64") that a machine shows, in place of what was pinned.

        Example:
            except UnknownHostError as error:  # of labbox.files.places.hosts; a person has said yes
                box.trust_host(error.host, error.key)
        """
        return self._transport.send("POST", f"/v1/hosts/{segment(name)}/trust", Host, HostTrust(key=key))

    def remove_host(self, name: str) -> None:
        """Forget a machine with its secret and its key.

        Example:
            box.remove_host("me@my-pc")
        """
        self._transport.send("DELETE", f"/v1/hosts/{segment(name)}", Empty)

    def host_secret(self, name: str) -> HostSecret:
        """What one's own process logs in with; never with a token.

        Example:
            places = Places(roots, credentials=AskedCredentials(box.host_secret))
        """
        return self._transport.get(f"/v1/hosts/{segment(name)}/secret", HostSecret)
