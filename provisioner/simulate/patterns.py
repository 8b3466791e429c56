"""The makers' spellings of digit maps, read as their phones read them into rules that keys can follow."""

from __future__ import annotations

import re
from typing import NamedTuple

from provisioner.errors import PeerError

DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
LITERALS = DIGITS | frozenset("*#+")


class Item(NamedTuple):
    """One place of a pattern: the keys that fit, whether it must be there, whether it may repeat."""

    keys: frozenset[str]
    needed: bool = True
    repeats: bool = False


class Span(NamedTuple):
    """Items `start` to `end` of a rule (the end excluded) that are sent as `text`."""

    start: int
    end: int
    text: str


class Rule(NamedTuple):
    """One alternative of a map. `waits`: sent after a pause only, of `pause` seconds (None: the plan's).

    `refuses`: what matches is not dialled. `spans`: what is sent in other digits, in order.
    """

    items: tuple[Item, ...]
    waits: bool = False
    refuses: bool = False
    pause: float | None = None
    spans: tuple[Span, ...] = ()

    def follow(self, keys: str) -> tuple[bool, bool]:
        """Whether `keys` are a whole match, and whether more keys could be part of a match."""
        places = self._skip({0})
        for key in keys:
            found = set()
            for place in places:
                if place < len(self.items) and key in self.items[place].keys:
                    found |= {place, place + 1} if self.items[place].repeats else {place + 1}
            places = self._skip(found)
        end = len(self.items)
        return end in places, any(place < end for place in places)

    def _skip(self, places: set[int]) -> set[int]:
        for place in range(len(self.items)):
            if place in places and not self.items[place].needed:
                places.add(place + 1)
        return places

    def sends(self, keys: str) -> str:
        """What the phone sends for `keys`, which are a whole match."""
        pattern, texts, at = "", [], 0
        for span in self.spans:
            pattern += f"({self._regex(at, span.start)})(?:{self._regex(span.start, span.end)})"
            texts.append(span.text)
            at = span.end
        match = re.fullmatch(pattern + f"({self._regex(at, len(self.items))})", keys)
        kept = match.groups() if match else (keys,)
        return "".join(part + text for part, text in zip(kept, [*texts, ""], strict=False))

    def _regex(self, start: int, end: int) -> str:
        ways = {(True, False): "", (True, True): "+", (False, True): "*", (False, False): "?"}
        return "".join(
            f"[{''.join(map(re.escape, sorted(item.keys)))}]" + ways[item.needed, item.repeats]
            for item in self.items[start:end]
        )


class Grammar(NamedTuple):
    """How a maker writes an alternative.

    `repeats`: what lets the item before it repeat; `swap`: what parts old and new digits in `<…>`, "" without such;
    `triplets`: `R…R…R` does the same; `timer`: a `T` at the end waits; `account`: an `A` at the end names the line;
    `no_first`, `no_last`: what refuses.
    """

    repeats: str
    swap: str = ""
    triplets: bool = False
    timer: bool = False
    account: bool = False
    no_first: str = ""
    no_last: str = ""


GRAMMARS = {
    # facts 6.1: RFC 3435 2.1.5 with R triplets; a comma turns the dial tone on again
    "polycom": Grammar(".", triplets=True, timer=True),
    # T2/T4/T5 administrator's guides, dial plan by digit map: <a:b>, <T5>, A, ! last
    "yealink": Grammar(".", ":", triplets=True, timer=True, account=True, no_last="!"),
    # facts 6.1 and the GXP guides: x+, ^ first, <2=011>, a backslash before a literal
    "grandstream": Grammar(".+", "=", no_first="^"),
}

_TRIPLET = re.compile(r"R([^R]*)R([0-9*#+]*)R")
_TIMER = re.compile(r"(?:T|<T(?P<seconds>\d{1,2})>)\Z")
_ACCOUNT = re.compile(r"(?:A|<A\d+>)\Z")


