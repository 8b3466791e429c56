"""The whole table of what is dialled, row by row, with its traps."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import shortnumberinfo

from provisioner.dialing.classify import CODES, Destination, Plan, classify
from tests.dialing import corpus

PLAN = Plan(extensions=frozenset({"101", "102", "103", "214"}), own="101")


def refused(prompt, status):
    return ("refused", prompt, status)


def outcome(dialled, origin, plan=PLAN):
    """A destination as one value: itself, or (refused, prompt, status)."""
    found = classify(dialled, origin, plan)
    if found.kind != "refused":
        return found
    assert found.reason
    assert found.number == ""
    return refused(found.prompt, found.status)


REFUSED = refused("refused", 403)


def to(number, international=False):
    return Destination("outbound", number, international=international)


@pytest.mark.rule(
    "dialled.emergency", "dialled.emergency-test", "dialled.crisis", "dialled.mistyped", "dialled.extension",
    "dialled.service", "dialled.outbound", "dialled.mexico", "dialled.not-nanp", "dialled.seven-digits",
    "dialled.invalid",
)  # fmt: skip
@pytest.mark.parametrize("origin", ["keypad", "software", "transfer"])
@pytest.mark.parametrize("row", corpus.ROWS, ids=str)
def test_where_it_goes(row, origin):
    found = classify(row.dialled, origin, corpus.PLANS[row.length])
    assert corpus.outcome(found) == row.by(origin)
    assert bool(found.reason) == (found.kind == "refused")


def test_no_two_rows_say_the_same():
    assert len({(row.dialled, row.length) for row in corpus.ROWS}) == len(corpus.ROWS)


@pytest.mark.parametrize("code", CODES)
def test_no_extension_and_no_policy_stands_before_an_emergency(code):
    plan = Plan(extensions=frozenset(CODES), services=frozenset(), own=code, length=len(code))
    assert outcome(code, "keypad", plan) == Destination(*CODES[code])


@pytest.mark.rule("dialled.service")
def test_a_site_can_refuse_service_codes():
    assert outcome("411", "keypad", Plan(services=frozenset())) == REFUSED


@pytest.mark.rule("dialled.service")
def test_no_site_can_allow_611():
    assert outcome("611", "keypad", Plan(services=frozenset({"611"}))) == REFUSED


@pytest.mark.rule("dialled.day-limit")
@pytest.mark.parametrize("dialled", ["8765551234", "011525512345678", "+525512345678"])
def test_a_site_can_refuse_other_countries(dialled):
    assert outcome(dialled, "keypad", Plan(abroad=False)) == refused("no-abroad", 403)
    assert outcome("7875551234", "keypad", Plan(abroad=False)) == to("+17875551234")  # Puerto Rico is none


def test_611_is_refused_even_where_a_known_extension_is_not():
    assert outcome("611", "keypad", Plan(extensions=frozenset({"611"}))) == Destination("extension", "611")


def test_an_unknown_extension_is_told_as_such():
    assert classify("104", "keypad", PLAN).reason == "there is no such extension"
    assert classify("1040", "keypad", PLAN).reason == "that number is not valid"


@pytest.mark.rule("hold.extensions-from-desks")
def test_a_leg_that_came_back_from_the_core_reaches_no_extension():
    refused = classify("102", "transfer", Plan())
    assert (refused.kind, refused.prompt, refused.status) == ("refused", "desk-phones-only", 403)


def test_the_library_has_no_emergency_number_that_the_table_lacks():
    short = [f"{number:03}" for number in range(1000)]
    assert [code for code in short if shortnumberinfo.is_emergency_number(code, "US")] == ["112", "911"]


def test_every_area_code_of_the_plan_is_allowed():
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.FIXED_LINE)
        found = classify(
            phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164), "keypad", PLAN
        )
        domestic = region in {"US", "CA", "PR", "VI", "GU", "MP", "AS"}
        assert (found.kind, found.international) == ("outbound", not domestic), region


@given(st.text(alphabet="0123456789*#+ -", max_size=20), st.sampled_from(["keypad", "software", "transfer"]))
def test_anything_gets_an_answer(dialled, origin):
    found = classify(dialled, origin, PLAN)
    if found.kind == "refused":
        assert found.prompt
        assert found.status in (403, 404, 484)
    else:
        assert found.number
    if origin == "transfer":
        assert found.kind in ("extension", "outbound", "refused")
