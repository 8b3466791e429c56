"""Accounts with telephone providers: list, add, change, remove, try out, and take over their numbers; pages and API."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, UnsetType

from provisioner.emergency import accounts
from provisioner.emergency.accounts import Imported
from provisioner.emergency.providers.wire import Account
from provisioner.emergency.registrar import ADAPTERS, connect, numbers_of
from provisioner.errors import ProvisionerError, UsageError
from provisioner.store.records import Provider, ProviderSecret
from provisioner.web import api, contract, jobs, shapes, staff, work
from provisioner.web.jobs import Progress, Work
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

pages = Blueprint("providers", __name__, url_prefix="/staff/providers")
pages.before_request(staff.guard)
calls = Blueprint("providers_api", __name__, url_prefix="/api/v1/providers")
calls.before_request(api.guard)

SHOWN = 200  # numbers of an account that are listed
FIELDS = ("api", "account", "user", "url", "password")
Api = Literal["twilio", "bandwidth", "bandwidth-dash", "telnyx", "core"]


class Kind(NamedTuple):
    """A provider's interface: its name, how its fields are called there ("": it has none), where they are found."""

    name: str
    account: str
    user: str
    password: str
    where: str


KINDS = {
    "twilio": Kind(
        "Twilio",
        N_("Account SID (AC…)"),
        N_("API key (SK…), or the account SID"),
        N_("Secret of the key, or the auth token"),
        N_("Console, Account, API keys & tokens. A standard key will do."),
    ),
    "bandwidth": Kind(
        "Bandwidth",
        N_("Account id"),
        N_("Client id"),
        N_("Client secret"),
        N_("Bandwidth App, Account, API Credentials: with the emergency role."),
    ),
    "bandwidth-dash": Kind(
        "Bandwidth 911 Access Dashboard",
        "",
        N_("User of the DASH API"),
        N_("Its password"),
        N_("DASH, Account. Bandwidth's support enables the API."),
    ),
    "telnyx": Kind("Telnyx", "", "", N_("API key v2 (KEY…)"), N_("Portal, API Keys.")),
    "core": Kind(N_("The stand-in core of the demo"), "", "", "", N_("It needs no account.")),
}


class Tried(NamedTuple):
    """What came of asking a provider: how many numbers it showed, or what is wrong."""

    numbers: int
    problem: str


def known(name: str) -> Provider:
    """The provider; aborts with 404."""
    found = sources().inventory.get(Provider, name)
    if found is None:
        abort(404, _("There is no such provider."))
    return found[0]


def keep(name: str, values: dict[str, str]) -> Provider:
    """Store a provider with what it is shown; an empty password stays as it was. Raises ProvisionerError."""
    kind = KINDS.get(values.get("api", ""))
    if kind is None:
        raise UsageError(_("Choose which provider it is"))
    stored = sources().inventory.get(ProviderSecret, name)
    if kind.password and not values["password"] and not (stored and stored[0].password):
        raise UsageError(_("Give the password, token or key"))
    for field in ("account", "user"):
        if getattr(kind, field) and not values[field]:
            raise UsageError(_("Fill in: {field}").format(field=_(getattr(kind, field))))
    account, url, user, password = (values[field].strip() for field in ("account", "url", "user", "password"))
    return accounts.add(sources().inventory, name, values["api"], account, url, user, password, who())


def tried(name: str) -> Tried:
    """Ask a provider for its numbers, as a test. Takes as long as the provider does, 15 s a request at most."""
    provider, secret = known(name), sources().inventory.get(ProviderSecret, name)
    try:
        found = numbers_of(connect(provider, secret[0] if secret else None, sources().state))
    except ProvisionerError as error:
        return Tried(0, str(error))
    return Tried(len(found), "")


def imported(name: str, location: str, dry_run: bool) -> list[Imported]:
    """Take over the numbers of an account, or only say which. Raises ProvisionerError."""
    known(name)
    inventory = sources().inventory
    found = accounts.import_numbers(inventory, sources().state, name, location, who(), dry_run)
    if not dry_run:
        sources().reload()
    return found


# pages


@pages.get("")
def show() -> Response:
    """All providers with their numbers."""
    return _list()


