"""What the network's DHCP server has to tell phones so that they come here, in the words of each kind of server."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jinja2

from provisioner.errors import UsageError
from provisioner.phones import boot
from provisioner.phones.identity import prefixes
from provisioner.store.records import Snapshot

TFTP_PORT = 69  # DHCP options name a TFTP server without a port

# Kinds of servers, in the order of the page: the words for it, and what the text is.
SERVERS = {
    "dnsmasq": ("dnsmasq", "Lines for dnsmasq.conf, or a file in /etc/dnsmasq.d. Pi-hole is one, too."),
    "isc": ("ISC dhcpd", "Lines for dhcpd.conf, outside of any subnet."),
    "kea": ("Kea", 'A part of the object "Dhcp4" in kea-dhcp4.conf.'),
    "windows": ("Windows Server", "Commands for PowerShell on the DHCP server, as an administrator."),
    "pfsense": ("pfSense and OPNsense", "What to type on the firewall's own pages."),
}


class Option(NamedTuple):
    """One DHCP option. `kind`: text, or addresses (RFC 5859 for option 150)."""

    code: int
    kind: str
    value: str
    why: str

    @property
    def octets(self) -> bytes:
        """What goes over the wire."""
        return ipaddress.ip_address(self.value).packed if self.kind == "addresses" else self.value.encode()


class Maker(NamedTuple):
    """How the phones of a maker are known to a DHCP server, and what they are told.

    `classes`: how their vendor class (option 60) begins, as text; `octets`: as hex digits. `prefixes`: of their MACs.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    octets: tuple[str, ...]
    prefixes: tuple[str, ...]
    options: tuple[Option, ...]


class Server(NamedTuple):
    """Where phones find this appliance. `address`: for option 150; "" where TFTP cannot be had by an address alone."""

    url: str
    address: str


def server(status: Mapping[str, Any], snapshot: Snapshot) -> Server:
    """From what the front answers to `status`, and what the site's settings say about its address."""
    url = urlsplit(str(status["phones"]))
    port = url.port or 80
    site = snapshot.phone_settings.get("site")
    own = site.values if site else {}
    host = str(own.get("provisioning_host") or url.hostname or "").strip("[]")
    # The first contact is by HTTP: a phone from the factory does not know our authority.
    if own.get("provisioning_scheme", "http") == "http":
        port = int(str(own.get("provisioning_port") or port))
    tftp = str(status.get("tftp", "")).rpartition(":")[2] == str(TFTP_PORT)
    shown = f"[{host}]" if ":" in host else host
    return Server(
        f"http://{shown}/" if port == 80 else f"http://{shown}:{port}/", host if tftp and _is_v4(host) else ""
    )


def _is_v4(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 4
    except ValueError:
        return False


def makers(server: Server) -> tuple[Maker, ...]:
    """The options of each maker's phones."""
    url = server.url
    general = Option(66, "text", url, "Read by phones of all three makers")
    old = Option(150, "addresses", server.address, "Old phones that know TFTP only")
    tftp = (old,) if server.address else ()
    return (
        Maker(
            boot.POLYCOM,
            "Polycom and Poly",
            ("Poly",),
            ("0000363d",),  # older ones: their enterprise number (RFC 3925) before all
            prefixes(boot.POLYCOM),
            (Option(160, "text", url, "Asked for first"), general, *tftp),
        ),
        Maker(
            boot.YEALINK,
            "Yealink",
            ("yealink", "Yealink"),
            (),
            prefixes(boot.YEALINK),
            (general, Option(43, "text", url, "Read where 66 is taken by something else"), *tftp),
        ),
        Maker(
            boot.GRANDSTREAM,
            "Grandstream",
            ("Grandstream", "HT5", "HT7", "HT8", "DP7"),
            (),
            prefixes(boot.GRANDSTREAM),
            (general, Option(160, "text", url, "Read by phones that were set to it (P8337)"), *tftp),
        ),
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - no HTML: hosts and ports are checked where they are set
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "dhcp"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = json.dumps
    return environment


def text(kind: str, server: Server) -> str:
    """What to copy for one kind of server (a name of SERVERS). Raises UsageError."""
    if kind not in SERVERS:
        raise UsageError(f"there is no text for {kind!r}: name one of {', '.join(SERVERS)}")
    rows = makers(server)
    everybody = {option.code: option for maker in rows for option in maker.options}
    codes = [everybody[code] for code in sorted(everybody)]
    return _environment().get_template(f"{kind}.j2").render(server=server, makers=rows, options=codes)


def told(server: Server) -> dict[str, Any]:
    """All of it, for the API: the values by maker, and the text for each kind of server."""
    return {
        "url": server.url,
        "tftp": server.address,
        "makers": [
            {
                "vendor": maker.name,
                "vendor_class": [*maker.classes, *(f"0x{octets}" for octets in maker.octets)],
                "options": [option._asdict() for option in maker.options],
            }
            for maker in makers(server)
        ],
        "servers": {kind: text(kind, server) for kind in SERVERS},
    }
