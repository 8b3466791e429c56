"""What all tests may use."""

import os
import shutil

import pytest

PACKAGES = {  # Debian's, where the name is another
    "sipp": "sip-tester",
    "mergecap": "wireshark-common",
    "kamailio": "kamailio kamailio-tls-modules",
    "linphonec": "linphone-cli",
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "dhcpd": "isc-dhcp-server",
    "kea-dhcp4": "kea-dhcp4-server",
    "tftp": "tftp-hpa",
    "gnutls-cli": "gnutls-bin",
}


def needs(*programs: str) -> None:
    """Skip without these programs, naming their Debian packages; with PEER_REQUIRED=1 fail instead."""
    missing = [PACKAGES.get(program, program) for program in programs if not shutil.which(program)]
    if missing:
        without(f"apt-get install {' '.join(missing)}")


def without(remedy: str) -> None:
    """A peer cannot be played here: skip, or fail when peers are required."""
    if os.environ.get("PEER_REQUIRED") == "1":
        pytest.fail(f"PEER_REQUIRED=1, but a peer is missing: {remedy}", pytrace=False)
    pytest.skip(f"needs: {remedy}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.peer("tshark")`: the programs that a test plays against."""
    for mark in item.iter_markers("peer"):
        needs(*mark.args)
