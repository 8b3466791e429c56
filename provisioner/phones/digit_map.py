"""The digit map of a practice, in neutral form, and in the spelling of each maker.

No alternative without `wait` is a prefix of another one, so emergency codes leave at once whether a phone
sends on the first match (RFC 3435, section 2.1.5) or waits while a longer match is possible. Only for phones
that are known to send on the first match (`eager`) are rules put together, and never those that begin like 911,
933 or 988.
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

    `eager`: a match leaves at once though a longer one is possible, so the map may be shorter. `waits`: whether the
    phone has rules that wait. `most`: how many alternatives it takes, 0 for no limit.
    """

    join: str
    begin: str = ""
    end: str = ""
    more: str = "x."
    wait: str = "T"
    eager: bool = False
    waits: bool = True
    most: int = 0


DIALECTS = {
    "rfc3435": Dialect("|"),
    # Old SoundPoint IP phones drop a map of more than 30 alternatives or 768 characters (technical bulletin "SIP 2.1").
    "rfc3435-30": Dialect("|", most=30),
    # Before that 20 and 512 (1.4 guide, p. 119). The factory map there has [2-9]11 beside [2-9]xxxxxxxxx.
    "rfc3435-20": Dialect("|", eager=True, most=20),
    # Grandstream has no T: a match that could grow waits for the no-key-entry timeout by itself.
    "grandstream": Dialect(" | ", "{ ", " }", more="x+", wait=""),
    # Yealink before digit maps: one rule a setting, for what leaves at once; all else leaves after a pause.
    "dialnow": Dialect(",", waits=False, most=20),
}

_ALWAYS = ("911", "933", "988", "[19]911", "[19]988", "9933")
_N11 = "[2-8]11"
# Area codes that begin with 9 come apart, so that none of them begins like 911, 933, 988 or 99.
_NINES = ("9[024-7]x", "93[0-24-9]", "98[0-79]")
_REST = "[2-9]xxxxxx"
# Not `*xx`: it would send the *67 of somebody who keys *67911. 911 and its like behind a star or a caller ID code, then
# the codes of the edge's own features, of which *91 and *93 begin like *911.
_STARS = (
    Rule("*9[138][138]"),
    Rule("*[68][27]9xx"),
    Rule("*7x"),
    Rule("*9[02]"),
    Rule("*9[13]", wait=True),
)
# What extensions need no pause, with 112 beside them.
_SAFE = {3: ("1[01]x",), 4: ("112", "10xx", "11[013-9]x")}
_SLOW_AT_MOST = 3  # alternatives for the extensions that wait, in a map of few


def _area_rules(prefix: str, eager: bool) -> list[Rule]:
    if prefix:
        heads = ("[2-9]xx",) if eager else ("[2-8]xx", *_NINES, "91[02-9]")
    else:
        # Without a 1 in front an N11 code is complete on its third digit.
        heads = (*(("[2-8][0-8]x",) if eager else ("[2-8][02-8]x", "[2-8]1[02-9]")), *_NINES)
    return [Rule(prefix + head + _REST) for head in heads]


def digit_map(extension_length: int, extensions: Iterable[str], dialect: str = "rfc3435") -> tuple[Rule, ...]:
    """The map for extensions of `extension_length` digits, with no more than a dialect (of DIALECTS) can hold.

    Extensions outside the lengths' safe ranges get rules that wait, since they begin like a number. `91` and
    eight digits wait too: `9`, `1` and ten digits (the old outside-line habit) begin alike.
    """
    way = DIALECTS[dialect]
    safe = _SAFE.get(extension_length, ("112",))
    slow = sorted({each for each in extensions if not _is_safe(each, extension_length)})
    rules = (
        *(Rule(code) for code in _ALWAYS),
        *(Rule(pattern) for pattern in safe),
        *(Rule(pattern, wait=True) for pattern in _patterns(slow, _SLOW_AT_MOST if way.most else 0)),
        Rule(_N11),
        *_area_rules("", way.eager),
        Rule("91[02-9]" + _REST, wait=True),
        *_area_rules("1", way.eager),
        Rule("011xx", more=True, wait=True),
        Rule("91[2-9]xx" + _REST),
        *_STARS,
    )
    fit = tuple(rule for rule in rules if way.waits or not rule.wait)
    return fit[: way.most] if way.most else fit


def _is_safe(extension: str, length: int) -> bool:
    return len(extension) == length in _SAFE and extension[:2] in ("10", "11") and extension[:3] != "112"


def _patterns(extensions: list[str], most: int) -> list[str]:
    """Alternatives that match these extensions; more than them only where `most` (0: any number) would not do."""
    found: set[tuple[frozenset[str], ...]] = {tuple(map(frozenset, each)) for each in extensions}
    for place in range(max(map(len, extensions), default=0) - 1, -1, -1):
        together: dict[tuple[object, ...], set[str]] = {}
        for each in found:
            rest = (each[:place], each[place + 1 :], len(each))
            together.setdefault(rest, set()).update(each[place] if place < len(each) else ())
        found = {
            (*head, frozenset(keys), *tail) if keys else (*head, *tail)  # type: ignore[misc]
            for (head, tail, _), keys in together.items()
        }
    if most and len(found) > most:
        return [f"[1-8]{'x' * (length - 1)}" for length in sorted({len(each) for each in found})][:most]
    return sorted("".join(map(_class, each)) for each in found)


def _class(keys: frozenset[str]) -> str:
    if len(keys) == 10:
        return "x"
    return "".join(keys) if len(keys) == 1 else f"[{''.join(sorted(keys))}]"


def spell(rules: Iterable[Rule], dialect: str) -> str:
    """The rules as one line in a maker's dialect (a name of DIALECTS)."""
    way = DIALECTS[dialect]
    each = (
        rule.pattern + (way.more if rule.more else "") + (way.wait if rule.wait else "") for rule in rules
    )
    return way.begin + way.join.join(each) + way.end
