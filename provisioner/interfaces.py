"""The addresses and MACs of this machine, by netifaces where it is installed, else by psutil.

netifaces has no wheels for current Pythons and needs a compiler, so nothing else may import it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

try:
    import netifaces
except ImportError:
    netifaces = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface; MAC: twelve lower-case hex digits ("" without one), addresses without scope."""

    name: str
    mac: str
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]


def _mac(text: str) -> str:
    digits = text.replace(":", "").replace("-", "").lower()
    return digits if digits.strip("0") else ""


def _interface(name: str, macs: list[str], ipv4: list[str], ipv6: list[str]) -> Interface:
    bare = [address.partition("%")[0] for address in ipv6]
    return Interface(name, _mac(macs[0]) if macs else "", tuple(ipv4), tuple(bare))


def _by_netifaces() -> list[Interface]:
    families = (netifaces.AF_LINK, netifaces.AF_INET, netifaces.AF_INET6)
    found = []
    for name in netifaces.interfaces():
        all_of = netifaces.ifaddresses(name)
        found.append(_interface(name, *([entry["addr"] for entry in all_of.get(f, [])] for f in families)))
    return found


def _by_psutil() -> list[Interface]:
    families = (psutil.AF_LINK, socket.AF_INET, socket.AF_INET6)
    return [
        _interface(name, *([entry.address for entry in entries if entry.family == f] for f in families))
        for name, entries in psutil.net_if_addrs().items()
    ]


def interfaces() -> list[Interface]:
    """All interfaces, by name."""
    return sorted(_by_netifaces() if netifaces else _by_psutil(), key=lambda interface: interface.name)


def local_addresses() -> list[str]:
    """The IPv4 addresses that phones may know this machine by; loopback only when there is no other."""
    addresses = [address for interface in interfaces() for address in interface.ipv4]
    return [address for address in addresses if not address.startswith("127.")] or addresses


def holder(port: int, datagram: bool = False) -> str:
    """Which program has a port on this machine: `dnsmasq (process 812)`, `another program`, "" for none.

    Only root is told of other users' programs.
    """
    try:
        held = [
            each
            for each in psutil.net_connections("udp" if datagram else "tcp")
            if each.laddr and each.laddr.port == port and (datagram or each.status == psutil.CONN_LISTEN)
        ]
        pid = next((each.pid for each in held if each.pid), None)
        if pid:
            return f"{psutil.Process(pid).name()} (process {pid})"
    except (psutil.Error, OSError):
        return ""
    return "another program" if held else ""
