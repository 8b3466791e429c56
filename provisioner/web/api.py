"""The JSON API, /api/v1: an API token or a staff session; errors are problem documents (RFC 9457)."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Blueprint, abort
from msgspec import Meta

from provisioner.store.records import Number, Phone
from provisioner.web import adoption, contract, findings, phone_list, roles, scopes, session, shapes, views
from provisioner.web.contract import Body, Page, Paging
from provisioner.web.session import sources, who

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


answer, problem = contract.answer, contract.problem


@blueprint.before_request
def guard() -> None:
    """Who shows no good token or session gets no further."""
    token = session.bearer()
    if token is not None:
        roles.check(token.role)
        scopes.check(token.scopes)
        return
    signed_in = session.current()
    if signed_in is None:
        abort(401, "Send an API token as 'Authorization: Bearer …', or sign in to the staff page.")
    session.check_csrf()
    roles.check(signed_in.role)


class Adopt(Body, frozen=True):
    """How to adopt a phone. `extension`: empty for the next free one of its place."""

    extension: Annotated[str, Meta(max_length=15)] = ""


class WantedPhones(Paging, frozen=True):
    """Which phones, in which order: as the list on the page."""

    q: Annotated[str, Meta(max_length=100, description="A MAC, extension, number, name, place or model.")] = (
        ""
    )
    status: Annotated[
        Literal["", "ready", "attention", "offline", "waiting", "in-call", "starting", "unknown", "ignored"],
        Meta(description="Only those; `ready` with those in a call, `attention`: what needs a person."),
    ] = ""
    model: Annotated[str, Meta(max_length=100, description="A maker, or MAKER/MODEL.")] = ""
    group: Annotated[str, Meta(max_length=100, description="The id of a group, or `none`.")] = ""
    location: Annotated[
        str, Meta(max_length=100, description="In this location or a part of it, or `none`.")
    ] = ""
    firmware: Annotated[
        Literal["", "behind", "known", "unknown"], Meta(description="`behind`: a newer version is known.")
    ] = ""
    sort: Annotated[
        str,
        Meta(pattern=f"^(-?({'|'.join(phone_list.SORTS)}))?$", description="With `-`: the other way round."),
    ] = ""

    def asked(self) -> phone_list.Asked:
        """What the address of the page would ask for."""
        return phone_list.Asked(**{name: getattr(self, name) for name in phone_list.FIELDS})


@blueprint.get("/phones")
@contract.call()
def phones(query: WantedPhones) -> Page[views.PhoneRow]:
    """All phones, waiting and adopted, but for those that are ignored."""
    world = sources().world()
    return contract.listed(phone_list.found(world, query.asked(), phone_list.all_rows(world)), query)


@blueprint.post("/phones/<mac>/adopt")
@contract.call(status=201, refuses="The phone was not adopted")
def adopt(mac: str, body: Adopt = Adopt()) -> Phone:  # noqa: B008 - it is frozen
    """Adopt a waiting phone."""
    return adoption.adopt(sources(), mac, who(), body.extension)


@blueprint.get("/status")
@contract.call()
def status() -> shapes.Status:
    """What runs, what is wrong, and the counts of the overview."""
    world = sources().world()
    rows = views.phones(world)
    edge = world.edge or {}
    return shapes.Status(
        revision=world.snapshot.revision,
        processes={name: name not in world.away for name in ("edge", "front")},
        trunks=edge.get("trunks", []),
        phones={name: sum(row.status == name for row in rows) for name in views.PHONE_STATUS},
        calls=len(views.live_calls(world)),
        counters=edge.get("counters", {}),
        findings=findings.findings(world, rows),
    )


@blueprint.get("/numbers")
@contract.call()
def numbers(query: Paging) -> Page[Number]:
    """The practice's numbers."""
    return contract.listed(list(sources().snapshot().numbers.values()), query)
