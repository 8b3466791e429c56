"""Each maker's map, run by a simulator over what people dial."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from provisioner.phones.digit_map import DIALECTS, Rule, digit_map, spell


class Alternative(NamedTuple):
    """One alternative as a list of digit sets; `more`: the last may repeat; `wait`: only after a pause."""

    sets: tuple[frozenset[str], ...]
    more: bool
    wait: bool

    def complete(self, digits: str) -> bool:
        if len(digits) < len(self.sets) or (len(digits) > len(self.sets) and not self.more):
            return False
        sets = self.sets + (self.sets[-1],) * (len(digits) - len(self.sets))
        return all(digit in each for digit, each in zip(digits, sets, strict=True))

    def open(self, digits: str) -> bool:
        """Whether a longer string that begins so can match."""
        if len(digits) >= len(self.sets):
            return self.more and self.complete(digits)
        return all(digit in each for digit, each in zip(digits, self.sets, strict=False))


DIGITS = "0123456789"


def _set(token: str) -> frozenset[str]:
    if token == "x":
        return frozenset(DIGITS)
    if not token.startswith("["):
        return frozenset(token)
    spread = re.sub(r"(\d)-(\d)", lambda found: DIGITS[int(found[1]) : int(found[2]) + 1], token[1:-1])
    return frozenset(spread)


def parse(text: str) -> list[Alternative]:
    """Either maker's syntax; `x.` is none or more of the last, `x+` one or more."""
    alternatives = []
    for part in re.split(r"[|]|,(?![^[]*])", text.strip("{} ")):
        part = part.strip()
        wait, part = part.endswith("T"), part.removesuffix("T")
        more = part.endswith((".", "+"))
        tokens = re.findall(r"\[[^]]+\]|[x0-9*#]", part[:-2] if part.endswith("x.") else part.rstrip("+"))
        assert "".join(tokens) == (part[:-2] if part.endswith("x.") else part.rstrip("+"))
        alternatives.append(Alternative(tuple(map(_set, tokens)), more, wait))
    return alternatives


def first_match(alternatives: list[Alternative], digits: str) -> tuple[str, bool]:
    """A phone that sends on the first match (Polycom): what is sent, and whether only after a pause."""
    for count in range(1, len(digits) + 1):
        head = digits[:count]
        if any(each.complete(head) and not each.wait for each in alternatives):
            return head, False
        if not any(each.open(head) or each.complete(head) for each in alternatives):
            return "", False
    return (digits, True) if any(each.complete(digits) for each in alternatives) else ("", False)


def longest_match(alternatives: list[Alternative], digits: str) -> tuple[str, bool]:
    """A phone that waits while a longer match is possible (Yealink, Grandstream)."""
    for count in range(1, len(digits) + 1):
        head = digits[:count]
        still_open = any(each.open(head) for each in alternatives)
        if any(each.complete(head) for each in alternatives) and not still_open:
            return head, False
        if not still_open:
            return "", False
    return (digits, True) if any(each.complete(digits) for each in alternatives) else ("", False)


MAPS = {name: spell(digit_map(3, ["101", "102"], name), name) for name in DIALECTS}
PHONES = [
    pytest.param(MAPS["rfc3435-20"], first_match, id="soundpoint"),
    pytest.param(MAPS["rfc3435"], first_match, id="polycom"),
    pytest.param(MAPS["rfc3435"], longest_match, id="yealink"),
    pytest.param(MAPS["grandstream"], longest_match, id="grandstream"),
]


@pytest.mark.parametrize(("text", "phone"), PHONES)
@pytest.mark.parametrize(
    "digits",
    [
        "911",
        "933",
        "988",
        "112",
        "9911",
        "1911",
        "9933",
        "9988",
        "1988",
        "411",
        "811",
        "100",
        "111",
        "113",
        "119",
        "4155550123",
        "2125550123",
        "9075550123",
        "9385550123",
        "9835550123",
        "9865550123",
        "6502530000",
        "14155550123",
        "19165550123",
        "19385550123",
        "19865550123",
        "18765550123",
        "914155550123",
        "916505300123",
        "919165550123",
        "*78",
        "*90",
        "*911",
        "*67911",
        "*82988",
        "*67933",
    ],
)
@pytest.mark.rule("dialled.digit-maps")
def test_goes_out_at_once_with_its_last_digit(text: str, phone: object, digits: str) -> None:
    assert phone(parse(text), digits + "55") == (digits, False)  # type: ignore[operator]


