"""The practice's own settings: a page of grouped fields, and the same by API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

import msgspec
from flask import Blueprint, Response, make_response, redirect, request, url_for

from provisioner.dialing.classify import SERVICES
from provisioner.errors import Invalid
from provisioner.phones import practice as rules
from provisioner.store.inventory import Conflict
from provisioner.store.records import Practice
from provisioner.web import api, contract, forms, staff, words
from provisioner.web.forms import Field, Group
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

pages = Blueprint("practice", __name__, url_prefix="/staff/practice")
pages.before_request(staff.guard)
calls = Blueprint("practice_api", __name__, url_prefix="/api/v1/practice")
calls.before_request(api.guard)

SERVICE_WORDS = {
    "211": N_("211: help in the community"),
    "311": N_("311: the city's offices"),
    "411": N_("411: directory assistance, often charged"),
    "511": N_("511: traffic"),
    "711": N_("711: relay for the deaf"),
    "811": N_("811: before digging"),
}
HANG_UP = {
    "complete": N_("Complete the transfer: caller and colleague are connected"),
    "recall": N_("Bring the caller back to the phone that hung up"),
}


def _field(name: str, label: str, help: str, **more: Any) -> Field:
    if span := rules.SPANS.get(name):
        more |= {"low": span.low, "high": span.high}
    return forms.field(Practice, name, label, help, **more)


GROUPS = (
    Group(
        N_("The practice"),
        (
            _field(
                "name", N_("Name"), N_("On these pages, and on the displays of phones with no name of their own."),
                basic=True, wide=True,
            ),
            _field(
                "main_number", N_("Main number"),
                N_("Shown to whom a phone calls that has no number of its own. It is one of the practice's numbers."),
                basic=True,
            ),
            _field(
                "time_zone", N_("Time zone"),
                N_("Of the phones' clocks, of the hours below, and of the times on these pages."),
                basic=True, hints=sorted(available_timezones()),
            ),
        ),
    ),
    Group(
        N_("Calls"),
        (
            _field(
                "on_hangup", N_("Who hangs up in the middle of a transfer"),
                N_("While talking with the colleague, before the key that completes it."),
                choices=HANG_UP, basic=True, wide=True,
            ),
            _field(
                "click_auto_answer", N_("Phones answer by themselves for click-to-call"),
                N_("Only phones whose setting “Auto answer” is on; the others ring."), basic=True,
            ),
            _field(
                "keep_calls_days", N_("Keep the call log for"),
                N_("Older calls are deleted each night. Emergency calls stay: they are evidence."),
                unit=N_("days"), basic=True,
            ),
            _field(
                "max_calls", N_("Calls at one time"),
                N_("When so many are on, further ones hear that the lines are busy. Emergency calls never do."),
                unit=N_("calls"),
            ),
        ),
    ),
    Group(
        N_("Outside calls"),
        (
            _field(
                "outbound_closed", N_("No outside calls between"),
                N_("As 22:00-06:00, for who wants to stop misuse at night; empty: at no time. Whoever calls then "
                   "hears that outside calls are closed at this hour. 911, 933 and 988 always go out."),
                basic=True,
            ),
            _field(
                "international_calls_per_day", N_("Calls to other countries"),
                N_("To Mexico, and to the countries with a 1 that are not the United States or Canada; 0: none. It is "
                   "what stolen telephone systems are made to pay for."),
                unit=N_("a day"), basic=True,
            ),
            _field(
                "services", N_("Service numbers that may be dialled"), N_("911 and 988 can always be dialled."),
                choices={code: SERVICE_WORDS[code] for code in sorted(SERVICES)}, wide=True,
            ),
            _field(
                "outbound_at_once", N_("Outside calls at one time"), N_("Of the whole practice."),
                unit=N_("calls"),
            ),
            _field(
                "outbound_per_line", N_("At one time from one extension"), N_("A person needs two."),
                unit=N_("calls"),
            ),
            _field(
                "outbound_per_hour", N_("From one extension within an hour"),
                N_("More than anybody dials by hand, or calls are refused."), unit=N_("calls"),
            ),
        ),
        N_("Limits against misuse. Emergency calls are never counted and never refused."),
    ),
    Group(
        N_("Network"),
        (
            _field(
                "phone_networks", N_("Networks that phones are in"),
                N_("As 192.168.1.0/24, with spaces between several. Phones elsewhere can neither register nor call. "
                   "Empty: all private networks."),
                wide=True,
            ),
            _field(
                "routers", N_("Routers that phones are behind"),
                N_("Hardware addresses or IP addresses. Needed only where phones are behind a router that this "
                   "appliance does not know: its own gateways it knows."),
                wide=True,
            ),
            _field(
                "keep_requests_days", N_("Keep the log of phones' requests for"),
                N_("What phones asked for and were told. A million of them at most."), unit=N_("days"),
            ),
            _field(
                "location_askers", N_("Networks that may ask where a phone is"),
                N_("For programs that ask for locations (HELD, RFC 6155); empty: nobody but the phone itself."),
                wide=True,
            ),
        ),
    ),
    Group(
        N_("Extensions"),
        (
            _field(
                "extension_quarantine_days", N_("A freed extension is not given again for"),
                N_("So that calls meant for who left do not reach somebody else."), unit=N_("days"),
            ),
        ),
    ),
)  # fmt: skip


def stored() -> tuple[Practice, int]:
    """The practice and its revision."""
    held = sources().inventory.get(Practice, "practice")
    return held or (sources().snapshot().practice, 0)


def change(values: Mapping[str, Any], revision: int | None) -> Practice:
    """Change it in the name of who asks, and tell the other processes. Raises ProvisionerError."""
    practice = rules.change(sources().inventory, values, who(), revision)
    sources().reload()
    return practice


def _groups(practice: Practice) -> list[Group]:
    """The groups; the main number is chosen among the practice's numbers where it has any."""
    numbers = sources().snapshot().numbers
    known = {each.id: f"{words.number(each.id)} · {each.label}" for each in numbers.values()}
    choices = {practice.main_number: words.number(practice.main_number), **known} if numbers else {}

    def chosen(field: Field) -> Field:
        main = field.name == "main_number" and choices
        return msgspec.structs.replace(field, kind="choice", choices=choices) if main else field

    return [group._replace(fields=tuple(map(chosen, group.fields))) for group in GROUPS]


