"""Where each setting of a phone comes from, what files it gets, and what differs from what it fetched last."""

from __future__ import annotations

import difflib
from typing import Any

from provisioner.errors import OperatorError
from provisioner.phones import settings
from provisioner.phones.boot import Asked
from provisioner.phones.formats import FORMATS, HOLE
from provisioner.phones.identity import Identity
from provisioner.phones.render import Renderer
from provisioner.phones.served import digest
from provisioner.phones.vocabulary import SETTINGS
from provisioner.store.records import Phone

Row = dict[str, Any]
MAX_DIFFERENCES = 200  # lines of one file


def explain(renderer: Renderer, phone: Phone, served: list[Row]) -> Row:
    """All that is to be told of an adopted phone's settings and files, as JSON; secrets are masked.

    `served`: the journal's rows of the phone (`Journal.served`).
    """
    model = renderer.catalogue.model(phone.vendor, phone.model)
    asked = renderer.files(phone)
    version = asked[0][1].version if asked else ""
    like = renderer.like(phone.vendor, model, phone, version)
    return {
        "mac": phone.id,
        "vendor": phone.vendor,
        "model": phone.model,
        "firmware": version,
        "quirks": sorted(like.quirks),
        "settings": _settings(renderer, phone, served),
        "files": [_file(renderer, phone, *each, served) for each in asked],
        "warnings": [
            *renderer.layers.warnings,
            *([] if model else [f"there is no template for {phone.model}"]),
        ],
    }


def view(renderer: Renderer, phone: Phone, name: str) -> Row:
    """One file as the phone gets it, but with masks for its secrets: `text`, before any encoding or encryption.

    Raises OperatorError when the phone gets no file of that name.
    """
    for asked, who in renderer.files(phone):
        made = renderer.rendered(asked, who) if asked.name == name.lower() else None
        if made:
            text = made.skeleton.fill(settings.masked(made.own, made.accounts))
            return {"name": asked.name, "text": text, "encoding": made.skeleton.file.encoding}
    raise OperatorError(f"{phone.id} gets no file {name!r}", "name one as the list of its files shows it")


def _settings(renderer: Renderer, phone: Phone, served: list[Row]) -> list[Row]:
    """Each setting: its value, its layer, what it overrides; `fetched` where the phone has another value yet."""
    model = renderer.catalogue.model(phone.vendor, phone.model)
    resolved = renderer.resolved(phone.vendor, model, phone)
    own = [row for row in served if phone.id in row["name"]]
    newest = max(own, key=lambda row: float(row["at"]), default=None)
    last: Row = newest["settings"] if newest else {}
    rows = []
    for name in SETTINGS:
        *under, (layer, value) = resolved.origins(name)
        value = resolved.values[name]
        row: Row = {"name": name, "value": value, "layer": layer}
        row["overrides"] = [{"layer": each.layer, "value": each.value} for each in reversed(under)]
        plain = list(value) if isinstance(value, tuple) else value
        if name in last and last[name] != plain:
            row["fetched"] = last[name]
        rows.append(row)
    return rows


def _file(renderer: Renderer, phone: Phone, asked: Asked, who: Identity, served: list[Row]) -> Row:
    """One file: whether the phone has fetched it as it is now, and which lines differ."""
    made = renderer.rendered(asked, who)
    assert made
    file = made.skeleton.file
    last = next((row for row in served if row["name"] == asked.name), None)
    row: Row = {
        "name": asked.name,
        "kind": asked.kind,
        "bytes": len(made.data),
        "rule": "adopted" if asked.mac else "shared",
        "template": file.template,
        "own_template": renderer.catalogue.is_own(phone.vendor, file.template),
        "fetched_at": last["at"] if last else None,
        "differs": last is not None and last["digest"] != digest(made.data),
        "differences": [],
    }
    if last and row["differs"]:
        now = made.skeleton.fill(settings.masked(made.own, made.accounts))
        row["differences"] = _differences(filled(last), now) or ["(only a password has changed)"]
    return row


def filled(served: Row) -> str:
    """A file as it was served, with masks for its secrets."""
    escape = FORMATS[served["format"]]
    return HOLE.sub(lambda hole: escape(served["own"][int(hole[1])]), served["text"])


def _differences(before: str, now: str) -> list[str]:
    """The lines that differ, with - and + before them."""
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
    told = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    more = len(told) - MAX_DIFFERENCES
    return told if more <= 0 else [*told[:MAX_DIFFERENCES], f"(and {more} lines more)"]
