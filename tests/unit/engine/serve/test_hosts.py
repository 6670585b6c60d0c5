"""By which names a server may be called."""

from __future__ import annotations

import asyncio

import pytest

from fer_engine.errors import ConfigError
from fer_engine.serve.hosts import HostCheck, check_allowed_hosts


def answer(hosts: list[str], names=(), version: str = "1.1") -> tuple[int, str]:
    """Return status and text of a request with these Host headers; 200 where the application gets it."""
    said: list[dict] = []
    counted: list[int] = []

    async def app(*_):
        said.append({"status": 200})

    async def send(message):
        said.append(message)

    headers = [(b"host", host.encode("latin-1")) for host in hosts]
    scope = {"type": "http", "http_version": version, "headers": headers, "method": "GET", "path": "/"}
    asyncio.run(HostCheck(app, names, counted.append)(scope, None, send))
    assert counted == [message["status"] for message in said[:1] if message["status"] != 200]
    return said[0]["status"], b"".join(message.get("body", b"") for message in said).decode()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:8000",
        "192.168.1.5:80",
        "[::1]",
        "[::1]:9",
    ],
)
def test_the_machine_itself_and_any_address_are_allowed(host):
    assert answer([host])[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io"]
)
def test_a_foreign_name_is_refused_and_the_option_named(host):
    status, text = answer([host])
    assert status == 400
    assert f"--allowed-hosts {host.partition(':')[0]}" in text


@pytest.mark.parametrize(
    "hosts",
    [[], ["localhost", "localhost"], [""], [":80"], ["[::1"], ["a/b"], ["u@localhost"], ["localhost:x"]],
)
def test_a_missing_double_or_broken_host_is_refused(hosts):
    assert answer(hosts)[0] == 400


def test_http_1_0_has_no_host():
    assert answer([], version="1.0")[0] == 200


def test_names_may_be_allowed():
    names = ["faces.example.org", "*.local"]
    assert answer(["Faces.Example.org:443"], names)[0] == answer(["a.b.local"], names)[0] == 200
    assert answer(["example.org"], names)[0] == answer(["local"], names)[0] == 400
    assert answer(["anything"], ["*"])[0] == 200


@pytest.mark.parametrize("name", ["http://a", "a:80", "a/b", "", "*.", "a*b", "a b"])
def test_what_is_no_name_is_told(name):
    with pytest.raises(ConfigError, match=r"an allowed host is a name as example\.org"):
        check_allowed_hosts([name])
