"""The numbering facts, each a test named after it: what people dial, what nobody may be called, and what libraries get wrong.

| fact | what must hold | test |
| --- | --- | --- |
| E-32, keypad | `9111`, `9112`, `911#` are 911; `9112125551234` is announced; `912125551234` drops its 9; `9911` is 911 | `test_e32_keypad` |
| E-32, software | `911` and more digits are refused, and only a whole code is an emergency | `test_e32_software` |
| E-32, order | after `91` an area code never begins with 1, so the tests cannot collide | `test_e32_tests_cannot_collide` |
| E-40 | the extensions that begin like no number | `test_e40_safe_pools` |
| E-42 | what no extension begins like | `test_e42_reserved` |
| E-43 | one length in a practice | `test_e43_mixed_lengths` |
| E-44, E-45, E-47 | phones' maps: `tests/simulate/test_dialled.py`, and below for makers' own | `test_e47_third_digit_on_all_makers` |
| E-46 | extensions from desk phones only | `test_e46_extensions_from_desk_phones` |
| A-71, A-72, E-26 to E-28 | no library decides what is an emergency | `test_e26_…`, `test_e27_…`, `test_a71_…`, `test_a72_…` |
| E-20 to E-25, E-11 | what the library calls possible and valid, and is not | `test_e11_…`, `test_e2…` |
"""  # noqa: E501

from __future__ import annotations

import subprocess
import sys

import phonenumbers
import pytest
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult, shortnumberinfo

from provisioner.dialing.classify import CODES, Plan, classify
from provisioner.dialing.extensions import fault, leaves_at_once
from provisioner.phones.digit_map import DIALECTS, digit_map, spell
from provisioner.simulate.digits import Dialling, DialPlan, read
from tests.dialing import corpus

PLAN = corpus.PLANS[3]


def kind(dialled: str, origin: str = "keypad") -> str:
    found = classify(dialled, origin, PLAN)  # type: ignore[arg-type]
    return found.prompt if found.kind == "refused" else found.number


@pytest.mark.parametrize(
    ("dialled", "becomes"),
    [
        ("9111", "911"),
        ("9112", "911"),
        ("911#", "911"),
        ("9112125551234", "dial-911"),
        ("912125551234", "+12125551234"),
        ("9911", "911"),
        ("911123456", "911"),
        ("9111234567", "dial-911"),
    ],
)
def test_e32_keypad(dialled: str, becomes: str) -> None:
    assert kind(dialled) == becomes


def test_e32_software() -> None:
    assert kind("911123456789", "software") == "dial-911"
    for stray in range(1, 8):
        assert kind("911" + "2" * stray, "software") == "dial-911"
    assert {code: kind(code, "software") for code in CODES} == {code: to for code, (_, to) in CODES.items()}


def test_e32_tests_cannot_collide() -> None:
    for rest in range(1000):
        assert kind(f"911{rest:03}5551234"[:12]) in ("911", "dial-911")
    areas = [f"{area}" for area in range(200, 1000)]
    assert not any(area.startswith("1") for area in areas)
    assert "911" not in {kind(f"91{area}5551234") for area in areas}


def test_e40_safe_pools() -> None:
    numbers = [f"{area}{exchange}" for area in range(200, 1000) for exchange in (200, 999)]
    dialable = {*numbers, *(f"1{number}" for number in numbers), *CODES, "211", "411", "811"}
    begun = {number[:length] for number in dialable for length in (3, 4)}
    for length, count in ((3, 19), (4, 190)):
        every = [f"{each:0{length}}" for each in range(10**length)]
        safe = [
            each for each in every if each not in begun and each[0] == "1" and not fault(each, length, ())
        ]
        assert [each for each in every if leaves_at_once(each)] == safe
        assert len(safe) == count


def test_e42_reserved() -> None:
    for length in (3, 4):
        for each in (f"{number:0{length}}" for number in range(10**length)):
            forbidden = each[0] in "09" or (each[1:3] == "11" and each[0] != "1") or each.startswith("112")
            collides = any(each.startswith(code) or code.startswith(each) for code in CODES)
            assert bool(fault(each, length, ())) == (forbidden or collides), each
    for star in ("*97", "#1", "*1", "**"):
        assert "kept for star codes" in fault(star, len(star), ())


def test_e43_mixed_lengths() -> None:
    assert fault("1011", 3, ()) == "1011 has not the 3 digits of this practice's extensions"
    assert fault("101", 3, {"1011"}) == "101 and 1011, which is in use, begin alike"


def test_e46_extensions_from_desk_phones() -> None:
    assert classify("102", "transfer", Plan()).prompt == "desk-phones-only"
    assert kind("102", "transfer") == "102"
    assert kind("2125551234", "transfer") == "+12125551234"


MAPS = {
    "polycom": ("rfc3435", True),
    "yealink": ("rfc3435", False),
    "grandstream": ("grandstream", False),
}


