"""Asks for an address as phones do, in whatever namespace it runs: `dhcp_client.py DEVICE CLASS...`.

Classes are hex digits. Prints each offer's options 43, 66, 150 and 160 as JSON: number to hex digits.
"""

import json
import sys

from scapy.all import BOOTP, DHCP, IP, UDP, Ether, conf, get_if_hwaddr, mac2str, srp1

ATTEMPTS = 20
ASKED = [1, 3, 6, 12, 42, 43, 66, 150, 160]


def options(offer: bytes) -> dict[int, str]:
    """The options of a BOOTP payload, after its magic cookie (RFC 2132 section 2)."""
    found, at = {}, 240
    while at < len(offer) and offer[at] != 255:
        if offer[at] == 0:
            at += 1
            continue
        length = offer[at + 1]
        found[offer[at]] = offer[at + 2 : at + 2 + length].hex()
        at += 2 + length
    return found


def offered(device: str, vendor_class: bytes, number: int) -> dict[int, str]:
    """The options of the offer that a client with this vendor class gets."""
    mac = get_if_hwaddr(device)
    asked = [
        ("message-type", "discover"),
        ("vendor_class_id", vendor_class),
        ("param_req_list", ASKED),
        "end",
    ]
    discover = (
        Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=mac2str(mac), xid=number, flags=0x8000)
        / DHCP(options=asked)
    )
    for _ in range(ATTEMPTS):  # the server may still be starting
        offer = srp1(discover, iface=device, timeout=1, verbose=False)
        if offer is not None:
            found = options(bytes(offer[BOOTP]))
            return {code: found[code] for code in (43, 66, 150, 160) if code in found}
    sys.exit("no offer came")


def main(device: str, *classes: str) -> None:
    conf.checkIPaddr = False
    print(json.dumps([offered(device, bytes.fromhex(each), 1 + at) for at, each in enumerate(classes)]))


main(*sys.argv[1:])
