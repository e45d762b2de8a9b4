"""Where packages come from on this box: the settings that people wrote for pip, told to uv and to builds.

uv reads no pip.conf; universities have proxies, mirrors and certificate authorities of their own. What pip
would use here (its configuration files and ``PIP_*``, in pip's order of precedence), with the proxy and CA
variables of the box and what `custom/box.toml` says before all, is read once and handed on in each tool's own
words. Addresses may hold passwords: they go through environments of processes of the installer, never through
command lines, and are cut out of what people see.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from labbox.custom import IndexSettings
from labbox.model import Value

_LISTS: Final = ("extra-index-url", "find-links", "trusted-host")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@]+@")
_TRUE: Final = frozenset({"1", "true", "yes", "on", "y", "t"})


class PackageIndex(Value):
    """Where packages come from, and the way there."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    certificates: str | None = None  # a file of CA certificates
    client_certificate: str | None = None
    proxies: dict[str, str] = msgspec.field(
        default_factory=dict
    )  # by the lower-case names of the usual variables
    timeout: float | None = None  # seconds
    retries: int | None = None

    def for_uv(self) -> dict[str, str]:
        """The environment that makes uv look where pip would look.

        For pip the best version of all indexes counts; for uv, unless told, the first index that has it.
        """
        env = dict(self._network())
        if self.index_url:
            env["UV_DEFAULT_INDEX"] = self.index_url
        if self.extra_index_urls:
            env["UV_INDEX"] = " ".join(self.extra_index_urls)
            env["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if self.find_links:
            env["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.trusted_hosts:
            env["UV_INSECURE_HOST"] = " ".join(self.trusted_hosts)
        if self.timeout is not None:
            env["UV_HTTP_TIMEOUT"] = str(max(1, round(self.timeout)))
        if self.retries is not None:
            env["UV_HTTP_RETRIES"] = str(self.retries)
        if not self.certificates:
            env["UV_SYSTEM_CERTS"] = "1"  # a lab's own authority stands in the system's store, not in uv's
        if self.client_certificate:
            env["SSL_CLIENT_CERT"] = self.client_certificate
        return env

    def uv_options(self) -> tuple[str, ...]:
        """What uv takes as an option only."""
        return ("--no-index",) if self.no_index else ()

    def for_pip(self) -> dict[str, str]:
        """The environment that gives pip inside a build the same settings."""
        env = dict(self._network())
        pairs = {
            "PIP_INDEX_URL": self.index_url or "",
            "PIP_EXTRA_INDEX_URL": " ".join(self.extra_index_urls),
            "PIP_FIND_LINKS": " ".join(self.find_links),
            "PIP_NO_INDEX": "1" if self.no_index else "",
            "PIP_TRUSTED_HOST": " ".join(self.trusted_hosts),
            "PIP_CERT": self.certificates or "",
            "PIP_TIMEOUT": f"{self.timeout:g}" if self.timeout is not None else "",
        }
        env.update({name: value for name, value in pairs.items() if value})
        env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        return env

    def for_conda(self) -> dict[str, str]:
        """Proxy and certificates for the conda client."""
        return self._network()

    def proxy_arguments(self) -> dict[str, str]:
        """The proxy variables in both spellings: the build arguments that the engine hides from the image."""
        return {name: value for key, value in self.proxies.items() for name in (key, key.upper())}

    def folders(self) -> tuple[Path, ...]:
        """Folders of this machine that indexes stand in (``find-links`` paths and ``file:`` addresses)."""
        found: dict[Path, None] = {}
        for place in (self.index_url or "", *self.extra_index_urls, *self.find_links):
            path = _local_path(place)
            if path is not None:
                # simple indexes point to their files beside themselves: ../../files/…
                found[path.parent if path.name == "simple" else path] = None
        return tuple(found)

    def places(self) -> frozenset[str]:
        """The addresses in use, as a line in a requirements.txt may repeat them."""
        named = (self.index_url or "", *self.extra_index_urls, *self.find_links)
        return frozenset(_CREDENTIALS.sub("", place).rstrip("/") for place in named if place)

    def redact(self, text: str) -> str:
        """`text` without the passwords of addresses."""
        return _CREDENTIALS.sub("", text)

    def _network(self) -> dict[str, str]:
        env = self.proxy_arguments()
        if self.certificates:
            env |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), self.certificates)
        return env


def read_package_index(
    environ: Mapping[str, str], settings: IndexSettings | None = None, root: Path = Path("/")
) -> PackageIndex:
    """The settings of the box, as pip run by the daemon's user would take them, below those of `custom/`.

    `environ` is the daemon's environment; `root` stands for ``/`` in tests. Files that cannot be read or
    parsed are passed over: a broken pip.conf must not stop a box that has no use for it.
    """
    settings = settings or IndexSettings()
    values: dict[str, str] = {}
    for path in _configuration_files(environ, root):
        values |= _read_file(path)
    for name, value in environ.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE" and value.strip():
            values[_key(name.removeprefix("PIP_"))] = value
    proxies = {name: found for name in _PROXIES if (found := environ.get(name) or environ.get(name.upper()))}
    if proxy := values.get("proxy", "").strip():
        proxies |= {"http_proxy": proxy, "https_proxy": proxy}
    chosen = {name: getattr(settings, name) for name in _PROXIES if getattr(settings, name, "")}
    lists = {name: tuple(values.get(name, "").split()) for name in _LISTS}
    certificates = [settings.ca_bundle, values.get("cert", "").strip()]
    certificates += [
        environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    ]
    return PackageIndex(
        index_url=settings.url or values.get("index-url", "").strip() or None,
        extra_index_urls=settings.extra_urls or lists["extra-index-url"],
        find_links=lists["find-links"],
        no_index=values.get("no-index", "").strip().lower() in _TRUE,
        trusted_hosts=lists["trusted-host"],
        certificates=next((path for path in certificates if path), None),
        client_certificate=values.get("client-cert", "").strip() or None,
        proxies=proxies | chosen,
        timeout=_number(values.get("timeout") or values.get("default-timeout")),
        retries=None if (retries := _number(values.get("retries"))) is None else round(retries),
    )


def _configuration_files(environ: Mapping[str, str], root: Path) -> list[Path]:
    """Pip's files, the later ones before the earlier (pip's documentation, "Configuration files")."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    directories = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [
        root / directory.lstrip("/") / "pip/pip.conf" for directory in directories.split(":") if directory
    ]
    files.append(root / "etc/pip.conf")
    home = environ.get("HOME")
    if home and not (named and Path(named).exists()):
        configuration = environ.get("XDG_CONFIG_HOME") or str(Path(home) / ".config")
        files += [Path(home) / ".pip/pip.conf", Path(configuration) / "pip/pip.conf"]
    files.append(Path(sys.prefix) / "pip.conf")
    return [*files, Path(named)] if named else files


def _read_file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8", "replace"))
    except (OSError, configparser.Error):
        return {}
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values |= {_key(name): value for name, value in parser.items(section)}
    return values


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _local_path(place: str) -> Path | None:
    if place.startswith("file:"):
        return Path(unquote(urlsplit(place).path))
    return Path(place) if place.startswith("/") else None