def alternatives(text: str, grammar: str) -> list[str]:
    """A map in its parts."""
    inside = text.strip()
    if grammar == "grandstream":
        inside = inside.removeprefix("{").removesuffix("}")
    return [part.strip() for part in inside.split("|") if part.strip()]


def rule(text: str, grammar: str) -> Rule:
    """One alternative. Raises PeerError when this maker's phone cannot read it."""
    ways, rest, pause = GRAMMARS[grammar], text, None
    refuses = bool(ways.no_first and rest.startswith(ways.no_first))
    refuses |= bool(ways.no_last and rest.endswith(ways.no_last))
    rest = rest.removeprefix(ways.no_first or "\0").removesuffix(ways.no_last or "\0")
    if ways.account:
        rest = _ACCOUNT.sub("", rest)
    timer = _TIMER.search(rest) if ways.timer else None
    if timer:
        rest = rest[: timer.start()]
        pause = float(timer["seconds"]) if timer["seconds"] else None
    if "<" in rest and not ways.swap:
        raise PeerError(f"the digit map has '<' in {text!r}, which this phone cannot read")
    if ways.triplets and "R" in rest:
        rest = _triplets(rest)
    items, spans = _read(rest, ways, text)
    return Rule(items, timer is not None, refuses, pause, spans)


def _triplets(text: str) -> str:
    """`R9R604R` as `<9:604>`; a map with a stray R is not taken (facts 6.1)."""
    if text.count("R") % 3:
        raise PeerError(f"the digit map has a stray R in {text!r}")
    return _TRIPLET.sub(r"<\1:\2>", text)


def _read(text: str, ways: Grammar, whole: str) -> tuple[tuple[Item, ...], tuple[Span, ...]]:
    """Items and spans of what is between the marks at an alternative's ends."""
    items: list[Item] = []
    spans: list[Span] = []
    at = 0
    while at < len(text):
        swap = re.compile(rf"<([^<>=:]*){ways.swap or ':'}([0-9*#+]*)>").match(text, at)
        if swap:
            before, _ = _read(swap[1].replace(",", "").strip(), ways, whole)
            spans.append(Span(len(items), len(items) + len(before), swap[2]))
            items += before
            at = swap.end()
            continue
        item, at = _item(text, at, ways, whole, items)
        items += [item] if item else []
    return tuple(items), tuple(spans)


def _item(text: str, at: int, ways: Grammar, whole: str, items: list[Item]) -> tuple[Item | None, int]:
    """The item at `at`, and where the next one begins; a sign of repetition changes the last of `items`."""
    char = text[at]
    if char in ways.repeats and items:
        items[-1] = Item(items[-1].keys, needed=char == "+", repeats=True)
        return None, at + 1
    if char == "[" and "]" in text[at:]:
        end = text.index("]", at)
        return Item(_class(text[at + 1 : end])), end + 1
    if char == "\\" and at + 1 < len(text):
        return Item(frozenset(text[at + 1])), at + 2
    if char == "X" and not ways.timer:
        return Item(DIGITS | LETTERS), at + 1
    if char == "x" or char in LITERALS:
        return Item(DIGITS if char == "x" else frozenset(char)), at + 1
    if char in ", ":  # a comma turns the dial tone on again
        return None, at + 1
    raise PeerError(f"the digit map has {char!r} in {whole!r}, which this phone cannot read")


def _class(text: str) -> frozenset[str]:
    """The keys of `[2-9*]`, given without its brackets; `x` inside stands for any digit, commas part (Yealink)."""
    text = text.replace(",", "")
    keys: set[str] = set()
    at = 0
    while at < len(text):
        if text[at] == "x":
            keys |= DIGITS
        elif at + 2 < len(text) and text[at + 1] == "-":
            keys |= {chr(code) for code in range(ord(text[at]), ord(text[at + 2]) + 1)}
            at += 2
        else:
            keys.add(text[at])
        at += 1
    if not keys or not keys <= LITERALS:
        raise PeerError(f"the digit map has a class that no key fits: [{text}]")
    return frozenset(keys)
