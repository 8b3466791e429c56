"""Which extensions a practice may use, and which come first: those that no phone has to wait for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from provisioner.dialing.classify import CODES
from provisioner.errors import OperatorError

# Not the beginning of any number that can be dialled, so a phone sends them without an inter-digit wait.
_SAFE = {
    3: [range(100, 112), range(113, 120)],
    4: [range(1000, 1120), range(1130, 1200)],
}
LENGTHS = tuple(_SAFE)
_N11 = re.compile(r"[2-9]11")

Span = tuple[str, str]  # the first and the last extension of a range


def _reserved(extension: str) -> str:
    """Why nobody may have `extension`, "" when one may."""
    if extension[0] in "09":
        return f"{extension} begins with {extension[0]}, which is kept for outside calls and emergencies"
    for code in CODES:
        if extension.startswith(code) or code.startswith(extension):
            return f"{extension} collides with the code {code}"
    if _N11.match(extension):
        return f"{extension} collides with the service code {extension[:3]}"
    return ""


def fault(extension: str, length: int, taken: Collection[str]) -> str:
    """Why `extension` cannot be used, "" when it can.

    `length`: the digits of every extension of the practice; `taken`: the extensions in use.
    """
    if extension[:1] in ("*", "#"):
        return f"{extension} begins with {extension[0]}, which is kept for star codes: an extension has digits only"
    if not re.fullmatch(r"[0-9]+", extension):
        return "an extension has digits only"
    if len(extension) != length:
        return f"{extension} has not the {length} digits of this practice's extensions"
    if extension in taken:
        return f"{extension} is in use"
    return _reserved(extension) or _beside(extension, taken)


def _beside(extension: str, taken: Collection[str]) -> str:
    """Which extension in use it begins like, where lengths were mixed: one of them would wait."""
    others = (each for each in taken if len(each) != len(extension))
    for other in others:
        if other.startswith(extension) or extension.startswith(other):
            return f"{extension} and {other}, which is in use, begin alike"
    return ""


def leaves_at_once(extension: str) -> bool:
    """Whether every phone sends `extension` with its last digit; else it begins like a number, and waits."""
    return extension.isdecimal() and any(int(extension) in span for span in _SAFE.get(len(extension), ()))


@lru_cache
def _candidates(length: int) -> tuple[str, ...]:
    everything = map(str, range(10 ** (length - 1), 9 * 10 ** (length - 1)))
    usable = (each for each in everything if not _reserved(each))
    return tuple(sorted(usable, key=lambda each: (not leaves_at_once(each), each)))


def _within(extension: str, spans: Sequence[Span]) -> bool:
    return any(len(first) == len(extension) and first <= extension <= last for first, last in spans)


def free_extensions(
    taken: Collection[str], length: int, own: Sequence[Span] = (), others: Sequence[Span] = ()
) -> Iterator[str]:
    """All free extensions of `length` digits (3 or 4), each once, those that no phone has to wait for first.

    `own`: ranges that come before all else, in their order; `others`: ranges that are somebody else's, and left alone.
    """
    candidates = _candidates(length)
    first = dict.fromkeys(each for span in own for each in candidates if _within(each, (span,)))
    rest = (each for each in candidates if not _within(each, (*own, *others)))
    strange = [each for each in taken if len(each) != length]
    used = frozenset(taken)
    return (each for each in chain(first, rest) if each not in used and not _beside(each, strange))


def next_extension(
    taken: Collection[str], length: int, own: Sequence[Span] = (), others: Sequence[Span] = ()
) -> str:
    """The first of `free_extensions`. Raises OperatorError when there is none."""
    if length not in _SAFE:
        raise OperatorError(f"extensions of {length} digits are not supported", "set the length to 3 or 4")
    for extension in free_extensions(taken, length, own, others):
        return extension
    raise OperatorError(f"all extensions of {length} digits are in use", "free one that is no longer needed")


def span_fault(first: str, last: str, length: int, others: Mapping[str, Span]) -> str:
    """Why `first` to `last` cannot be a range, "" when it can. `others`: the ranges that there are, by name."""
    if not all(re.fullmatch(r"[0-9]+", each) and len(each) == length for each in (first, last)):
        return f"a range goes from one extension of {length} digits to another"
    if first > last:
        return f"{first} is after {last}"
    if not any(not _reserved(str(each)) for each in range(int(first), int(last) + 1)):
        return f"no extension from {first} to {last} can be used"
    for name, (low, high) in others.items():
        if len(low) == length and first <= high and low <= last:
            return f"it overlaps {low} to {high}, {name}"
    return ""


def moves(taken: Collection[str], length: int) -> tuple[dict[str, str], list[str]]:
    """Where each extension goes when all get `length` digits, and what stands against that, all of it.

    A longer one keeps its digits behind a 1, a shorter one its last ones, where that can be used; else it gets the
    next free one. Those that have the length already stay.
    """
    if length not in _SAFE:
        return {}, [f"extensions of {length} digits are not supported: set the length to 3 or 4"]
    stay = {each for each in taken if len(each) == length}
    found = {each: each for each in stay}
    wanted = {each: each.rjust(length, "1")[-length:] for each in sorted(taken) if each not in stay}
    given = set(stay)
    for each, new in wanted.items():
        if not fault(new, length, given):
            found[each] = new
            given.add(new)
    free = free_extensions(given, length)
    problems = []
    for each in sorted(taken):
        if each not in found:
            found[each] = next(free, "")
            if not found[each]:
                problems.append(f"there is no free extension of {length} digits for {each}")
    problems += [why for each in sorted(stay) if (why := fault(each, length, ()))]
    return found, problems
