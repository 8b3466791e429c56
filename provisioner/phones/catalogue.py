"""The makers and models: data in `phone_templates/<vendor>/`, a site's own win over what ships."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import msgspec

from provisioner import versions
from provisioner.errors import OperatorError
from provisioner.paths import shipped
from provisioner.phones import clock
from provisioner.phones.formats import FORMATS, NULL, Hole
from provisioner.phones.yealink_aes import Encryption


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model: its name as in docs, how many accounts and programmable keys it holds, and what its files are named.

    `agents`: its names in user agents where they differ from `name`. `modules`: the expansion modules that it takes,
    at most `module_count` of them. `capabilities`: words that templates and pages ask for (docs/phones.md).
    Of `keys`, the first `virtual_keys` are drawn on a display; of those the first `line_keys` are lines by themselves.
    `key_page`: so many of them are beside the display at once, where another turns the page; 0: all, or not known.
    """

    name: str
    accounts: int
    family: str = ""  # a name of Vendor.families
    keys: int = 0
    line_keys: int = 0
    virtual_keys: int = 0
    key_page: int = 0
    modules: tuple[str, ...] = ()
    module_count: int = 0
    agents: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    part: str = ""  # Polycom's part number, as in the names of its firmware
    common: str = ""  # the two or three digits of Yealink's y0000000000NN.cfg
    images: tuple[str, ...] = ()  # the firmware files that it asks for, where they are not named by `part`
    firmware: str = ""  # the table of firmware_rules/<vendor>.toml that it goes by; "": its family's


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of file: its template, and what it has of its own where that is not the family's or maker's.

    `format`: a name of provisioner.phones.formats.FORMATS; `encoding`: one of provisioner.phones.encodings.ENCODINGS.
    """

    template: str
    format: str = ""
    content_type: str = ""
    encoding: str = ""


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a family's files have of their own; what is left out is the maker's (fields of Vendor).

    `files` and `waiting` add kinds to the maker's, change them, or take them away ("").
    """

    title: str
    format: str = ""
    content_type: str = ""
    digit_map: str = ""
    files: dict[str, str | File] = {}
    waiting: dict[str, str | File] = {}
    firmware: str = ""


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An expansion module: how many keys it adds, and how many of them are seen at once (0: all, or not known)."""

    name: str
    keys: int
    key_page: int = 0


class Quirk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What some models do differently in a range of firmware: from `since` on, `before` excluded ("": no end).

    `effect`: a word that templates ask for with `quirk("…")`; `why`: a line for staff and docs.
    """

    effect: str
    why: str
    models: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    since: str = ""
    before: str = ""


class Vendor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One maker: how its files are written, which template each kind of file has, its models and time zones.

    `waiting`: the templates for phones that are not adopted. `shortest_poll_seconds`: the most often that
    such a phone can be made to ask again. `time_zones`: the maker's own names by IANA name
    (provisioner.phones.clock has the rules).
    """

    format: str  # a name of provisioner.phones.formats.FORMATS
    content_type: str
    digit_map: str  # a name of provisioner.phones.digit_map.DIALECTS
    shortest_poll_seconds: int
    files: dict[str, str | File]
    waiting: dict[str, str | File]
    models: tuple[Model, ...]
    families: dict[str, Family] = {}
    modules: tuple[Module, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    encryption: Encryption | None = None
    time_zones: dict[str, dict[str, str]] = {}


_READY = msgspec.json.Decoder(
    Vendor
)  # msgspec 0.22 crashes when two threads are the first to convert to a type


class Kit(NamedTuple):
    """What a model's files are made of: its family's word where it has one, else its maker's."""

    files: dict[str, File]
    waiting: dict[str, File]
    digit_map: str
    firmware: str  # the table of firmware_rules/<vendor>.toml


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


