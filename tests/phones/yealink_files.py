"""Yealink's text files as the phones read them, and the table of the parameters that they may hold."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from typing import NamedTuple

from provisioner.paths import shipped

HEADER = "#!version:1.0.0.1"
NULL = "%NULL%"


class Setting(NamedTuple):
    name: str
    value: str


class Faulty(Exception):
    """A phone would not take the file, or not wholly."""


def _lines(data: bytes) -> list[str]:
    """After the header; a lone carriage return ends a line too, since a phone may take it so."""
    text = data.decode("utf-8")
    if re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]", text):
        raise Faulty("a control character")
    first, *lines = re.split(r"\r\n|\n|\r", text)
    if first != HEADER:
        raise Faulty(f"begins with {first!r}")
    if lines[-1]:
        raise Faulty("the last line does not end")
    return lines


def parse(data: bytes) -> list[Setting]:
    """The settings of a configuration file, in order. Each line is empty, a comment, or `name = value`."""
    settings = []
    for line in _lines(data):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", name.strip()):
            raise Faulty(line[:80])
        settings.append(Setting(name.strip(), value.strip()))
    return settings


def parse_boot(data: bytes) -> tuple[list[str], bool]:
    """The files that a boot file includes, in order, and whether what they leave out goes back to the factory's."""
    files, overwrite = [], False
    for line in _lines(data):
        if found := re.fullmatch(r'(?:\[[\w,]+\])?include:config (?:"([^"]+)"|<([^<>]+)>)', line):
            files.append(found[1] or found[2])
        elif found := re.fullmatch(r"overwrite_mode = ([01])", line):
            overwrite = found[1] == "1"
        elif line.strip() and not line.startswith("#"):
            raise Faulty(line[:80])
    return files, overwrite


class Parameter(NamedTuple):
    pattern: re.Pattern[str]
    type: str


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, dict[str, object]], tuple[Parameter, ...]]:
    data = tomllib.loads((shipped("phone_templates") / "yealink" / "parameters.toml").read_text())
    rows = [
        Parameter(_pattern(name), type_)
        for confidence in data["parameters"].values()
        for type_, names in confidence.items()
        for name in names
    ]
    return data["types"], tuple(rows)


def _pattern(name: str) -> re.Pattern[str]:
    parts = ["[1-9][0-9]*" if part == "N" else f"(?:{part})" for part in name.split(".")]
    if parts[0] == "(?:static)":
        parts[:2] = [rf"(?:static\.)?{parts[1]}"]
    return re.compile(r"\.".join(parts))


@cache
def parameter(name: str) -> Parameter | None:
    """The row of the table that a name belongs to."""
    return next((row for row in _table()[1] if row.pattern.fullmatch(name)), None)


def parameters() -> tuple[Parameter, ...]:
    return _table()[1]


def misfit(setting: Setting) -> str:
    """What is wrong with a setting by the table, or ""."""
    row = parameter(setting.name)
    if row is None:
        return f"{setting.name} is in no table"
    if setting.value in (NULL, "") and row.type not in ("flag", "user", "key"):
        return ""
    about = _table()[0][row.type]
    if "pattern" in about:
        fits = re.fullmatch(str(about["pattern"]), setting.value) is not None
    else:
        low, high = about["low"], about["high"]
        assert isinstance(low, int)
        assert isinstance(high, int)
        fits = bool(re.fullmatch(r"-?\d+", setting.value)) and low <= int(setting.value) <= high
    return "" if fits else f"{setting.name} = {setting.value!r} is no {row.type}"
