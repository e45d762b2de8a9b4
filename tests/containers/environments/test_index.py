"""What people told pip is told to uv, to builds and to conda."""

from __future__ import annotations

from pathlib import Path

import pytest

from labbox.custom import IndexSettings
from labbox.daemon.containers.environments.index import read_package_index


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def section(name: str, **settings: object) -> str:
    """A part of a configuration file; pip takes the words of a setting with `_` and with `-`."""
    lines = [f"{key.replace('_', '-')} = {value}" for key, value in settings.items()]
    return "\n".join((f"[{name}]", *lines, ""))


def test_files_count_in_pips_order_and_variables_before_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write(tmp_path / "etc/pip.conf", section("global", index_url="http://etc", timeout=5, retries=1))
    write(home / ".config/pip/pip.conf", section("global", index_url="http://user", timeout=7))
    environ = {"HOME": str(home), "PIP_TIMEOUT": "9"}
    found = read_package_index(environ, root=tmp_path)
    assert found.index_url == "http://user"
    assert found.timeout == 9
    assert found.retries == 1


def test_the_install_section_goes_before_the_global_one(tmp_path: Path) -> None:
    install = section("install", index_url="http://install").replace("-", "_")
    write(tmp_path / "etc/pip.conf", install + section("global", index_url="http://global"))
    assert read_package_index({}, root=tmp_path).index_url == "http://install"


def test_a_named_file_replaces_the_users_and_devnull_replaces_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    named = tmp_path / "mine.conf"
    write(home / ".config/pip/pip.conf", section("global", index_url="http://user"))
    write(named, section("global", extra_index_url="http://mine"))
    found = read_package_index({"HOME": str(home), "PIP_CONFIG_FILE": str(named)}, root=tmp_path)
    assert (found.index_url, found.extra_index_urls) == (None, ("http://mine",))
    assert (
        read_package_index({"HOME": str(home), "PIP_CONFIG_FILE": "/dev/null"}, root=tmp_path).index_url
        is None
    )


def test_uv_gets_every_setting_in_its_own_words(tmp_path: Path) -> None:
    environ = {
        "PIP_INDEX_URL": "https://ada:pw@index.example",
        "PIP_EXTRA_INDEX_URL": "https://a.example\nfile:///srv/b/wheels",
        "PIP_FIND_LINKS": "/srv/wheels",
        "PIP_TRUSTED_HOST": "index.example",
        "PIP_CERT": "/etc/lab.pem",
        "PIP_CLIENT_CERT": "/etc/me.pem",
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_RETRIES": "2",
        "https_proxy": "http://proxy.lab:3128",
        "NO_PROXY": "localhost",
    }
    env = read_package_index(environ, root=tmp_path).for_uv()
    assert env["UV_DEFAULT_INDEX"] == "https://ada:pw@index.example"
    assert env["UV_INDEX"] == "https://a.example file:///srv/b/wheels"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"  # as pip: the best of all indexes
    assert env["UV_FIND_LINKS"] == "/srv/wheels"
    assert env["UV_INSECURE_HOST"] == "index.example"
    assert env["SSL_CERT_FILE"] == "/etc/lab.pem"
    assert env["SSL_CLIENT_CERT"] == "/etc/me.pem"
    assert (env["UV_HTTP_TIMEOUT"], env["UV_HTTP_RETRIES"]) == ("180", "2")
    assert env["HTTPS_PROXY"] == env["https_proxy"] == "http://proxy.lab:3128"
    assert env["no_proxy"] == "localhost"


def test_pips_own_proxy_goes_before_the_environments(tmp_path: Path) -> None:
    environ = {"PIP_PROXY": "http://pip.lab:1", "https_proxy": "http://env.lab:2"}
    assert read_package_index(environ, root=tmp_path).proxies["https_proxy"] == "http://pip.lab:1"


def test_custom_goes_before_everything(tmp_path: Path) -> None:
    settings = IndexSettings(url="https://box", ca_bundle="/etc/box.pem", https_proxy="http://box:3")
    environ = {
        "PIP_INDEX_URL": "https://pip",
        "PIP_CERT": "/etc/pip.pem",
        "https_proxy": "http://env:2",
    }
    env = read_package_index(environ, settings, tmp_path).for_uv()
    assert (env["UV_DEFAULT_INDEX"], env["SSL_CERT_FILE"], env["https_proxy"]) == (
        "https://box",
        "/etc/box.pem",
        "http://box:3",
    )


@pytest.mark.parametrize("text", ["index-url = x", "[global\n", "\xff\xfe"])
def test_a_broken_file_is_passed_over(tmp_path: Path, text: str) -> None:
    write(tmp_path / "etc/pip.conf", text)
    assert read_package_index({}, root=tmp_path).index_url is None


def test_passwords_of_addresses_are_cut_out(tmp_path: Path) -> None:
    index = read_package_index({"PIP_INDEX_URL": "https://ada:secret@index.example"}, root=tmp_path)
    assert (
        index.redact("failed: https://ada:secret@index.example/numpy")
        == "failed: https://index.example/numpy"
    )
    assert index.places() == {"https://index.example"}


def test_builds_see_the_folders_that_indexes_stand_in(tmp_path: Path) -> None:
    environ = {
        "PIP_FIND_LINKS": "/srv/wheels",
        "PIP_EXTRA_INDEX_URL": "file:///srv/mirror/simple https://a.example",
    }
    assert read_package_index(environ, root=tmp_path).folders() == (Path("/srv/mirror"), Path("/srv/wheels"))
