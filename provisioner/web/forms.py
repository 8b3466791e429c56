"""Forms from tables: how a record's fields are called and typed, shown with their defaults, read back together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from werkzeug.datastructures import MultiDict

from provisioner.store.records import Record
from provisioner.web.language import gettext as _

Kind = Literal["text", "number", "switch", "choice", "list", "ticks"]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a record on a form. Texts are marked by `N_`.

    `choices`: values and their words, for what is chosen. `low`, `high`: of a number. `hints`: proposed values.
    `basic`: shown at once; the others behind "More".
    """

    name: str
    label: str
    help: str
    kind: Kind
    default: Any
    unit: str = ""
    choices: Mapping[str, str] = {}
    low: float | None = None
    high: float | None = None
    hints: Sequence[str] = ()
    basic: bool = False
    wide: bool = False


class Group(NamedTuple):
    """Fields that belong together."""

    title: str
    fields: tuple[Field, ...]
    about: str = ""


class Shown(NamedTuple):
    """A field with what stands in it. `now`: what is stored, where that is otherwise than what was typed."""

    field: Field
    text: str
    chosen: tuple[str, ...]
    modified: bool
    default: str
    error: str
    now: str


def kind_of(hint: Any, choices: Mapping[str, str]) -> Kind:
    """How a field of this type is typed."""
    if get_origin(hint) is tuple:
        return "ticks" if choices else "list"
    if get_origin(hint) is Literal or (hint is str and choices):
        return "choice"
    return {bool: "switch", int: "number", float: "number"}.get(hint, "text")  # type: ignore[return-value]


def field(record: type[Record], name: str, label: str, help: str, **more: Any) -> Field:
    """A field of `record`, its kind and default taken from there. Raises KeyError for one that it has not."""
    hint = get_type_hints(record)[name]
    choices = more.get("choices", {})
    if get_origin(hint) is Literal and set(get_args(hint)) != set(choices):
        raise KeyError(f"{name}: words for {sorted(set(get_args(hint)) ^ set(choices))}")
    default = next(each.default for each in msgspec.structs.fields(record) if each.name == name)
    known = None if default is msgspec.NODEFAULT else default
    return Field(name=name, label=label, help=help, kind=kind_of(hint, choices), default=known, **more)


def as_text(value: Any) -> str:
    """A value as it stands in its field."""
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def words(field: Field, value: Any) -> str:
    """A value for people."""
    if field.kind == "switch":
        return _("on") if value else _("off")
    if field.kind == "choice":
        return _(field.choices.get(str(value), str(value)))
    return as_text(value) or _("none")


def whole(text: str, digits: int = 15) -> int | None:
    """The whole number that stands in a field or an address; None for what is none, or has more digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None


def read(groups: Iterable[Group], form: MultiDict[str, str]) -> dict[str, Any]:
    """What was typed, by name, fit for whoever judges the record; what is no number stays text."""
    return {field.name: _typed(field, form) for group in groups for field in group.fields}


def _typed(field: Field, form: MultiDict[str, str]) -> Any:
    text = form.get(field.name, "").strip()
    if field.kind == "switch":
        return field.name in form
    if field.kind == "ticks":
        return form.getlist(field.name)
    if field.kind == "list":
        return [each for each in re.split(r"[\s,;]+", text) if each]
    if field.kind == "number" and re.fullmatch(r"-?\d{1,9}(\.\d{1,6})?", text):
        return float(text) if "." in text else int(text)
    return text


def shown(
    groups: Iterable[Group],
    stored: Mapping[str, Any],
    typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
) -> list[tuple[Group, list[Shown]]]:
    """The groups with what stands in each field: what was `typed`, else what is `stored`."""
    return [(group, [_shown(each, stored, typed, errors or {}) for each in group.fields]) for group in groups]


def _shown(
    field: Field, stored: Mapping[str, Any], typed: Mapping[str, Any] | None, errors: Mapping[str, str]
) -> Shown:
    held = stored[field.name]
    value = held if typed is None else typed.get(field.name, held)
    return Shown(
        field=field,
        text=as_text(value),
        chosen=tuple(value) if field.kind == "ticks" else (str(value),),
        modified=field.default is not None and held != field.default,
        default="" if field.default is None else words(field, field.default),
        error=_(errors[field.name]) if field.name in errors else "",
        now="" if as_text(value) == as_text(held) else words(field, held),
    )
