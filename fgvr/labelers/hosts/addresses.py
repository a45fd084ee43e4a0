"""Addresses of servers: one spelling for each, and which of them are somebody's own."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from fgvr.errors import FgvrError

_PORTS = {"http": 80, "https": 443}
_OWN_DOMAINS = (".local", ".internal", ".lan", ".localhost")


def server_url(url: str | None, own: str) -> str | None:
    """One spelling of an address: replies are stored under it.

    Args:
        url: As the user gives it.
        own: The provider's own server, for which ``None`` stands.

    Raises:
        FgvrError: It is no address, or holds a password or a query.

    Example:
        >>> server_url("HTTP://Localhost:80/v1/", own="https://api.openai.com/v1")
        'http://localhost/v1'
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise FgvrError(
            "data.labeler.base_url holds a user name, a password or a query, which would be stored with every reply; "
            "expected scheme, host, port and path alone. Keys come from the environment."
        )
    if parts.scheme not in _PORTS or not host:
        raise FgvrError(f"data.labeler.base_url is {url!r}; expected an address such as http://localhost:8000/v1.")
    host = f"[{host}]" if ":" in host else host
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    normal = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
    return None if normal == own.rstrip("/") else normal


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, in one spelling: who it is that is asked.

    Example:
        >>> origin_of("HTTPS://Api.Example.org:443/v1"), origin_of("http://[::1]:8000/v1")
        ('https://api.example.org', 'http://[::1]:8000')
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host if parts.port in (None, _PORTS.get(parts.scheme)) else f'{host}:{parts.port}'}"


def other_origins(urls: Collection[str] | None) -> frozenset[str]:
    """The origins of servers that requests may be handed on to.

    Args:
        urls: As the user gives them.

    Raises:
        FgvrError: One is no address.
    """
    if isinstance(urls, str):
        urls = [urls]
    for url in urls or ():
        try:
            parts = urlsplit(url.strip())
            usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0 and not parts.username
        except ValueError:
            usable = False
        if not usable:
            raise FgvrError(
                f"data.labeler.redirects_to holds {url!r}; expected addresses of servers, such as "
                "https://files.example.org."
            )
    return frozenset(origin_of(url.strip()) for url in urls or ())


def is_private(url: str) -> bool:
    """Whether a server is on this machine or in a network of one's own, as far as its address says so."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # one label: "localhost", or the name that Docker gives to another container
        return "." not in host or host.endswith(_OWN_DOMAINS)
