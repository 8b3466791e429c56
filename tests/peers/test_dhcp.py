"""The texts for DHCP servers: real ones take them, and hand phones the very bytes that bring them here."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioner.phones.dhcp_help import Server, makers, text
from tests.peers.lan import Host, Lan, needs_lan

SERVER = Server("http://192.0.2.10:8080/", "192.0.2.10")
CLIENT = Path(__file__).with_name("dhcp_client.py")

# Vendor classes (option 60) that phones were seen with, by maker; the second of Polycom is the form of older ones.
CLASSES = {
    "polycom": [b"Polycom-VVX310", bytes.fromhex("0000363d0f010d") + b"PolycomSoundPointIP-SPIP_550"],
    "yealink": [b"yealink"],
    "grandstream": [b"Grandstream GXP1405 dslforum.org", b"HT8XX dslforum.org"],
}
STRANGERS = [b"MSFT 5.0", b"PXEClient:Arch:00000:UNDI:002001"]


def dnsmasq(folder: Path, network: str, device: str, snippet: str) -> tuple[list[str], list[str]]:
    """The command that checks the configuration, and the one that serves it."""
    path = folder / "dnsmasq.conf"
    path.write_text(
        f"{snippet}\nport=0\ninterface={device}\nbind-interfaces\nleasefile-ro\nuser=root\n"
        f"dhcp-range={network}.100,{network}.200,1h\n"
    )
    command = ["dnsmasq", f"--conf-file={path}"]
    return [*command, "--test"], [*command, "--keep-in-foreground", "--pid-file", "--log-facility=-"]


def isc(folder: Path, network: str, device: str, snippet: str) -> tuple[list[str], list[str]]:
    path, leases = folder / "dhcpd.conf", folder / "leases"
    leases.touch()
    path.write_text(
        f"{snippet}\nauthoritative;\n"
        f"subnet {network}.0 netmask 255.255.255.0 {{ range {network}.100 {network}.200; }}\n"
    )
    return (
        ["dhcpd", "-4", "-t", "-cf", str(path)],
        ["dhcpd", "-4", "-d", "-f", "-cf", str(path), "-lf", str(leases), "--no-pid", device],
    )


def kea(folder: Path, network: str, device: str, snippet: str) -> tuple[list[str], list[str]]:
    path = folder / "kea.conf"
    pool = {"pool": f"{network}.100 - {network}.200"}
    around = {
        "interfaces-config": {"interfaces": [device]},
        "lease-database": {"type": "memfile", "persist": False},
        "subnet4": [{"id": 1, "subnet": f"{network}.0/24", "pools": [pool]}],
    }
    path.write_text(f'{{"Dhcp4": {json.dumps(around)[:-1]},\n{snippet}\n}}}}')
    return ["kea-dhcp4", "-t", str(path)], ["kea-dhcp4", "-c", str(path)]


PROGRAMS = {"dnsmasq": dnsmasq, "isc": isc, "kea": kea}
Made = Callable[[str], tuple[list[str], list[str]]]


def run(command: list[str], folder: Path, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    where = {
        "KEA_LOCKFILE_DIR": "none",
        "KEA_PIDFILE_DIR": str(folder),
        "PATH": os.environ["PATH"] + ":/usr/sbin",
    }
    return subprocess.Popen(
        [*prefix, *command],
        env={**os.environ, **where},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def serving(lan: Lan, kind: str, folder: Path) -> Iterator[None]:
    """A DHCP server of this kind, in a namespace of its own."""
    host = lan.host("020000000053")
    _check, command = PROGRAMS[kind](folder, lan.network, host.device, text(kind, SERVER))
    process = run(command, folder, ("ip", "netns", "exec", host.name))
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


def asked(phone: Host, classes: list[bytes]) -> list[dict[int, bytes]]:
    """The options that a client is offered with each of these vendor classes.

    dnsmasq ends option 66 with a zero, whatever is configured; clients take it off (RFC 2132 section 2).
    """
    client = [sys.executable, str(CLIENT), phone.device, *(each.hex() for each in classes)]
    command = ["ip", "netns", "exec", phone.name, *client]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    return [
        {
            int(code): bytes.fromhex(value).removesuffix(b"\0" if code == "66" else b"")
            for code, value in offer.items()
        }
        for offer in json.loads(said)
    ]


@pytest.mark.parametrize(
    "server", [SERVER, Server("http://phones.example.net/", ""), Server("http://[2001:db8::1]/", "")]
)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("dnsmasq", marks=pytest.mark.peer("dnsmasq")),
        pytest.param("isc", marks=pytest.mark.peer("dhcpd")),
        pytest.param("kea", marks=pytest.mark.peer("kea-dhcp4")),
    ],
)
def test_the_program_itself_takes_the_text(kind: str, server: Server, tmp_path: Path) -> None:
    check, _serve = PROGRAMS[kind](tmp_path, "192.0.2", "lo", text(kind, server))
    process = run(check, tmp_path)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("dnsmasq", marks=pytest.mark.peer("dnsmasq", "ip")),
        pytest.param("isc", marks=pytest.mark.peer("dhcpd", "ip")),
        pytest.param("kea", marks=pytest.mark.peer("kea-dhcp4", "ip")),
    ],
)
def test_phones_are_offered_the_bytes_and_others_nothing(kind: str, tmp_path: Path) -> None:
    needs_lan()
    with Lan() as lan, serving(lan, kind, tmp_path):
        classes = [(maker, each) for maker in makers(SERVER) for each in CLASSES[maker.name]]
        offers = asked(lan.host("0004f2000101"), [each for _maker, each in classes] + STRANGERS)
    for (maker, vendor_class), offer in zip(classes, offers, strict=False):
        assert offer == {option.code: option.octets for option in maker.options}, vendor_class
    assert offers[len(classes) :] == [{}] * len(STRANGERS)
