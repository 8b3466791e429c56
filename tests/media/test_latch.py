"""Where media goes: the named address, the observed one, never a stranger's (RFC 7362)."""

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