class Catalogue:
    """All makers by name; `folders` and `rules` (of firmware) are read in order, a later one's files win."""

    def __init__(self, folders: Iterable[Path] = (), rules: Iterable[Path] = ()) -> None:
        self.folders = [shipped("phone_templates"), *folders]
        self._rules = [shipped("firmware_rules"), *rules]
        names = sorted({file.parent.name for folder in self.folders for file in folder.glob("*/models.toml")})
        self.vendors = {name: self._load(name) for name in names}
        self._models = {
            (vendor, _key(name)): model
            for vendor, about in self.vendors.items()
            for model in about.models
            for name in (model.name, *model.agents)
        }
        self._environments = {
            (vendor, name): self._environment(vendor, name) for vendor in names for name in FORMATS
        }
        self._kits = {
            (vendor, name): _kit(about, about.families.get(name))
            for vendor, about in self.vendors.items()
            for name in ("", *about.families)
        }

    def _load(self, vendor: str) -> Vendor:
        tables = _table(self.find(vendor, "models.toml"))
        zones = self.find(vendor, "time_zones.toml")
        rules = next(
            (path for folder in reversed(self._rules) if (path := folder / f"{vendor}.toml").is_file()), None
        )
        quirks = [*tables.pop("quirks", ()), *(_table(rules).get("quirks", ()) if rules else ())]
        try:
            return msgspec.convert(
                {**tables, "quirks": quirks, "time_zones": _table(zones) if zones.is_file() else {}}, Vendor
            )
        except msgspec.ValidationError as error:
            raise OperatorError(f"{vendor}/models.toml: {error}", "mend it, or remove it") from None

    def _environment(self, vendor: str, name: str) -> jinja2.Environment:
        escape = FORMATS[name]
        environment = jinja2.Environment(  # noqa: S701 - finalize escapes every value for the maker's format
            loader=jinja2.FileSystemLoader([folder / vendor for folder in reversed(self.folders)]),
            undefined=jinja2.StrictUndefined,
            finalize=lambda value: value if isinstance(value, Hole) else escape(value),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.globals["NULL"] = NULL
        return environment

    def template(self, vendor: str, file: File) -> jinja2.Template:
        """A maker's template, compiled once."""
        return self._environments[vendor, file.format].get_template(file.template)

    def kit(self, vendor: str, model: Model | None) -> Kit:
        """What the files of this model are made of, or the maker's own for a model that is not known."""
        return self._kits[vendor, model.family if model else ""]

    def module_keys(self, vendor: str, name: str) -> int:
        """How many keys an expansion module has; 0 when it is not known."""
        return next((module.keys for module in self.vendors[vendor].modules if module.name == name), 0)

    def module(self, vendor: str, name: str) -> Module | None:
        """An expansion module, None when it is not known."""
        return next((module for module in self.vendors[vendor].modules if module.name == name), None)

    def effects(self, vendor: str, model: Model | None, version: str) -> frozenset[str]:
        """The effects of the quirks that such a phone has with this firmware.

        Without a version only those that hold for every firmware.
        """
        quirks = self.vendors[vendor].quirks if model else ()
        return frozenset(quirk.effect for quirk in quirks if model and _has(quirk, vendor, model, version))

    def find(self, vendor: str, name: str) -> Path:
        """The file `name` of a maker, the last folder's that has it."""
        return next(
            (path for folder in reversed(self.folders) if (path := folder / vendor / name).is_file()),
            self.folders[0] / vendor / name,
        )

    def model(self, vendor: str, name: str) -> Model | None:
        """The model however it is spelled (`VVX 411`, `vvx_411`), None when it is not known."""
        return self._models.get((vendor, _key(name)))

    def model_of_common_file(self, vendor: str, digits: str) -> Model | None:
        """The first model whose common file has this number, for a phone that sends no agent."""
        known = self.vendors.get(vendor)
        return (
            next((each for each in known.models if each.common and int(each.common) == int(digits)), None)
            if known
            else None
        )

    def time_zone(self, vendor: str, name: str, today: date) -> dict[str, str] | None:
        """The maker's words for the clock of an IANA time zone; None when it is to be left alone."""
        return clock.words(vendor, name, today, self.vendors[vendor].time_zones)

    def is_own(self, vendor: str, template: str) -> bool:
        """Whether a template (or another file of a maker's folder) is the site's, not what ships."""
        return self.find(vendor, template).parent.parent != self.folders[0]


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} cannot be read ({error})", "mend it, or remove it") from None


def _kit(about: Vendor, family: Family | None) -> Kit:
    """The maker's and a family's words together."""
    of_family = family or Family(title="")

    def files(maker: dict[str, str | File], own: dict[str, str | File]) -> dict[str, File]:
        rows = {
            kind: File(each) if isinstance(each, str) else each for kind, each in {**maker, **own}.items()
        }
        return {
            kind: msgspec.structs.replace(
                row,
                format=row.format or of_family.format or about.format,
                content_type=row.content_type or of_family.content_type or about.content_type,
            )
            for kind, row in rows.items()
            if row.template
        }

    return Kit(
        files(about.files, of_family.files),
        files(about.waiting, of_family.waiting),
        of_family.digit_map or about.digit_map,
        of_family.firmware,
    )


def _has(quirk: Quirk, vendor: str, model: Model, version: str) -> bool:
    named = not (quirk.models or quirk.families)
    if not (named or model.name in quirk.models or model.family in quirk.families):
        return False
    if not (quirk.since or quirk.before):
        return True
    return bool(version) and versions.within(vendor, version, quirk.since, quirk.before)
