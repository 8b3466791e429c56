"""The digit map of a practice, in neutral form, and in the spelling of each maker.

No alternative without `wait` is a prefix of another one, so emergency codes leave at once whether a phone
sends on the first match (RFC 3435, section 2.1.5) or waits while a longer match is possible.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Rule(NamedTuple):
    """One alternative: digits, `x`, classes as `[2-8]`; `more`: further digits; `wait`: until a pause."""

    pattern: str
    more: bool = False
    wait: bool = False


class Dialect(NamedTuple):
    """How a maker writes a map: what joins, opens and closes it, any further digits, after a pause.

    `most`: the alternatives that a map may have (0: no limit).
    """

    join: str
    begin: str
    end: str
    more: str
    wait: str
    most: int = 0


DIALECTS = {
    "rfc3435": Dialect("|", "", "", "x.", "T"),
    # Old SoundPoint IP phones drop a map of more than 30 alternatives or 768 characters (technical bulletin "SIP 2.1").
    "rfc3435-30": Dialect("|", "", "", "x.", "T", 30),
    # Grandstream has no T: a match that could grow waits for the no-key-entry timeout by itself.
    "grandstream": Dialect(" | ", "{ ", " }", "x+", ""),
}

_ALWAYS = ("911", "933", "988", "112", "[19]911", "[19]988", "9933")
_N11 = "[2-8]11"
# Area codes that begin with 9 come apart, so that none of them begins like 911, 933, 988 or 99.
_AREAS = ("[2-8][0-8]x", "9[024-7]x", "93[0-24-9]", "98[0-79]")
_REST = "[2-9]xxxxxx"
_SAFE = {3: ("10x", "11[013-9]"), 4: ("10xx", "11[013-9]x")}


def _area_rules(prefix: str) -> list[Rule]:
    first, *others = _AREAS
    if prefix:
        return [Rule(prefix + area + _REST) for area in ("[2-8]xx", *others, "91[02-9]")]
    # Without a 1 in front an N11 code is complete on its third digit.
    heads = [first.replace("[0-8]", "[02-8]"), "[2-8]1[02-9]", *others]
    return [Rule(area + _REST) for area in heads]


def digit_map(extension_length: int, extensions: Iterable[str]) -> tuple[Rule, ...]:
    """The map for extensions of `extension_length` digits.

    Extensions outside the lengths' safe ranges get a rule of their own that waits, since they begin like a
    number. `91` and eight digits wait too: `9`, `1` and ten digits (the old outside-line habit) begin
    alike.
    """
    safe = _SAFE.get(extension_length, ())
    slow = sorted(each for each in set(extensions) if not _is_safe(each, extension_length))
    return (
        *(Rule(code) for code in _ALWAYS),
        *(Rule(pattern) for pattern in safe),
        *(Rule(each, wait=True) for each in slow),
        Rule(_N11),
        *_area_rules(""),
        Rule("91[02-9]" + _REST, wait=True),
        *_area_rules("1"),
        Rule("91[2-9]xx" + _REST),
        Rule("011xx", more=True, wait=True),
        Rule("*xx"),
    )


def _is_safe(extension: str, length: int) -> bool:
    return len(extension) == length in _SAFE and extension[:2] in ("10", "11") and extension[:3] != "112"


def spell(rules: Iterable[Rule], dialect: str) -> str:
    """The rules as one line in a maker's dialect (a name of DIALECTS)."""
    way = DIALECTS[dialect]
    each = (
        rule.pattern + (way.more if rule.more else "") + (way.wait if rule.wait else "")
        for rule in _fitted(list(rules), way.most)
    )
    return way.begin + way.join.join(each) + way.end


def _fitted(rules: list[Rule], most: int) -> list[Rule]:
    """At most `most` rules: extensions that wait share one by their last digit; the last that do not fit go.

    What goes is then sent by the Send key.
    """
    if not most or len(rules) <= most:
        return rules
    tails: dict[str, list[str]] = {}
    for rule in rules:
        if _waits(rule):
            tails.setdefault(rule.pattern[:-1], []).append(rule.pattern[-1])
    merged = [
        Rule(head + (last[0] if len(last) == 1 else f"[{''.join(last)}]"), wait=True)
        for head, last in tails.items()
    ]
    others = [rule for rule in rules if not _waits(rule)]
    return [*others, *merged[: max(most - len(others), 0)]]


def _waits(rule: Rule) -> bool:
    """Whether it is an extension's own rule, which waits since it begins like a number."""
    return rule.wait and rule.pattern.isdecimal()
