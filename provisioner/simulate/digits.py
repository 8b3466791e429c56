"""How a phone reads its own digit map while keys are pressed: RFC 3435 2.1.5 spelling and Grandstream's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from provisioner.errors import PeerError

DIGITS = frozenset("0123456789")
MAX_MAP = 8192  # characters; the longest map that we serve has under 400

Wait = Literal["at once", "pause", "send key", "refused"]
Impossible = Literal["send", "refuse", "collect"]


class Item(NamedTuple):
    """One place of a pattern: the keys that fit, whether it must be there, whether it may repeat."""

    keys: frozenset[str]
    needed: bool = True
    repeats: bool = False


class Rule(NamedTuple):
    """One alternative of a map. `waits`: sent after a pause only. `refuses`: what matches is not dialled."""

    items: tuple[Item, ...]
    waits: bool = False
    refuses: bool = False

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


class Dialled(NamedTuple):
    """What becomes of keys: the number sent ("" when refused) and what the phone waited for before."""

    number: str
    wait: Wait


@dataclass(frozen=True)
class DialPlan:
    """A phone's map with what its maker does around it.

    `eager`: a whole match without T leaves though a longer one is possible (RFC 3435), else after a pause.
    `impossible`: what happens at a key that no rule allows. `end_key`: ends dialling, is not sent.
    """

    rules: tuple[Rule, ...] = ()
    eager: bool = True
    impossible: Impossible = "collect"
    end_key: str = ""

    def dial(self, keys: str) -> Dialled:
        """Press `keys` one after the other off-hook; then wait, and press Send where that does nothing."""
        for count in range(1, len(keys) + 1):
            number = keys[:count]
            if count > 1 and self.end_key and keys[count - 1] == self.end_key:
                return Dialled(number[:-1], "at once")
            if self.rules and (decided := self._decide(number, keys)):
                return decided
        whole = [rule for rule in self.rules if rule.follow(keys)[0]]
        if any(rule.refuses for rule in whole):
            return Dialled("", "refused")
        return Dialled(keys, "pause" if whole or not self.rules else "send key")

    def _decide(self, number: str, keys: str) -> Dialled | None:
        """What the newest key of `number` settles; None: the phone goes on listening."""
        state = [(rule, *rule.follow(number)) for rule in self.rules]
        whole = [rule for rule, complete, _ in state if complete]
        growing = any(grows for _, _, grows in state)
        if not whole and not growing:
            ways = {"send": Dialled(number, "at once"), "refuse": Dialled("", "refused")}
            return ways.get(self.impossible, Dialled(keys, "send key"))
        if any(not rule.waits for rule in whole) and (self.eager or not growing):
            refused = any(rule.refuses for rule in whole)
            return Dialled("", "refused") if refused else Dialled(number, "at once")
        return None


def _class(text: str) -> frozenset[str]:
    """The keys of `[2-9*]`, given without its brackets; `x` inside stands for any digit."""
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
    if not keys <= DIGITS | {"*", "#", "+"}:
        raise PeerError(f"the digit map has a class that no key fits: [{text}]")
    return frozenset(keys)


def _items(text: str, repeats: str) -> tuple[Item, ...]:
    """The places of one alternative; `repeats` are the characters that let the item before them repeat."""
    items: list[Item] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in repeats and items:
            items[-1] = Item(items[-1].keys, needed=char == "+", repeats=True)
        elif char == "[" and "]" in text[at:]:
            end = text.index("]", at)
            items.append(Item(_class(text[at + 1 : end])))
            at = end
        elif char == "\\" and at + 1 < len(text):
            at += 1
            items.append(Item(frozenset(text[at])))
        elif char == "x" or char in "0123456789*#+":
            items.append(Item(DIGITS if char == "x" else frozenset(char)))
        elif char not in ", ":  # a comma turns the dial tone on again
            raise PeerError(f"the digit map has {char!r} in {text!r}, which this phone cannot read")
        at += 1
    return tuple(items)


def _rules(text: str, one: Callable[[str], Rule]) -> tuple[Rule, ...]:
    if len(text) > MAX_MAP:
        raise PeerError("the digit map is too long")
    return tuple(one(part.strip()) for part in text.split("|") if part.strip())


def rfc3435(text: str) -> tuple[Rule, ...]:
    """A map as Polycom and Yealink write it: `[2-9]11|0T|011xxx.T`. Raises PeerError."""
    return _rules(text, lambda part: Rule(_items(part.removesuffix("T"), "."), waits=part.endswith("T")))


def grandstream(text: str) -> tuple[Rule, ...]:
    """A map as Grandstream writes it: `{ x+ | \\+x+ | *x+ }`; `^` refuses. Raises PeerError."""
    inside = text.strip().removeprefix("{").removesuffix("}")
    return _rules(
        inside, lambda part: Rule(_items(part.removeprefix("^"), ".+"), refuses=part.startswith("^"))
    )
