"""Which extensions a practice may use, and which come first: those that no phone has to wait for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from provisioner.dialing.classify import CODES
from provisioner.errors import OperatorError

# Not the beginning of any number that can be dialled, so a phone sends them without an inter-digit wait.
_SAFE = {
    3: [range(100, 112), range(113, 120)],
    4: [range(1000, 1120), range(1130, 1200)],
}
LENGTHS = tuple(_SAFE)
_N11 = re.compile(r"[2-9]11")


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


def check_extension(extension: str, length: int, taken: Collection[str]) -> None:
    """Raise OperatorError when `extension` cannot be used.

    `length`: the digits of every extension of the practice; `taken`: the extensions in use.
    """
    why = fault(extension, length, taken)
    if why:
        raise OperatorError(why, "choose another")


def fault(extension: str, length: int, taken: Collection[str]) -> str:
    """Why `extension` cannot be used, "" when it can; arguments as for `check_extension`."""
    if not re.fullmatch(r"[0-9]+", extension):
        return "an extension has digits only"
    if len(extension) != length:
        return f"{extension} has not the {length} digits of this practice's extensions"
    if extension in taken:
        return f"{extension} is in use"
    return _reserved(extension)


def _candidates(length: int) -> Iterator[str]:
    for numbers in _SAFE[length]:
        yield from map(str, numbers)
    yield from map(str, range(10 ** (length - 1), 9 * 10 ** (length - 1)))


def free_extensions(taken: Collection[str], length: int) -> Iterator[str]:
    """All free extensions of `length` digits (3 or 4), those that no phone has to wait for first."""
    used = frozenset(taken)
    return (extension for extension in _candidates(length) if not fault(extension, length, used))


def next_extension(taken: Collection[str], length: int) -> str:
    """The first free extension of `length` digits (3 or 4). Raises OperatorError when there is none."""
    if length not in _SAFE:
        raise OperatorError(f"extensions of {length} digits are not supported", "set the length to 3 or 4")
    for extension in free_extensions(taken, length):
        return extension
    raise OperatorError(f"all extensions of {length} digits are in use", "free one that is no longer needed")
