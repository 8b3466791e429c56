"""The forms of answers that are made as plain rows elsewhere, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

from provisioner.web import views


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
