"""Where media goes: the named address, the observed one, never a stranger's (RFC 7362)."""

from ipaddress import ip_network

import pytest

from provisioner.media.latch import Latch

SDP, MOVED = ("192.0.2.1", 4000), ("192.0.2.1", 4002)
NAT, NAT_MOVED = ("198.51.100.7", 61000), ("198.51.100.7", 61010)
STRANGER = ("203.0.113.9", 9)
NEW = ("192.0.2.1", 5000)

# steps: (time, "name" or "from", address, admitted, where media then goes)
CASES = {
    "begins at the named address": [(0, "name", SDP, None, SDP)],
    "stays there": [(0, "name", SDP, None, SDP), (1, "from", SDP, True, SDP)],
    "nothing before it is named": [(0, "from", STRANGER, False, None)],
    "behind address translation": [(0, "name", SDP, None, SDP), (1, "from", NAT, True, NAT)],
    "stranger after the party": [
        (0, "name", SDP, None, SDP),
        (1, "from", SDP, True, SDP),
        (1.1, "from", STRANGER, False, SDP),
        (9, "from", STRANGER, False, SDP),
    ],
    "other port of the party, too soon": [
        (0, "name", SDP, None, SDP),
        (1, "from", SDP, True, SDP),
        (2.9, "from", MOVED, False, SDP),
    ],
    "other port of the party, after 2 s": [
        (0, "name", SDP, None, SDP),
        (1, "from", SDP, True, SDP),
        (3, "from", MOVED, True, MOVED),
    ],
    "translated port changes": [
        (0, "name", SDP, None, SDP),
        (1, "from", NAT, True, NAT),
        (2, "from", STRANGER, False, NAT),
        (3, "from", NAT_MOVED, True, NAT_MOVED),
    ],
    "stranger was first, the named address wins back": [
        (0, "name", SDP, None, SDP),
        (1, "from", STRANGER, True, STRANGER),
        (1.02, "from", SDP, True, SDP),
        (1.04, "from", STRANGER, False, SDP),
    ],
    "the same name again changes nothing": [
        (0, "name", SDP, None, SDP),
        (1, "from", NAT, True, NAT),
        (2, "name", SDP, None, NAT),
        (3, "from", STRANGER, False, NAT),
    ],
    "signalling moves it": [
        (0, "name", SDP, None, SDP),
        (1, "from", SDP, True, SDP),
        (2, "name", NEW, None, NEW),
        (2.1, "from", NEW, True, NEW),
    ],
    "late packets of the old address do not move it back": [
        (0, "name", SDP, None, SDP),
        (1, "from", SDP, True, SDP),
        (2, "name", NEW, None, NEW),
        (2.02, "from", SDP, False, NEW),
        (4.5, "from", SDP, True, SDP),
    ],
    "signalling names where it already is": [
        (0, "name", SDP, None, SDP),
        (1, "from", NAT, True, NAT),
        (2, "name", NAT, None, NAT),
        (2.1, "from", STRANGER, False, NAT),
    ],
    "signalling takes it away": [
        (0, "name", SDP, None, SDP),
        (1, "name", None, None, None),
        (2, "from", SDP, False, None),
    ],
}


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_G02(steps):
    latch = Latch()
    for now, what, address, admitted, target in steps:
        if what == "name":
            latch.name(address, now)
        else:
            assert latch.admit(address, now) is admitted, (now, address)
        assert latch.target == target, (now, address)


HOUSE = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("source", "admitted"),
    [
        (("192.0.2.200", 9), True),
        (("2001:db8::9", 9), True),
        (NAT, False),
        (("192.0.3.1", 9), False),
        (("2001:db9::9", 9), False),
    ],
)
def test_only_the_networks_of_the_party_may_take_it(source, admitted):
    latch = Latch()
    latch.restrict(HOUSE)
    latch.name(SDP, 0)
    assert latch.admit(source, 1) is admitted
    assert latch.target == (source if admitted else SDP)


def test_the_named_address_is_the_party_wherever_it_is():
    latch = Latch()
    latch.restrict(HOUSE)
    latch.name(NAT, 0)
    assert latch.admit(("192.0.2.5", 9), 1)
    assert latch.admit(NAT, 1.5)
    assert latch.target == NAT


def test_who_is_outside_when_the_networks_become_known_is_left():
    latch = Latch()
    latch.name(SDP, 0)
    assert latch.admit(STRANGER, 1)
    latch.restrict(HOUSE)
    assert latch.target == SDP
    assert not latch.admit(STRANGER, 1.1)
    assert latch.admit(("192.0.2.200", 9), 1.2)
    latch.restrict(HOUSE[:1])
    assert latch.target == ("192.0.2.200", 9)
