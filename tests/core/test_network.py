"""What the numbers of the demo network do."""

from __future__ import annotations

import pytest

from provisioner.core.network import BY_LAST_FOUR, SERVICES, Behaviour, behaviour, e164


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        ("911", SERVICES["emergency"]),
        ("112", SERVICES["emergency"]),
        ("urn:service:sos", SERVICES["emergency"]),
        ("urn:service:sos.fire", SERVICES["emergency"]),
        ("933", SERVICES["emergency-test"]),
        ("urn:service:test.sos", SERVICES["emergency-test"]),
        ("988", SERVICES["crisis"]),
        ("411", SERVICES["service"]),
        ("+12125550199", Behaviour()),
        ("2125550199", Behaviour()),
        ("12125550199", Behaviour()),
        ("+525512345678", Behaviour()),
        ("+12125550486", BY_LAST_FOUR["0486"]),
        ("+442071234567", None),
        ("101", None),
        ("urn:service:counseling", None),
        ("", None),
    ],
)
def test_behaviour(dialled: str, expected: Behaviour | None) -> None:
    assert behaviour(dialled) == expected


def test_numbers_are_kept_in_one_form() -> None:
    assert {e164(text) for text in ("4155550101", "14155550101", "+14155550101")} == {"+14155550101"}
    assert e164("911") == "911"
