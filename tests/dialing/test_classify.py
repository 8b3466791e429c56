"""The whole table of what is dialled, row by row, with its traps."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import shortnumberinfo

from provisioner.dialing.classify import CODES, Destination, Plan, classify

PLAN = Plan(extensions=frozenset({"101", "102", "103", "214"}), own="101")
EMERGENCY = Destination("emergency", "911")
TEST = Destination("emergency-test", "933")
CRISIS = Destination("crisis", "988")


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


INVALID = refused("invalid", 404)
REFUSED = refused("refused", 403)
NOT_NANP = refused("not-nanp", 403)
AREA_CODE = refused("area-code", 484)
DIAL_911 = refused("dial-911", 404)
NO_911 = refused("emergency-target", 403)
NO_988 = refused("crisis-target", 403)


def to(number, international=False):
    return Destination("outbound", number, international=international)


# What is dialled · from a keypad · from software · in the transfer menu ("same": as from a keypad)
ROWS = [
    # emergency
    ("911", EMERGENCY, "same", NO_911),
    ("9911", EMERGENCY, "same", NO_911),
    ("1911", EMERGENCY, "same", NO_911),
    ("112", EMERGENCY, "same", NO_911),
    ("9-1-1", EMERGENCY, "same", NO_911),
    (" 911 ", EMERGENCY, "same", NO_911),
    ("911#", EMERGENCY, "same", NO_911),
    ("urn:service:sos", EMERGENCY, "same", NO_911),
    ("URN:service:SOS.fire", EMERGENCY, "same", NO_911),
    ("urn:service:sos.animal-control", EMERGENCY, "same", NO_911),
    ("9111", EMERGENCY, DIAL_911, NO_911),
    ("911;phone-context=+1", EMERGENCY, "same", NO_911),
    ("911*", EMERGENCY, DIAL_911, NO_911),
    ("9112", EMERGENCY, DIAL_911, NO_911),
    ("911911", EMERGENCY, DIAL_911, NO_911),
    ("9115551", EMERGENCY, DIAL_911, NO_911),
    ("911123456", EMERGENCY, DIAL_911, NO_911),
    ("*67911", EMERGENCY, INVALID, NO_911),
    ("*82911", EMERGENCY, INVALID, NO_911),
    ("*911", EMERGENCY, INVALID, NO_911),
    ("+911", EMERGENCY, NOT_NANP, NO_911),
    ("+1911", EMERGENCY, INVALID, NO_911),
    # emergency test
    ("933", TEST, "same", NO_911),
    ("9933", TEST, "same", NO_911),
    ("*67933", TEST, INVALID, NO_911),
    ("urn:service:test.sos", TEST, "same", NO_911),
    ("urn:service:test.sos.fire", TEST, "same", NO_911),
    # crisis line
    ("988", CRISIS, "same", NO_988),
    ("9988", CRISIS, "same", NO_988),
    ("1988", CRISIS, "same", NO_988),
    ("988#", CRISIS, "same", NO_988),
    # looks like a telephone number that was mistyped
    ("9111234567", DIAL_911, DIAL_911, NO_911),
    ("9112125551234", DIAL_911, DIAL_911, NO_911),
    ("911123456789", DIAL_911, DIAL_911, NO_911),
    # not quite a code
    ("91", INVALID, "same", "same"),
    ("0911", INVALID, "same", "same"),
    ("1933", INVALID, "same", "same"),
    ("9881", INVALID, "same", "same"),
    ("9885551", AREA_CODE, "same", "same"),
    ("urn:service:sosx", INVALID, "same", "same"),
    ("urn:service:counseling", INVALID, "same", "same"),
    # extensions
    ("102", Destination("extension", "102"), "same", "same"),
    ("102#", Destination("extension", "102"), "same", "same"),
    ("214", Destination("extension", "214"), "same", "same"),
    ("101", Destination("extension", "101"), "same", refused("own-extension", 403)),
    ("104", INVALID, "same", "same"),
    ("1021", INVALID, "same", "same"),
    # services
    ("211", Destination("service", "211"), "same", REFUSED),
    ("411", Destination("service", "411"), "same", REFUSED),
    ("811", Destination("service", "811"), "same", REFUSED),
    ("611", REFUSED, "same", "same"),
    ("9411", INVALID, "same", "same"),
    # the North American Numbering Plan
    ("2125551234", to("+12125551234"), "same", "same"),
    ("(212) 555-1234", to("+12125551234"), "same", "same"),
    ("212.555.1234", to("+12125551234"), "same", "same"),
    ("12125551234", to("+12125551234"), "same", "same"),
    ("+12125551234", to("+12125551234"), "same", "same"),
    ("912125551234", to("+12125551234"), "same", "same"),
    ("2125550199", to("+12125550199"), "same", "same"),
    ("6502530000", to("+16502530000"), "same", "same"),
    ("8005551234", to("+18005551234"), "same", "same"),
    ("8007114555", to("+18007114555"), "same", "same"),
    ("18009598281", to("+18009598281"), "same", "same"),
    ("4165551234", to("+14165551234"), "same", "same"),
    ("7875551234", to("+17875551234"), "same", "same"),
    ("3405551234", to("+13405551234"), "same", "same"),
    ("6715551234", to("+16715551234"), "same", "same"),
    ("8765551234", to("+18765551234", international=True), "same", "same"),
    ("2684641234", to("+12684641234", international=True), "same", "same"),
    ("+18095551234", to("+18095551234", international=True), "same", "same"),
    ("5512345678", to("+15512345678"), "same", "same"),  # New Jersey, not Mexico City
    ("9005551234", REFUSED, "same", "same"),
    ("19005551234", REFUSED, "same", "same"),
    ("919005551234", REFUSED, "same", "same"),
    ("7005551234", REFUSED, "same", "same"),
    ("5005551234", REFUSED, "same", "same"),
    ("5215551234", REFUSED, "same", "same"),
    ("5335551234", REFUSED, "same", "same"),
    ("6225551234", REFUSED, "same", "same"),
    ("2129761234", REFUSED, "same", "same"),
    ("3459761234", REFUSED, "same", "same"),
    ("2129111234", REFUSED, "same", "same"),
    ("+12122111234", REFUSED, "same", "same"),
    ("2129505123", INVALID, "same", "same"),
    ("2129581234", INVALID, "same", "same"),
    ("2120551234", INVALID, "same", "same"),
    ("0125551234", INVALID, "same", "same"),
    ("2225551234", INVALID, "same", "same"),
    ("9885551234", INVALID, "same", "same"),
    ("7105551234", INVALID, "same", "same"),
    ("+1212555123", INVALID, "same", "same"),
    ("21255512345", INVALID, "same", "same"),
    ("92125551234", INVALID, "same", "same"),
    # Mexico
    ("011525512345678", to("+525512345678", international=True), "same", "same"),
    ("011 52 55 1234 5678", to("+525512345678", international=True), "same", "same"),
    ("+525512345678", to("+525512345678", international=True), "same", "same"),
    ("+520000000000", INVALID, "same", "same"),
    ("525512345678", INVALID, "same", "same"),
    ("+52551234567", NOT_NANP, "same", "same"),
    # elsewhere
    ("011442079460000", NOT_NANP, "same", "same"),
    ("+442079460000", NOT_NANP, "same", "same"),
    ("+911123456789", NOT_NANP, "same", "same"),
    ("011", NOT_NANP, "same", "same"),
    ("00442079460000", INVALID, "same", "same"),
    ("0", INVALID, "same", "same"),
    # seven digits
    ("5551234", AREA_CODE, "same", "same"),
    ("555-1234", AREA_CODE, "same", "same"),
    # anything else
    ("", INVALID, "same", "same"),
    ("*", INVALID, "same", "same"),
    ("*97", INVALID, "same", "same"),
    ("1010288", AREA_CODE, "same", "same"),
    ("abc", INVALID, "same", "same"),
    ("1-800-FLOWERS", INVALID, "same", "same"),
    ("\u0669\u0661\u0661", INVALID, "same", "same"),
    ("\uff12125551234", INVALID, "same", "same"),
]


@pytest.mark.rule(
    "dialled.emergency", "dialled.emergency-test", "dialled.crisis", "dialled.mistyped", "dialled.extension",
    "dialled.service", "dialled.outbound", "dialled.mexico", "dialled.not-nanp", "dialled.seven-digits",
    "dialled.invalid",
)  # fmt: skip
@pytest.mark.parametrize(("dialled", "keypad", "software", "transfer"), ROWS, ids=[row[0] for row in ROWS])
def test_where_it_goes(dialled, keypad, software, transfer):
    assert outcome(dialled, "keypad") == keypad
    assert outcome(dialled, "software") == (keypad if software == "same" else software)
    assert outcome(dialled, "transfer") == (keypad if transfer == "same" else transfer)


def test_no_two_rows_say_the_same():
    assert len({row[0] for row in ROWS}) == len(ROWS)


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