@pytest.mark.parametrize(("text", "phone"), PHONES)
@pytest.mark.parametrize("digits", ["9165550123", "9125550123", "011445", "0115255123456", "011525512345678"])
def test_goes_out_after_a_pause(text: str, phone: object, digits: str) -> None:
    if len(digits) > 3 and digits.startswith("011"):
        assert phone(parse(text), digits + "55") == (digits + "55", True)  # type: ignore[operator]
    assert phone(parse(text), digits) == (digits, True)  # type: ignore[operator]


@pytest.mark.parametrize(("text", "phone"), PHONES)
@pytest.mark.parametrize("digits", ["5550123", "0", "00", "1012", "9", "91", "*9", "41555501", "1155"])
def test_does_not_go_out_by_itself(text: str, phone: object, digits: str) -> None:
    sent = phone(parse(text), digits)[0]  # type: ignore[operator]
    assert sent in ("", digits[:3] if digits.startswith("1") else "")


@pytest.mark.parametrize("code", ["911", "933", "988"])
@pytest.mark.parametrize("text", MAPS.values(), ids=MAPS)
def test_nothing_else_begins_like_an_emergency_code(text: str, code: str) -> None:
    assert [each for each in parse(text) if each.open(code)] == []


def test_four_digit_extensions() -> None:
    alternatives = parse(spell(digit_map(4, ["1001"]), "rfc3435"))
    for digits in ("1001", "1119", "1130", "1199", "112", "911"):
        assert first_match(alternatives, digits + "5") == (digits, False)
        assert longest_match(alternatives, digits + "5") == (digits, False)


def test_an_extension_that_begins_like_a_number_waits() -> None:
    alternatives = parse(spell(digit_map(3, ["101", "205"]), "grandstream"))
    assert longest_match(alternatives, "205") == ("205", True)
    assert longest_match(alternatives, "2055550123") == ("2055550123", False)
    assert first_match(parse(spell(digit_map(3, ["205"]), "rfc3435")), "2055550123")[0] == "2055550123"


SCATTERED = ["205", "210", "345", "677", "799", "120", "199"]


@pytest.mark.parametrize("extensions", [["101"], SCATTERED, [str(each) for each in range(200, 900)]])
@pytest.mark.parametrize("length", [3, 4])
@pytest.mark.parametrize(
    ("dialect", "most", "size"), [("rfc3435-20", 20, 512), ("rfc3435-30", 30, 768), ("dialnow", 20, 512)]
)
def test_old_firmware_gets_no_more_than_it_holds(
    dialect: str, most: int, size: int, length: int, extensions: list[str]
) -> None:
    rules = digit_map(length, [each.ljust(length, "5") for each in extensions], dialect)
    assert len(rules) <= most
    assert len(spell(rules, dialect)) <= size
    assert rules[:3] == tuple(map(Rule, ("911", "933", "988")))


@pytest.mark.parametrize("dialect", [name for name, way in DIALECTS.items() if way.waits])
@pytest.mark.parametrize("extension", SCATTERED)
def test_scattered_extensions_leave(dialect: str, extension: str) -> None:
    alternatives = parse(spell(digit_map(3, SCATTERED, dialect), dialect))
    phone = first_match if DIALECTS[dialect].eager else longest_match
    assert phone(alternatives, extension)[0] == extension
    assert phone(alternatives, "2055550123" + "5") == ("2055550123", False)
    assert phone(alternatives, "9115") == ("911", False)


def test_many_extensions_share_few_rules() -> None:
    few = digit_map(4, [str(each) for each in range(2000, 2200)])
    assert [rule.pattern for rule in few if rule.wait] == [
        "2[01]xx",
        "91[02-9][2-9]xxxxxx",
        "011xx",
        "*9[13]",
    ]
    assert longest_match(parse(spell(few, "grandstream")), "2200") == ("", False)


@pytest.mark.parametrize("digits", ["911", "933", "988", "9911", "101", "411", "4155550123", "14155550123"])
def test_dial_now_rules_send_at_once(digits: str) -> None:
    """Yealink before digit maps: each rule is a setting of its own; what none matches leaves after a pause."""
    alternatives = [parse(rule.pattern)[0] for rule in digit_map(3, ["205"], "dialnow")]
    assert longest_match(alternatives, digits + "5") == (digits, False)
    assert not any(each.complete("205") for each in alternatives)
