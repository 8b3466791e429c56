"""The forms of answers that are made as plain rows elsewhere, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from provisioner.phones import bulk
from provisioner.store.records import Notifying
from provisioner.web import contract, views


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all."""


class Request(Shape, frozen=True):
    """What a phone asked for. `rule`: that decided the answer, `why` in words; `mac`: null where it is not known."""

    id: int
    at: float
    mac: str | None
    address: str | None
    method: str | None
    path: str | None
    status: int | None
    bytes: int | None
    rule: str | None
    agent: str | None
    why: str


class RequestSent(Request, frozen=True):
    """A request with what was `sent`, secrets masked; `not_kept` says why that is not known. `remedy`: what to do."""

    remedy: str
    sent: str
    not_kept: str


class Sighting(Shape, frozen=True):
    """When a phone was seen, and what it said of itself."""

    mac: str
    vendor: str | None
    model: str | None
    agent: str | None
    address: str | None
    first_seen: float | None
    last_seen: float | None
    rule: str | None
    firmware: str | None


class Status(Shape, frozen=True):
    """What runs, what is wrong, and the counts of the overview. `trunks`: as the edge tells them."""

    revision: int
    processes: dict[str, bool]
    trunks: list[dict[str, Any]]
    phones: dict[str, int]
    calls: int
    counters: dict[str, int]
    findings: list[views.Finding]


class Override(Shape, frozen=True):
    """A value that a nearer layer overrides."""

    layer: str
    value: Any


class _Explained(Shape, frozen=True):
    name: str
    value: Any
    layer: str
    overrides: list[Override]
    fetched: Any = None


class PhoneFile(Shape, frozen=True):
    """A file that a phone would get. `differences`: lines with - and + since it fetched it, secrets masked."""

    name: str
    kind: str
    bytes: int
    rule: str
    template: str
    own_template: bool
    fetched_at: float | None
    differs: bool
    differences: list[str]


class Explained(Shape, frozen=True):
    """All settings of a phone with their layers; `fetched` only where the phone still has another value."""

    mac: str
    vendor: str
    model: str
    firmware: str
    quirks: list[str]
    warnings: list[str]
    settings: list[_Explained]
    files: list[PhoneFile]


class FileText(Shape, frozen=True):
    """A file as a phone gets it, before any encoding or encryption, with masks for its secrets."""

    name: str
    text: str
    encoding: str


class Told(Shape, frozen=True):
    """What phones were told in one job; `states`: how many are in each."""

    job: str
    at: float
    who: str
    mode: str
    states: dict[str, int]


class Begun(Told, frozen=True):
    """A job that was begun. `refused`: MACs that are left alone."""

    open: bool
    refused: list[str]


class ToldPhone(Shape, frozen=True):
    """One phone of a job; `body`: what was seen of it since then."""

    job: str
    mac: str
    at: float
    who: str
    mode: str
    wave: int
    state: str
    body: dict[str, Any]


class Imported(Shape, frozen=True):
    """What comes of a table; `good`: it can be imported, and would change something."""

    rows: list[bulk.Row]
    problems: list[str]
    notes: list[str]
    good: bool


class LayerValues(Shape, frozen=True):
    """What a layer sets. `phones`: that have it; `overridden`: how many get each setting from a narrower one."""

    layer: str
    values: dict[str, Any]
    phones: int
    overridden: dict[str, int]


class Work(Shape, frozen=True):
    """The appliance's own work. `total`: 0 while it is not known; `what` is being done, `error`: what went wrong."""

    id: str
    kind: str
    who: str
    at: float
    state: str
    done: int
    total: int
    what: str
    result: dict[str, Any]
    error: str
    ended: float
    stoppable: bool


class Notice(Shape, frozen=True):
    """Who was told of an emergency call, how, and whether that went well."""

    at: float
    channel: str
    target: str
    occasion: str
    state: str
    tries: int
    problem: str | None


class EmergencyCall(Shape, frozen=True):
    """A call to 911, 933 or 988 with its evidence; `routes` were asked one after the other."""

    id: str
    kind: str
    at: float
    mac: str | None
    extension: str | None
    number: str | None
    answered: float | None
    ended: float | None
    outcome: str | None
    notices: list[Notice]
    told: str
    not_told: str
    routes: list[dict[str, Any]] = []


class _Changed(Notifying, frozen=True, tag="notice_setting"):
    mail_password: str = ""
    webhook_key: str = ""


NOTICE_CHANGE = contract.partial(_Changed, "NoticeChange")


class NoticeSettings(Shape, frozen=True):
    """Whom emergency calls are told to (docs/emergency.md), and which secrets are set."""

    ring: bool
    tests: bool
    mail_host: str
    mail_port: int
    mail_security: Literal["starttls", "tls", "none"]
    mail_user: str
    mail_from: str
    mail_to: tuple[str, ...]
    webhooks: tuple[str, ...]
    test_days: float
    test_hours: str
    mail_password_set: bool
    webhook_key_set: bool
