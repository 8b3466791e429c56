"""Pages and API by which phones are told to fetch their files, restart or forget all, and are retired."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.errors import ProvisionerError, UsageError
from provisioner.ipc import Json
from provisioner.phones import remote
from provisioner.phones.identity import normal_mac
from provisioner.phones.notify import Dialects
from provisioner.store.records import Phone, RetiredPhone
from provisioner.web import api, contract, shapes, staff, views
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.views import Level

JOBS = 50
SHOWN = 1000  # phones of a job on its page; those with trouble come first
MODE_WORDS = {"resync": N_("Fetch files"), "restart": N_("Restart"), "reset": N_("Factory reset")}
STATES: dict[str, tuple[str, Level]] = {
    "planned": (N_("Its turn comes"), "none"),
    "busy": (N_("Waits"), "warn"),
    "due": (N_("Next"), "none"),
    "sent": (N_("Told"), "busy"),
    "fetched": (N_("Has its files"), "busy"),
    "back": (N_("Back"), "good"),
    "lost": (N_("Did not come back"), "bad"),
    "refused": (N_("Refused"), "bad"),
    "away": (N_("Not reached"), "bad"),
    "by-hand": (N_("To do at the phone"), "warn"),
    "broken-off": (N_("Broken off"), "bad"),
}
UNDER_WAY = frozenset({"planned", "busy", "due", "sent", "fetched"})


pages = Blueprint("orders", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("orders_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class JobRow(NamedTuple):
    """One job in a list: its states with the number of phones in each."""

    job: str
    at: float
    who: str
    mode: str
    states: list[tuple[str, Level, int]]
    open: bool
    done: int
    total: int


def summary(row: dict[str, Any]) -> JobRow:
    """One row of `Journal.resync_jobs`, for people."""
    states = [(*STATES[name], row["states"][name]) for name in STATES if name in row["states"]]
    under_way = bool(UNDER_WAY & row["states"].keys())
    total = sum(row["states"].values())
    done = total - sum(row["states"].get(name, 0) for name in UNDER_WAY)
    mode = MODE_WORDS.get(row["mode"], row["mode"])
    return JobRow(row["job"], row["at"], row["who"], mode, states, under_way, done, total)


def _of_job(name: str) -> list[dict[str, Any]]:
    """Each phone of a job; 404 when there is none."""
    rows = sources().journal.resyncs(name)
    if not rows:
        abort(404, "There is no such job, or it was long ago.")
    return rows


def _macs(given: list[str]) -> list[str]:
    """MAC addresses in any spelling. Raises UsageError."""
    found = [normal_mac(mac) for mac in given]
    if None in found:
        raise UsageError("That is no MAC address: twelve hex digits, as on the phone's label")
    return [mac for mac in found if mac]


# pages


@pages.get("/jobs")
def jobs() -> Response:
    """The last jobs."""
    rows = [summary(row) for row in sources().journal.resync_jobs(JOBS)]
    return staff.page("jobs.html", sources().world(), jobs=rows)


@pages.get("/jobs/<name>")
def job(name: str) -> Response:
    """One job: what became of each phone."""
    rows, world = _of_job(name), sources().world()
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    found = summary({**rows[0], "states": counts})
    rows.sort(key=lambda row: STATES[row["state"]][1] not in ("bad", "warn"))
    return staff.page("job.html", world, job=found, rows=rows[:SHOWN], states=STATES, more=len(rows) - SHOWN)


@pages.post("/jobs")
def begin() -> Response:
    """Tell the phones that were ticked, or all."""
    mode, everybody = request.form.get("mode", ""), "all" in request.form
    try:
        macs = None if everybody else _macs(request.form.getlist("mac"))
        if macs == []:
            raise UsageError("Tick the phones first")
        begun = remote.tell(sources().state, sources().inventory, macs, mode, who())
    except ProvisionerError as problem:
        return staff.page("order_refused.html", sources().world(), 409, error=str(problem))
    return make_response(redirect(url_for("orders.job", name=begun["job"]), 303))


def _confirm(mac: str, template: str) -> Response:
    world = sources().world()
    row = views.phone(world, mac)
    if row is None or not row.adopted:
        abort(404, "No phone with this address is in the inventory.")
    order = Dialects([sources().state.root / "phone_templates"]).order(row.vendor, row.model, "reset")
    return staff.page(template, world, phone=row, order=order)


@pages.get("/phones/<mac>/reset")
def confirm_reset(mac: str) -> Response:
    """What a factory reset of this phone means, before it is done."""
    return _confirm(mac, "reset.html")


@pages.get("/phones/<mac>/retire")
def confirm_retire(mac: str) -> Response:
    """What retiring this phone means, before it is done."""
    return _confirm(mac, "retire.html")


@pages.post("/phones/<mac>/retire")
def retire(mac: str) -> Response:
    """Take the phone out of the practice."""
    try:
        remote.take_out(sources().state, sources().inventory, mac, who())
    except ProvisionerError as error:
        return staff.page("order_refused.html", sources().world(), 409, error=str(error))
    return make_response(redirect(url_for("orders.retired"), 303))


@pages.get("/retired")
def retired() -> Response:
    """The phones that were the practice's once."""
    world = sources().world()
    rows = sorted(world.snapshot.retired_phones.values(), key=lambda gone: -gone.at)
    return staff.page("retired.html", world, retired=rows)


# API


class Order(Body, frozen=True):
    """What phones are told. `macs`: MAC addresses in any spelling, or "all"."""

    macs: Annotated[list[Text], Meta(max_length=10_000)] | Literal["all"]
    mode: Literal["resync", "restart", "reset"] = "resync"


@calls.post("/phones/jobs")
@contract.call(status=202, answer=shapes.Begun, refuses="The phones were not told")
def api_begin(body: Order) -> Json:
    """Begin a job: tell phones to fetch their files, to restart, or to forget all."""
    chosen = None if body.macs == "all" else _macs(body.macs)
    if body.mode == "reset" and chosen is None:
        raise UsageError("Name the phones that are to forget all")
    return remote.tell(sources().state, sources().inventory, chosen, body.mode, who())


@calls.get("/phones/jobs")
@contract.call(answer=Page[shapes.Told])
def api_jobs(query: Paging) -> Page[Json]:
    """The last jobs, the newest first."""
    return contract.listed(sources().journal.resync_jobs(contract.MAX_PAGE), query)


@calls.get("/phones/jobs/<name>")
@contract.call(answer=Page[shapes.ToldPhone])
def api_job(name: str, query: Paging) -> Page[Json]:
    """Each phone of one job."""
    return contract.listed(_of_job(name), query)


@calls.post("/phones/<mac>/retire")
@contract.call(record=Phone, refuses="The phone was not retired")
def api_retire(mac: str) -> RetiredPhone:
    """Take a phone out of the practice."""
    return remote.take_out(sources().state, sources().inventory, mac, who())


@calls.get("/phones/retired")
@contract.call()
def api_retired(query: Paging) -> Page[RetiredPhone]:
    """The phones that were retired."""
    return contract.listed(list(sources().snapshot().retired_phones.values()), query)
