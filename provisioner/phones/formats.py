"""How a value is written into each format of files, and the marks for a phone's own values."""

from __future__ import annotations

import re
from collections.abc import Callable

HOLE = re.compile("\ue000(\\d+)\ue001")
# What XML 1.0 cannot hold at all, and the two characters that mark our holes.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000\ue001\ud800-\udfff\ufffe\uffff]")
_XML = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&#39;",
        "\n": "&#10;",
        "\r": "&#13;",
        "\t": "&#9;",
    }
)


def escape_xml(value: object) -> str:
    """A value for an XML attribute or text; what XML cannot hold is dropped."""
    text = str(value)
    if text.isascii() and text.isalnum():
        return text  # nearly every value; at an eighth of the cost
    return _UNPRINTABLE.sub("", text).translate(_XML)


def escape_line(value: object) -> str:
    """A value for the rest of a `key = value` line: line ends and control characters become a space.

    A value that would take its setting back (NULL) loses its percent signs.
    """
    text = str(value)
    if text.isascii() and text.isalnum():
        return text
    line = " ".join(_UNPRINTABLE.sub(" ", " ".join(text.splitlines())).split())
    return line.strip("%") if line.upper() == NULL else line


FORMATS: dict[str, Callable[[object], str]] = {"xml": escape_xml, "lines": escape_line}


class Hole(str):
    """A mark in the place of a phone's own value; no escaping touches it."""

    __slots__ = ()


NULL = Hole("%NULL%")  # Yealink's word for the factory's value; only a template may say it
