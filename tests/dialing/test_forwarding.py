"""Where calls may be forwarded to."""

from __future__ import annotations

import pytest

from provisioner.dialing.classify import Plan
from provisioner.dialing.forwarding import checked, forward_target
from provisioner.errors import UsageError

PLAN = Plan(frozenset({"101", "102"}), "101")


@pytest.mark.parametrize(
    ("dialled", "stored"),
    [("", ""), (" ", ""), ("102", "102"), ("2124567890", "+12124567890"), ("(212) 456-7890", "+12124567890"),
     ("912124567890", "+12124567890"), ("+16042765432", "+16042765432")],
)  # fmt: skip
def test_may_be_a_target(dialled: str, stored: str) -> None:
    assert checked(dialled, PLAN) == stored


@pytest.mark.rule("dialled.crisis")
@pytest.mark.parametrize(
    ("dialled", "why"),
    [
        ("911", "emergency"), ("9911", "emergency"), ("112", "emergency"), ("urn:service:sos", "emergency"),
        ("933", "emergency"), ("988", "crisis"), ("9988", "crisis"), ("411", "service"), ("611", "service"),
        ("101", "own extension"), ("103", "no such extension"), ("5551212", "area code"), ("19005551212", "premium"),
        ("+442071234567", "outside the North American"), ("+528112345678", "Canada only"),
        ("8765551234", "Canada only"), ("*73", "not valid"), ("x", "not valid"),
    ],
)  # fmt: skip
def test_never_a_target(dialled: str, why: str) -> None:
    assert forward_target(dialled, PLAN).kind == "refused"
    with pytest.raises(UsageError, match=f"cannot be forwarded there: .*{why}"):
        checked(dialled, PLAN)
