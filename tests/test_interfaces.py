"""Both ways to the machine's addresses say the same."""

import socket
from types import SimpleNamespace

import psutil
import pytest

from provisioner import interfaces
from provisioner.interfaces import Interface

EXPECTED = [
    Interface("eth0", "0200c0ffee01", ("192.0.2.7", "198.51.100.7"), ("fe80::1",)),
    Interface("lo", "", ("127.0.0.1",), ("::1",)),
    Interface("tun0", "", (), ()),
]


def entry(family, address):
    return SimpleNamespace(family=family, address=address)


@pytest.fixture
def by_psutil(monkeypatch):
    found = {
        "lo": [
            entry(socket.AF_INET, "127.0.0.1"),
            entry(socket.AF_INET6, "::1"),
            entry(psutil.AF_LINK, "00:00:00:00:00:00"),
        ],
        "tun0": [],
        "eth0": [
            entry(socket.AF_INET, "192.0.2.7"),
            entry(socket.AF_INET, "198.51.100.7"),
            entry(socket.AF_INET6, "fe80::1%eth0"),
            entry(psutil.AF_LINK, "02:00:C0:FF:EE:01"),
        ],
    }
    monkeypatch.setattr(interfaces, "netifaces", None)
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)


@pytest.fixture
def by_netifaces(monkeypatch):
    link, inet, inet6 = 17, 2, 10
    found = {
        "lo": {
            link: [{"addr": "00:00:00:00:00:00"}],
            inet: [{"addr": "127.0.0.1"}],
            inet6: [{"addr": "::1"}],
        },
        "tun0": {},
        "eth0": {
            link: [{"addr": "02:00:c0:ff:ee:01"}],
            inet: [{"addr": "192.0.2.7"}, {"addr": "198.51.100.7"}],
            inet6: [{"addr": "fe80::1%eth0"}],
        },
    }
    module = SimpleNamespace(
        AF_LINK=link, AF_INET=inet, AF_INET6=inet6, interfaces=lambda: list(found), ifaddresses=found.get
    )
    monkeypatch.setattr(interfaces, "netifaces", module)


def test_by_psutil(by_psutil):
    assert interfaces.interfaces() == EXPECTED
    assert interfaces.local_addresses() == ["192.0.2.7", "198.51.100.7"]


def test_by_netifaces(by_netifaces):
    assert interfaces.interfaces() == EXPECTED


def test_loopback_only_when_there_is_no_other(by_psutil, monkeypatch):
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"lo": [entry(socket.AF_INET, "127.0.0.1")]})
    assert interfaces.local_addresses() == ["127.0.0.1"]


def test_this_machine_has_loopback():
    assert "127.0.0.1" in [address for interface in interfaces.interfaces() for address in interface.ipv4]


def test_who_has_a_port():
    with socket.socket() as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        sock.bind(("127.0.0.1", 0))
        datagrams.bind(("127.0.0.1", 0))
        assert interfaces.holder(sock.getsockname()[1]) == ""  # nobody listens yet
        sock.listen()
        mine = f"{psutil.Process().name()} (process {psutil.Process().pid})"
        assert interfaces.holder(sock.getsockname()[1]) == mine
        assert interfaces.holder(datagrams.getsockname()[1], datagram=True) == mine


@pytest.mark.parametrize(
    ("pid", "error", "words"), [(None, None, "another program"), (7, psutil.NoSuchProcess(7), "")]
)
def test_a_holder_that_is_not_shown(monkeypatch, pid, error, words):
    held = SimpleNamespace(laddr=SimpleNamespace(port=80), status=psutil.CONN_LISTEN, pid=pid)
    monkeypatch.setattr(psutil, "net_connections", lambda _kind: [held])

    def gone(_pid):
        raise error

    monkeypatch.setattr(psutil, "Process", gone)
    assert interfaces.holder(80) == words
    assert interfaces.holder(81) == ""