@pytest.mark.rule("dialled.digit-maps")
@pytest.mark.parametrize("length", [3, 4])
@pytest.mark.parametrize("code", ["911", "933", "988"])
@pytest.mark.parametrize("maker", MAPS)
def test_e47_third_digit_on_all_makers(maker: str, code: str, length: int) -> None:
    dialect, eager = MAPS[maker]
    text = spell(digit_map(length, corpus.EXTENSIONS[length], dialect), dialect)
    dialling = Dialling(DialPlan(read(text, maker)[0], eager=eager))
    assert [dialling.press(key, at) for at, key in enumerate(code[:2])] == [None, None]
    sent = dialling.press(code[2], 2.0)
    assert sent
    assert (sent.number, sent.at) == (code, 2.0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_e47_the_codes_come_first_and_wait_for_nothing(dialect: str) -> None:
    rules = digit_map(3, ["101"], dialect)
    assert [(rule.pattern, rule.wait, rule.more) for rule in rules[:3]] == [
        (code, False, False) for code in ("911", "933", "988")
    ]


# the library


def possible(number: str) -> bool:
    return phonenumbers.is_possible_number(phonenumbers.parse(number, "US"))


def valid(number: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(number, "US"))


def test_a71_933_is_no_emergency_to_the_library_but_ours() -> None:
    assert not shortnumberinfo.is_emergency_number("933", "US")
    assert kind("933") == "933"


def test_a72_n11_are_no_emergencies_and_611_is_refused() -> None:
    codes = [f"{digit}11" for digit in range(2, 9)]
    assert not any(shortnumberinfo.is_emergency_number(code, "US") for code in codes)
    assert [kind(code) for code in codes] == ["211", "311", "411", "511", "refused", "711", "811"]


def test_e11_976_is_valid_to_the_library_and_refused() -> None:
    assert valid("+12129761234")
    assert kind("2129761234") == "refused"


def test_e20_the_geodata_is_never_loaded() -> None:
    loaded = (
        "import sys; import provisioner.dialing.classify as c; c.classify('2125551234', 'keypad', c.Plan());"
    )
    told = f"{loaded} print([name for name in sys.modules if 'geo' in name and 'phonenumbers' in name])"
    assert subprocess.check_output([sys.executable, "-c", told], text=True) == "[]\n"


@pytest.mark.parametrize(
    ("number", "by_the_library", "becomes"),
    [
        ("0125551234", (True, False), "invalid"),  # possible means no more than a length
        ("2129111234", (True, True), "refused"),
        ("2122111234", (True, True), "refused"),
        ("2129501234", (True, True), "invalid"),
        ("2129581234", (True, True), "invalid"),
        ("2129591234", (True, True), "invalid"),
        ("2125550199", (True, True), "+12125550199"),  # kept for fiction, and for us
    ],
)
def test_e21_valid_is_not_enough(number: str, by_the_library: tuple[bool, bool], becomes: str) -> None:
    assert (possible(number), valid(number)) == by_the_library
    assert kind(number) == becomes


def test_e22_seven_digits_and_a_bare_mexican_number() -> None:
    seven = phonenumbers.parse("5550123", "US")
    assert phonenumbers.is_possible_number_with_reason(seven) == ValidationResult.IS_POSSIBLE_LOCAL_ONLY
    assert kind("5550123") == "area-code"
    assert kind("525512345678") == "invalid"


def test_e23_the_library_cannot_tell_a_mobile() -> None:
    kinds = {
        phonenumbers.number_type(phonenumbers.parse(each, "US")) for each in ("2125551234", "4165551234")
    }
    assert kinds == {PhoneNumberType.FIXED_LINE_OR_MOBILE}
    assert kind("2125551234") == "+12125551234"


def test_e24_numbers_without_a_region_go_nowhere() -> None:
    for number in ("7005551234", "7105551234"):
        assert phonenumbers.region_code_for_number(phonenumbers.parse(number, "US")) is None
        assert kind(number) in ("refused", "invalid")


@pytest.mark.parametrize(
    "written", ["2125551234x101", "2125551234,,101#", "1-800-FLOWERS", "tel:2125551234", "2125551234 ext 1"]
)
def test_e25_what_the_library_understands_is_no_number_here(written: str) -> None:
    try:
        understood = valid(written)
    except NumberParseException:
        understood = False
    assert understood
    assert kind(written, "software") == "invalid"


def test_e25_a_mexican_number_is_not_taken_for_a_north_american_one() -> None:
    assert phonenumbers.parse("011525512345678", "US").country_code == 52
    found = classify("011525512345678", "keypad", PLAN)
    assert (found.number, found.international) == ("+525512345678", True)
    assert kind("5512345678") == "+15512345678"


def test_e26_what_the_library_calls_an_emergency() -> None:
    short = [f"{number:03}" for number in range(1000)]
    assert [code for code in short if shortnumberinfo.is_emergency_number(code, "US")] == ["112", "911"]
    for not_to_it in ("988", "933", "9911", "1911", "9988"):
        assert not shortnumberinfo.is_emergency_number(not_to_it, "US")
        assert not_to_it in CODES
    assert kind("0911") == "invalid"


@pytest.mark.parametrize("dialled", ["9112345678", "911x101", "1125", "11235"])
def test_e27_connecting_to_an_emergency_is_a_test_of_prefixes(dialled: str) -> None:
    assert shortnumberinfo.connects_to_emergency_number(dialled, "US")
    assert kind(dialled) in ("dial-911", "invalid")


def test_e27_so_no_extension_begins_so() -> None:
    for each in (f"{number:04}" for number in range(1000, 9000)):
        if shortnumberinfo.connects_to_emergency_number(each, "US"):
            assert fault(each, 4, ()), each
