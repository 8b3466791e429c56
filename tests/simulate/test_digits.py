"""Digit maps as each maker's phone reads them while keys are pressed."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.simulate.digits import Dialled, DialPlan, grandstream, rfc3435

PRACTICE = (
    "911|933|988|[19]911|10x|11[013-9]|[2-8]11|[2-8]xxxxxxxxx|1[2-9]xxxxxxxxx|91[02-9]xxxxxxxT|011xxx.T|*xx"
)
POLYCOM = DialPlan(rfc3435(PRACTICE))
YEALINK = DialPlan(rfc3435(PRACTICE), end_key="#")
GRANDSTREAM = DialPlan(
    grandstream("{ 911 | 10x | 1[2-9]xxxxxxxxx | 011xxx+ | *xx | ^900xxxxxxx | [2-8]xxxxxx+ }"),
    eager=False,
    impossible="refuse",
)


@pytest.mark.parametrize(
    ("plan", "keys", "expected"),
    [
        (POLYCOM, "911", Dialled("911", "at once")),
        (POLYCOM, "9115550101", Dialled("911", "at once")),
        (POLYCOM, "9911", Dialled("9911", "at once")),
        (POLYCOM, "101", Dialled("101", "at once")),
        (POLYCOM, "4155550101", Dialled("4155550101", "at once")),
        (POLYCOM, "9155550101", Dialled("9155550101", "pause")),
        (POLYCOM, "01152155512345", Dialled("01152155512345", "pause")),
        (POLYCOM, "415", Dialled("415", "send key")),
        (POLYCOM, "*97", Dialled("*97", "at once")),
        (POLYCOM, "#12", Dialled("#12", "send key")),
        (YEALINK, "415#", Dialled("415", "at once")),
        (YEALINK, "#", Dialled("#", "send key")),
        (GRANDSTREAM, "911", Dialled("911", "at once")),
        (GRANDSTREAM, "101", Dialled("101", "at once")),
        (GRANDSTREAM, "5550101", Dialled("5550101", "pause")),
        (GRANDSTREAM, "9005550101", Dialled("", "refused")),
        (GRANDSTREAM, "55", Dialled("55", "send key")),
        (GRANDSTREAM, "#", Dialled("", "refused")),
        (DialPlan(), "415", Dialled("415", "pause")),
        (DialPlan(rfc3435("10x"), impossible="send"), "12", Dialled("12", "at once")),
    ],
)
def test_keys(plan: DialPlan, keys: str, expected: Dialled) -> None:
    assert plan.dial(keys) == expected


def test_eager_and_patient_phones_differ_where_a_longer_number_begins_alike() -> None:
    rules = rfc3435("411|41155501xx")
    assert POLYCOM.dial("411").wait == "at once"
    assert DialPlan(rules).dial("4115550101").number == "411"
    assert DialPlan(rules, eager=False).dial("4115550101").number == "4115550101"
    assert DialPlan(rules, eager=False).dial("411") == Dialled("411", "pause")


def test_grandstream_reads_escapes_classes_and_refusals() -> None:
    plan = DialPlan(grandstream(r"{ \+x+ | [*x]x | ^9x }"), eager=False, impossible="refuse")
    assert plan.dial("+141").number == "+141"
    assert plan.dial("*1") == Dialled("*1", "at once")
    assert plan.dial("91") == Dialled("", "refused")


@pytest.mark.parametrize("text", ["<=1>xxx", "10(x)", "[a-f]x"])
def test_what_the_phone_cannot_read_is_said(text: str) -> None:
    with pytest.raises(PeerError, match="digit map"):
        grandstream(text)


def test_a_map_without_end_is_refused() -> None:
    with pytest.raises(PeerError, match="too long"):
        rfc3435("x" * 9000)
