"""Which addresses may be connected to (contract: what the engine adds).

Checked where a socket is made, on the address that it will really connect to: whatever spelling of a host (octal,
decimal, a name that changes its address) led there, it cannot get past.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
AddrInfo = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]
]

# Loopback and the networks of homes, offices, containers and overlay networks (RFC 1918, 4193, 6598). 0.0.0.0 is this
# machine. Link-local is not among them: it is where clouds keep their metadata services.
PRIVATE: list[IPv4Network | IPv6Network] = [
    *map(IPv4Network, ("0.0.0.0/32", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    *map(IPv6Network, ("::/128", "::1/128", "fc00::/7")),
]
METADATA = IPv6Address("fd00:ec2::254")  # a cloud's metadata service in a private range
NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")


class Blocked(OSError):
    """A connection that was not made. One text for all addresses: connecting merges the errors of several."""

    def __init__(self) -> None:
        super().__init__("not a public address")


def is_address(host: str) -> bool:
    """Whether `host` is an IP address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def is_private(text: str) -> bool:
    """Loopback or private, never link-local. Raises ValueError for what is no IP address."""
    address = _inner(ip_address(text))
    return address != METADATA and any(address in network for network in PRIVATE)


@lru_cache(maxsize=4096)
def is_public(text: str) -> bool:
    """Reachable on the internet for everyone. Raises ValueError for what is no IP address."""
    address = _inner(ip_address(text))
    special = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not special


def sockets_to(allowed: Callable[[str], bool]) -> Callable[[AddrInfo], socket.socket]:
    """A socket factory for aiohttp that raises Blocked unless the address is `allowed`."""

    def make(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allowed(address[0]):
            raise Blocked
        return socket.socket(family, kind, protocol)

    return make


def _inner(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that a network translates (mapped, compatible, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
