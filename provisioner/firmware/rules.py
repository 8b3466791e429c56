"""The schema of `firmware_rules/<vendor>.toml`, and how it is read; a site's own files win over what ships."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from provisioner import versions
from provisioner.errors import OperatorError
from provisioner.paths import shipped


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that is known to exist. `confidence`: high, medium or low, as the source is."""

    version: str
    note: str = ""
    confidence: Literal["high", "medium", "low"] = "medium"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stepping stone: from below `through`, a phone must run `through` before it takes `to` or later."""

    through: str
    to: str
    why: str
    models: tuple[str, ...] = ()  # of the family; none: all of it


class Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No way back: once it runs `since` or later, a phone takes nothing below `lowest`."""

    since: str
    lowest: str
    why: str
    models: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Versions that are not to be given out: from `since` on, `before` excluded ("": no end)."""

    why: str
    since: str = ""
    before: str = ""
    models: tuple[str, ...] = ()


class FamilyRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one firmware line knows; models name it with `firmware` in models.toml, or their family does.

    `last`: the line has ended with this version ("": it goes on). `hardware`: Yealink's first number of a
    version. `bootrom`: the oldest boot ROM that carries it.
    """

    title: str
    known: tuple[Version, ...] = ()
    last: str = ""
    hardware: str = ""
    bootrom: str = ""
    steps: tuple[Step, ...] = ()
    floors: tuple[Floor, ...] = ()
    held: tuple[Held, ...] = ()


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One maker's file. `quirks` are what templates decide by: provisioner.phones.catalogue.Quirk."""

    families: dict[str, FamilyRules]
    quirks: tuple[dict[str, str | list[str]], ...] = ()


def load(vendor: str, folders: Iterable[Path] = ()) -> Rules:
    """A maker's rules, of the last folder that has them. Raises OperatorError when they cannot be read."""
    found = [
        path
        for folder in (shipped("firmware_rules"), *folders)
        if (path := folder / f"{vendor}.toml").is_file()
    ]
    if not found:
        return Rules(families={})
    try:
        rules = msgspec.convert(tomllib.loads(found[-1].read_text("utf-8")), Rules)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise OperatorError(f"{found[-1]} cannot be used ({error})", "mend it, or remove it") from None
    for name, family in rules.families.items():
        _check(vendor, f"{found[-1]}, {name}", family)
    return rules


def _check(vendor: str, where: str, family: FamilyRules) -> None:
    texts = [
        *(each.version for each in family.known),
        *(text for step in family.steps for text in (step.through, step.to)),
        *(text for floor in family.floors for text in (floor.since, floor.lowest)),
        *(text for held in family.held for text in (held.since, held.before) if text),
        *(text for text in (family.last, family.bootrom) if text),
    ]
    for text in texts:
        if not versions.key(vendor, text)[0]:
            raise OperatorError(
                f"{where}: {text!r} is not a version", "write numbers with dots, as 5.9.7.4477"
            )


def newest(vendor: str, family: FamilyRules, model: str, running: str) -> str:
    """The newest known version that may be given to a `model` that runs `running`, "" when it has that or a later one.

    Versions that are held back for the model do not count, nor those of other hardware.
    """
    held = [each for each in family.held if not each.models or model in each.models]
    fit = [
        each.version
        for each in family.known
        if versions.same_image(vendor, each.version, running)
        and not any(versions.within(vendor, each.version, hold.since, hold.before) for hold in held)
    ]
    best = max(fit, key=lambda version: versions.key(vendor, version), default="")
    newer = best and versions.key(vendor, running)[0] and versions.within(vendor, running, "", best)
    return best if newer else ""