@pages.get("")
def show() -> Response:
    """Every setting of the practice, the common ones first."""
    return _page()


def _page(
    status: int = 200,
    typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    conflict: bool = False,
) -> Response:
    practice, revision = stored()
    values = msgspec.structs.asdict(practice)
    return staff.page(
        "practice.html",
        sources().world(),
        status,
        groups=forms.shown(_groups(practice), values, typed, errors),
        practice=practice,
        revision=revision,
        errors=errors or {},
        conflict=conflict,
        saved="saved" in request.args,
    )


@pages.post("")
def save() -> Response:
    """Keep all fields of the form, or none."""
    typed = forms.read(GROUPS, request.form)
    revision = forms.whole(request.form.get("revision", ""))
    try:
        change(typed, revision)
    except Invalid as error:
        return _page(422, typed, error.errors)
    except Conflict:
        return _page(409, typed, conflict=True)
    return make_response(redirect(url_for("practice.show", saved=1), 303))


# API

Changes = msgspec.defstruct(
    "PracticeChanges",
    [
        (each.name, each.type | msgspec.UnsetType, msgspec.UNSET)
        for each in msgspec.structs.fields(Practice)
        if each.name not in rules.ELSEWHERE
    ],
    bases=(contract.Body,),
    frozen=True,
    kw_only=True,
)


@calls.get("")
@contract.call(record=Practice, name="practice")
def api_show() -> Practice:
    """The practice's settings."""
    return stored()[0]


@calls.patch("")
@contract.call(record=Practice, name="practice", refuses=N_("The settings were not changed"))
def api_change(body: Changes) -> Practice:  # type: ignore[valid-type]
    """Change the settings that the body names; the others stay."""
    return change(contract.changes(body), None)
