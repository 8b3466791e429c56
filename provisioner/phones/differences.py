"""What differs between two texts, line by line and word by word, for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal, NamedTuple

CONTEXT = 2  # lines around a change that are shown
MAX_LINES = 3000  # of one side; more is not compared, it would take seconds
_WORD = re.compile(r"\w+|\s+|[^\w\s]")

Kind = Literal["same", "removed", "added", "gap"]
Part = tuple[str, bool]


class Line(NamedTuple):
    """One line. `before`, `now`: its number on each side, from 1 (0: not there); `parts`: text, and whether it differs.

    A `gap` stands for lines that are the same; their number is in `now`.
    """

    kind: Kind
    before: int
    now: int
    parts: tuple[Part, ...]


def compare(before: str, now: str) -> list[Line]:
    """The lines that differ with some around them; [] when the texts are the same."""
    old, new = before.splitlines()[:MAX_LINES], now.splitlines()[:MAX_LINES]
    if old == new:
        return []
    found: list[Line] = []
    groups = SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)
    last = 0
    for group in groups:
        start = group[0][3]
        if start > last:
            found.append(Line("gap", 0, start - last, ()))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                pairs = zip(range(i1, i2), range(j1, j2), strict=True)
                found += [Line("same", i + 1, j + 1, ((old[i], False),)) for i, j in pairs]
            else:
                found += _changed(old[i1:i2], new[j1:j2], i1, j1)
        last = group[-1][4]
    if last < len(new):
        found.append(Line("gap", 0, len(new) - last, ()))
    return found


def _changed(old: list[str], new: list[str], first_old: int, first_new: int) -> list[Line]:
    """Lines that took each other's place: those removed, then those added, each with the words that differ."""
    removed, added = [], []
    for at, (one, other) in enumerate(zip_longest(old, new)):
        if one is not None and other is not None:
            ours, theirs = words(one, other)
        else:
            ours = theirs = ((one if one is not None else other or "", True),)
        if one is not None:
            removed.append(Line("removed", first_old + at + 1, 0, ours))
        if other is not None:
            added.append(Line("added", 0, first_new + at + 1, theirs))
    return removed + added


def words(one: str, other: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Two lines in parts, each with whether it differs from the other line."""
    ours, theirs = _WORD.findall(one), _WORD.findall(other)
    codes = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    left = _joined(("".join(ours[i1:i2]), tag != "equal") for tag, i1, i2, _, _ in codes)
    right = _joined(("".join(theirs[j1:j2]), tag != "equal") for tag, _, _, j1, j2 in codes)
    return left, right


def _joined(parts: Iterator[Part]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part[0])
