"""Firmware versions of the three makers, compared as each of them counts."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\d+(?:\.\d+)*)\.?([A-Za-z]?)")
_HARDWARE_FIRST = "yealink"  # 66.86.0.15: hardware 66, release 86.0, build 15


def key(vendor: str, text: str) -> tuple[tuple[int, ...], str]:
    """What versions of one maker sort by; of no version, or of none that we can read, `((), "")`.

    Yealink's first of four numbers is the hardware's: it does not count, and a rule may leave it out. A letter
    (`4.4.0B`) comes after the same version without one.
    """
    found = _PARTS.fullmatch(text.strip())
    if not found:
        return (), ""
    numbers = tuple(int(part) for part in found[1].split("."))
    if vendor == _HARDWARE_FIRST and len(numbers) == 4:
        numbers = numbers[1:]
    return numbers, found[2].upper()


def within(vendor: str, version: str, since: str, before: str) -> bool:
    """Whether `since` <= `version` < `before`; "" is no limit. False for a version that cannot be read."""
    this = key(vendor, version)
    if not this[0]:
        return False
    return (not since or key(vendor, since) <= this) and (not before or this < key(vendor, before))


def same_image(vendor: str, one: str, other: str) -> bool:
    """Whether two versions are of one image line, so that one can be older than the other.

    Yealink's are only when the hardware number is the same; the other makers' always.
    """
    return vendor != _HARDWARE_FIRST or one.split(".")[0] == other.split(".")[0]
