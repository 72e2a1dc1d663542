"""From which address a request comes: what the server says, or what proxies say that the site trusts."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import MutableMapping, Sequence
from typing import Any

from .web_log import Seldom

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HEADER = b"x-forwarded-for"
#: Who has an address of IPv6 has all of those that begin like it.
IPV6_PREFIX_BITS = 64
#: No chain of proxies is longer; anybody can send a header that is.
MAX_HOPS = 20

logger = logging.getLogger(__name__)


class ClientAddresses:
    """Tells whose requests are counted together.

    Args:
        trusted: Proxies whose ``X-Forwarded-For`` is believed: addresses, or networks.
    """

    def __init__(self, trusted: Sequence[str], seldom: Seldom | None = None) -> None:
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in trusted)
        self._seldom = seldom or Seldom()

    def key_of(self, scope: MutableMapping[str, Any]) -> str | None:
        """Return what the requests of one client have in common.

        ``None`` says that the address tells nothing. This machine's own is that of a proxy which nobody has
        named, and then all readers have it; or of somebody who is in here anyway. A proxy's is no reader's.
        """
        peer, _ = scope.get("client") or ("", 0)
        address = parse_address(peer)
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == HEADER]
        if address is None:
            return None
        if self._is_trusted(address):
            address = self._behind(address, forwarded)
        elif forwarded and address.is_private:
            self._hint(peer)
        if address.is_loopback or self._is_trusted(address):
            return None
        return str(address) if address.version == 4 else _network_of(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _behind(self, address: Address, forwarded: Sequence[str]) -> Address:
        """Return the last address that no proxy of ours has; each proxy adds at the end whom it was asked by."""
        for hop in reversed(",".join(forwarded).rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
            named = parse_address(hop)
            if named is None:
                return address
            address = named
            if not self._is_trusted(named):
                break
        return address

    def _hint(self, peer: str) -> None:
        if self._seldom.may_say("proxy"):
            logger.warning(
                "A proxy at %s passes readers on to the hub, which does not see their addresses. If it is yours, name"
                " it in CHATIX_HUB_TRUSTED_PROXIES. Until then all of its readers count as one address, or, if it is"
                " on this machine, as none.",
                peer,
            )


def parse_address(text: str) -> Address | None:
    """Return the address that *text* spells, perhaps with a port, or in brackets; ``None``: it spells none."""
    text = text.strip().partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network_of(address: Address) -> str:
    return str(ipaddress.ip_network((address, IPV6_PREFIX_BITS), strict=False))
