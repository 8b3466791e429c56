"""What phones' files must leave to the appliance, so that a call back from an emergency centre gets through."""

from __future__ import annotations

import pytest

from tests.phones.samples import MODELS, renderer

POLYCOM, YEALINK, GRANDSTREAM = MODELS
OFF = {
    POLYCOM: (b'feature.doNotDisturb.enable="0"', b'feature.forward.enable="0"'),
    YEALINK: (b"features.dnd.allow = 0", b"features.fwd.allow = 0"),
    GRANDSTREAM: (b"<P191>0</P191>",),
}


@pytest.mark.parametrize("mac", MODELS)
def test_b78_do_not_disturb_and_forwarding_are_off_in_the_phone(mac: str) -> None:
    made = renderer()
    files = (made.file(asked, who) for asked, who in made.files(made.snapshot.phones[mac]))
    text = b"\n".join(body for body in files if body)
    for line in OFF[mac]:
        assert line in text
