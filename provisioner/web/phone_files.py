"""One phone: its settings with their layers, its files as it gets them now and as it fetched them; page and API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from flask import Response, make_response, redirect, request, url_for

from provisioner.ipc import Json
from provisioner.phones import differences, editing
from provisioner.phones.catalogue import Model
from provisioner.phones.differences import Line
from provisioner.phones.explain import filled
from provisioner.phones.vocabulary import SETTINGS
from provisioner.web import contract, phone
from provisioner.web.contract import Page, Paging
from provisioner.web.phone import ask, calls, pages, record
from provisioner.web.session import sources, who
from provisioner.web.shapes import Explained, FileText, PhoneFile

VIEWS = ("", "changed", "own")  # all, what is not as built in, what is this phone's alone


class Image(NamedTuple):
    """A firmware file that a model asks for, and whether it is in its folder."""

    name: str
    there: bool


@pages.get("/settings")
def settings(mac: str) -> Response:
    """Every setting: its value, its layer, what it overrides, and what the phone still has."""
    told = ask("explain", {"mac": record(mac).id})
    query = request.args.get("q", "").strip().lower()
    rows = [row for row in told["settings"] if query in row["name"].replace("_", " ") or query in row["name"]]
    view = request.args.get("view", "changed" if "changed" in request.args else "")
    if view == "changed":
        rows = [row for row in rows if row["layer"] != "built-in" or "fetched" in row]
    if view == "own":
        rows = [row for row in rows if row["layer"].startswith("phone:")]
    helps = {name: setting.help for name, setting in SETTINGS.items()}
    return phone.page(
        "phone_settings.html",
        mac,
        told=told,
        rows=rows,
        query=query,
        view=view,
        helps=helps,
        saved=request.args.get("saved", ""),
    )


@pages.post("/settings/<name>/reset")
def reset_setting(mac: str, name: str) -> Response:
    """Take the phone's own value of a setting away: it has what it inherits."""
    editing.set_layer(sources().inventory, f"phone:{record(mac).id}", {name: None}, who())
    sources().reload()
    return make_response(redirect(url_for("phone.settings", mac=mac, saved=name, _anchor=name), 303))


@pages.get("/files")
def files(mac: str) -> Response:
    """The files that it would get, what differs from what it has, and the firmware that it asks for."""
    held = record(mac)
    told = ask("explain", {"mac": held.id})
    model = sources().catalogue().model(held.vendor, held.model)
    folder = sources().state.root / "firmware" / held.vendor
    images = list(_images(held.vendor, model))
    return phone.page("phone_files.html", mac, told=told, images=images, folder=folder)


def _images(vendor: str, model: Model | None) -> Iterator[Image]:
    folder = sources().state.root / "firmware" / vendor
    there = {path.name.lower() for path in folder.iterdir()} if folder.is_dir() else set()
    named = model.images if model else ()
    if model and model.part and not named:
        named = (f"{model.part}.sip.ld",)
    for name in named:
        yield Image(name, name.lower() in there)


class Difference(msgspec.Struct, kw_only=True, frozen=True):
    """What differs between what a phone fetched (`fetched_at`; null: never) and what it would get. `lines`: see Line.

    `secret`: nothing that may be shown differs, but a password does.
    """

    name: str
    fetched_at: float | None
    lines: list[Line]
    secret: bool = False


def difference(mac: str, name: str) -> Difference:
    """The difference of one file. Raises ProvisionerError when the phone gets no such file, or the front is away."""
    now = ask("view", {"mac": mac, "name": name})
    row = next((each for each in sources().journal.served(mac) if each["name"] == now["name"]), None)
    if row is None:
        return Difference(name=name, fetched_at=None, lines=[])
    lines = differences.compare(filled(row), now["text"])
    told = ask("files", {"mac": mac})["files"] if not lines else []
    secret = any(each["name"] == now["name"] and each["differs"] for each in told)
    return Difference(name=name, fetched_at=row["at"], lines=lines, secret=secret)


@pages.get("/files/<name>")
def file(mac: str, name: str) -> Response:
    """One file as the phone gets it, with masks for its secrets; or what differs from what it fetched last."""
    told = ask("view", {"mac": record(mac).id, "name": name})
    diff = difference(mac, name) if "difference" in request.args else None
    return phone.page("phone_file.html", mac, file=told, diff=diff)


# API


@calls.get("/settings")
@contract.call(answer=Explained, refuses="The settings are not known")
def api_settings(mac: str) -> Json:
    """Every setting: its value, the layer it comes from, what that overrides, and what the phone still has."""
    return ask("explain", {"mac": record(mac).id})


@calls.delete("/settings/<name>")
@contract.call(refuses="The setting was not changed")
def api_reset(mac: str, name: str) -> None:
    """Take the phone's own value of a setting away: it has what it inherits."""
    editing.set_layer(sources().inventory, f"phone:{record(mac).id}", {name: None}, who())
    sources().reload()


@calls.get("/files")
@contract.call(answer=Page[PhoneFile], refuses="The files are not known")
def api_files(mac: str, query: Paging) -> Page[Json]:
    """The files that it would be given, and what differs from what it fetched last."""
    return contract.listed(ask("files", {"mac": record(mac).id})["files"], query)


@calls.get("/files/<name>")
@contract.call(answer=FileText, refuses="The file cannot be shown")
def api_file(mac: str, name: str) -> Json:
    """One file, with masks for its secrets."""
    return ask("view", {"mac": record(mac).id, "name": name})


@calls.get("/files/<name>/difference")
@contract.call(refuses="The file cannot be shown")
def api_difference(mac: str, name: str) -> Difference:
    """What differs between what the phone fetched last and what it would get now, secrets masked."""
    return difference(record(mac).id, name)
