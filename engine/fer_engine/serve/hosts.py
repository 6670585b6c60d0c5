"""Which names a request may call the server by, so that a page in a browser cannot reach it by another.

A page may let its own name point to 127.0.0.1 once it is loaded (DNS rebinding); its requests then come from
the user's own browser, and say that name in Host. An address has no name to rebind, and is always taken.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from fer_engine.errors import ConfigError
from fer_engine.serve import responses
from fer_engine.serve.limits import RefusedError

ALL = "*"
OWN = "localhost"


class HostCheck:
    """An application that refuses requests whose Host is missing, double, or of a name that is not allowed.

    Args:
        app: Gets the others.
        names: Allowed besides `localhost` and addresses; "*" for all, "*.example.org" for those that end so.
        count: Called with the status of each refusal.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str], count: Callable[[int], None]) -> None:
        self._app = app
        self._names = {name.lower().rstrip(".") for name in (OWN, *names)}
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        self._count(400)
        response = responses.refusal(RefusedError(400, refusal))
        response.headers["connection"] = "close"
        await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        given = [value for name, value in scope["headers"] if name == b"host"]
        if not given and scope["http_version"] == "1.0":
            return None
        if len(given) != 1:
            return f"a request has one header Host, got {len(given)}"
        name = _without_port(given[0].decode("latin-1").lower())
        if name is None:
            return "the header Host is no name or address, with a port or without"
        if ALL in self._names or name in self._names or _is_address(name):
            return None
        if any(allowed.startswith("*.") and name.endswith(allowed[1:]) for allowed in self._names):
            return None
        return (
            f"this server is not called {name[:100]!r}; call it by its address or as localhost, or start it "
            f"with --allowed-hosts {name[:100]}"
        )


def check_allowed_hosts(names: Sequence[str]) -> None:
    """Check that names are those of hosts, without scheme, port and path.

    Raises:
        ConfigError: one of them is not.
    """
    for name in names:
        plain = name.removeprefix("*.")
        if name != ALL and (not plain or set(plain) & set("/:* ,@")):
            raise ConfigError(
                f"an allowed host is a name as example.org or *.example.org, or * for all; got {name[:100]!r}"
            )


def _without_port(host: str) -> str | None:
    """Return the name or address of a Host header; None where it is neither."""
    if host.startswith("["):
        address, closed, port = host[1:].partition("]")
        return address if closed and (not port or (port[1:].isdecimal() and port[0] == ":")) else None
    name, colon, port = host.partition(":")
    if not name or set(name) & set("/@[] ") or (colon and port and not port.isdecimal()):
        return None
    return name.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
