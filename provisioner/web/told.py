"""What rooms below say in English (errors, outcomes of calls, reasons), said in the language of the page.

Those rooms know no page and no language. `packaging/texts.py` reads their sentences out of the sources into the
catalogues, in the context BELOW and with `{names}` where values stand; here a finished sentence is matched.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Iterable
from typing import NamedTuple

from flask import Flask

from provisioner.web import language
from provisioner.web.language import BELOW

DEPTH = 4  # sentences within values within sentences
# Said below in a form that is no sentence there.
LOOSE = ("{trunk} after {seconds} s: {result}", "{trunk} after {seconds} s", "Key {position}: {wrong}")
_LITERAL, _GROUP = re.compile(r"[A-Za-z]{2,}"), re.compile(r"\(\.\+\?\)")
_PROSE = re.compile(r"\b[a-z]{2,}\b")
_VALUE = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
_JOINTS = ("; ", ". ", ": ", ", and ", ", ")  # how rooms below put sentences beside each other


class Pattern(NamedTuple):
    """A sentence with values: how it begins and ends, all of it as an expression, its names, and the translation."""

    begins: str
    ends: str
    whole: re.Pattern[str]
    names: tuple[str, ...]
    translation: str

    def fits(self, text: str, known: Container[str]) -> re.Match[str] | None:
        """The match of a whole text; where the pattern says little itself, no value may be half a sentence.

        `known`: whole sentences, which are no halves.
        """
        found = self.whole.fullmatch(text)
        little = len(_LITERAL.findall(_GROUP.sub(" ", self.whole.pattern))) < 3
        halves = (each for each in (found.groups() if found and little else ()) if each not in known)
        return None if any(each.count(" ") > 3 and _PROSE.search(each) for each in halves) else found


def _plain(text: str) -> str:
    """A text without values, as it is said: braces stand twice in the catalogues."""
    return text.replace("{{", "{").replace("}}", "}")


def pattern(message: str, translation: str) -> Pattern:
    """The pattern of a catalogue's message."""
    literals = [_plain(part) for part in _VALUE.split(message)[::2]]
    whole = re.compile("(.+?)".join(map(re.escape, literals)), re.DOTALL)
    return Pattern(literals[0], literals[-1], whole, tuple(_VALUE.findall(message)), translation)


@functools.cache
def _known(code: str) -> tuple[dict[str, str], tuple[Pattern, ...]]:
    """The whole sentences of a language, and its patterns: those that say most before those that fit more."""
    said = language.pairs(code, BELOW)
    exact = {_plain(text): _plain(translation) for text, translation in said if not _VALUE.search(text)}
    exact = {**dict(language.pairs(code, None)), **exact}
    patterns = [pattern(text, translation) for text, translation in said if _VALUE.search(text)]
    patterns.sort(key=lambda one: -len(_VALUE.sub("", one.whole.pattern)))
    return exact, tuple(patterns)


def tell(text: object) -> str:
    """`text` of a room below in the language of this request; what is no known sentence stays as it is."""
    code = language.current()
    return str(text) if code == "en" else _tell(code, str(text), DEPTH)


@functools.lru_cache(4096)
def _tell(code: str, text: str, depth: int) -> str:
    found = _whole(code, text, depth)
    if found is None and text[:1].isupper():
        found = _whole(code, text[:1].lower() + text[1:], depth)
        found = found and found[:1].upper() + found[1:]
    if found is None and text.endswith("."):
        return _tell(code, text[:-1], depth) + "."
    return text if found is None and not depth else found or _parts(code, text, depth)


def _whole(code: str, text: str, depth: int) -> str | None:
    exact, patterns = _known(code)
    if text in exact:
        return exact[text]
    for one in patterns if depth else ():
        if text.startswith(one.begins) and text.endswith(one.ends) and (found := one.fits(text, exact)):
            values = (_tell(code, value, depth - 1) for value in found.groups())
            return one.translation.format(**dict(zip(one.names, values, strict=True)))
    return None


def _parts(code: str, text: str, depth: int) -> str:
    for joint in _JOINTS:
        parts = text.split(joint)
        told = [_tell(code, part, depth - 1) for part in parts] if len(parts) > 1 else []
        if told and told[0] != parts[0]:
            return (" y " if joint == ", and " and code == "es" else joint).join(told)
    return text


def each(texts: Iterable[object]) -> list[str]:
    """`tell` for each."""
    return [tell(text) for text in texts]


def install(app: Flask) -> None:
    """Give the templates the filters `tell` and `tell_each`."""
    app.jinja_env.filters.update(tell=tell, tell_each=each)