def _list(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    counts: dict[str, int] = {}
    for number in world.snapshot.numbers.values():
        counts[number.provider] = counts.get(number.provider, 0) + 1
    return staff.page(
        "providers.html",
        world,
        status,
        providers=sorted(world.snapshot.providers.values(), key=lambda held: held.id),
        counts=counts,
        kinds=KINDS,
        error=error,
    )


@pages.get("/new")
def new() -> Response:
    """The form for a new provider, once it is chosen which."""
    return _form("", {"api": request.args.get("api", "")})


@pages.get("/<name>")
def one(name: str) -> Response:
    """The form of one provider."""
    held, secret = known(name), sources().inventory.get(ProviderSecret, name)
    user = secret[0].user if secret else ""
    return _form(name, {"api": held.api, "account": held.account, "url": held.url, "user": user})


def _form(name: str, values: dict[str, str], status: int = 200, error: str = "") -> Response:
    return staff.page(
        "provider.html",
        sources().world(),
        status,
        name=name,
        values={"account": "", "user": "", "url": "", **values},
        kinds=KINDS,
        kind=KINDS.get(values["api"]),
        can=ADAPTERS[values["api"]](Account("", "", "")).abilities if values["api"] in ADAPTERS else None,
        error=error,
    )


@pages.post("/new")
def add() -> Response:
    """Store a new provider, then show whether it works."""
    name = request.form.get("api", "")
    taken = sources().snapshot().providers
    free = next((each for each in (name, *(f"{name}-{n}" for n in range(2, 50))) if each not in taken), name)
    return _posted("", free)


@pages.post("/<name>")
def change(name: str) -> Response:
    """Store a changed provider, then show whether it works."""
    known(name)
    return _posted(name, name)


def _posted(name: str, stored: str) -> Response:
    values = {field: request.form.get(field, "") for field in FIELDS}
    try:
        keep(stored, values)
    except ProvisionerError as error:
        values.pop("password")
        return _form(name, values, 400, str(error))
    return _looking(stored)


@pages.post("/<name>/look")
def look(name: str) -> Response:
    """Ask the provider for its numbers: whether it answers, and which of them are new here."""
    known(name)
    return _looking(name)


def _looking(name: str) -> Response:
    held, by = sources(), who()
    places = [(place.id, place.name) for place in held.snapshot().locations.values()]

    def do(progress: Progress) -> dict[str, Any]:
        progress(0, 0, N_("Asks the provider for its numbers"))
        result: dict[str, Any] = {
            "provider": name,
            "problem": "",
            "places": sorted(places, key=itemgetter(1)),
        }
        try:
            found = accounts.import_numbers(held.inventory, held.state, name, "", by, True)
        except ProvisionerError as error:
            return {**result, "problem": str(error)}
        shown = msgspec.to_builtins(found[:SHOWN])
        return {**result, "found": shown, "total": len(found), "fresh": _fresh(found)}

    return _begun("provider", do)


def _fresh(found: list[Imported]) -> int:
    return sum(row.what == "new" for row in found)


def _begun(kind: str, do: Work) -> Response:
    """Where a form leads that began `do`; the list when one of the kind is under way."""
    try:
        return work.begun(jobs.current().begin(kind, who(), do))
    except ProvisionerError as error:
        return _list(409, str(error))


@pages.post("/<name>/import")
def do_import(name: str) -> Response:
    """Take over the numbers of the account that are new here."""
    known(name)
    held, by, location = sources(), who(), request.form.get("location", "")

    def do(progress: Progress) -> dict[str, Any]:
        progress(0, 0, N_("Asks the provider for its numbers"))
        found = accounts.import_numbers(held.inventory, held.state, name, location, by, False)
        held.reload()
        return {"fresh": _fresh(found)}

    return _begun("numbers", do)


@pages.post("/<name>/remove")
def remove(name: str) -> Response:
    """Forget a provider that no number is with."""
    try:
        accounts.remove(sources().inventory, name, who())
    except ProvisionerError as error:
        return _list(409, str(error))
    return make_response(redirect(url_for("providers.show"), 303))


# API


class KeptProvider(contract.Body, frozen=True):
    """A provider; what is left out stays as it is. What the fields are called at each provider: docs/e911.md."""

    api: Api | UnsetType = UNSET
    account: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class ImportNumbers(contract.Body, frozen=True):
    """Where new numbers are (a location's id, or "" for nowhere), and whether it is only said what would be done."""

    location: str = ""
    dry_run: bool = False


class ShownProvider(shapes.Shape, frozen=True):
    """A provider; whether there is a password, never which. `abilities`: what its interface can."""

    id: str
    api: Api
    account: str
    url: str
    user: str
    has_password: bool
    abilities: dict[str, Any]


class ProviderTest(shapes.Shape, frozen=True):
    """What came of a test: how many numbers the account showed, or what is wrong."""

    good: bool
    numbers: int
    problem: str


def _told(name: str) -> ShownProvider:
    held, secret = known(name), sources().inventory.get(ProviderSecret, name)
    return ShownProvider(
        id=name,
        api=held.api,
        account=held.account,
        url=held.url,
        user=secret[0].user if secret else "",
        has_password=bool(secret and secret[0].password),
        abilities=ADAPTERS[held.api](Account("", "", "")).abilities._asdict(),
    )


@calls.get("")
@contract.call()
def api_list(query: contract.Paging) -> contract.Page[ShownProvider]:
    """All providers; passwords are never shown."""
    return contract.listed([_told(name) for name in sorted(sources().snapshot().providers)], query)


@calls.get("/<provider>")
@contract.call(record=Provider)
def api_one(provider: str) -> ShownProvider:
    """One provider."""
    return _told(provider)


@calls.put("/<provider>")
@contract.call(record=Provider, refuses="The provider was not kept")
def api_put(provider: str, body: KeptProvider) -> ShownProvider:
    """Make or change a provider."""
    held = sources().inventory.get(Provider, provider)
    secret = sources().inventory.get(ProviderSecret, provider)
    before = msgspec.structs.asdict(held[0]) if held else {}
    values = {name: str(before.get(name, "")) for name in ("api", "account", "url")}
    values |= {"user": secret[0].user if secret else "", "password": "", **contract.changes(body)}
    keep(provider, values)
    return _told(provider)


@calls.delete("/<provider>")
@contract.call(record=Provider, refuses="The provider was not removed")
def api_delete(provider: str) -> None:
    """Forget a provider that no number is with."""
    known(provider)
    accounts.remove(sources().inventory, provider, who())


@calls.post("/<provider>/test")
@contract.call()
def api_test(provider: str) -> ProviderTest:
    """Ask the provider for its numbers, to see whether it takes what it is shown."""
    found = tried(provider)
    return ProviderTest(good=not found.problem, numbers=found.numbers, problem=found.problem)


@calls.post("/<provider>/import")
@contract.call(refuses="Nothing was imported")
def api_import(provider: str, body: ImportNumbers = ImportNumbers()) -> list[Imported]:  # noqa: B008
    """Take over the numbers of the account; those that are known stay as they are."""
    return imported(provider, body.location, body.dry_run)
