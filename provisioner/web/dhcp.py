"""What to tell the network's DHCP server, with this appliance's own addresses; page and API."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from provisioner.ipc import Json
from provisioner.phones import dhcp_help
from provisioner.web import api, contract, staff
from provisioner.web.phone import ask
from provisioner.web.session import sources
from provisioner.web.shapes import Shape
from provisioner.web.sources import World

pages = Blueprint("dhcp", __name__, url_prefix="/staff/dhcp")
pages.before_request(staff.guard)
calls = Blueprint("dhcp_api", __name__, url_prefix="/api/v1/dhcp")
calls.before_request(api.guard)


def _server() -> dhcp_help.Server:
    return dhcp_help.server(ask("status", {}), sources().snapshot())


def asked(world: World) -> dict[str, float]:
    """When a phone of each maker was last seen to ask, seconds since 1970; makers without one are left out."""
    found: dict[str, float] = {}
    for row in world.sightings:
        if row["vendor"]:
            found[row["vendor"]] = max(found.get(row["vendor"], 0.0), row["last_seen"])
    return found


@pages.get("")
def show() -> Response:
    """The options by maker, and the text for one kind of server."""
    kind, server, world = request.args.get("for", "dnsmasq"), _server(), sources().world()
    return staff.page(
        "dhcp.html",
        world,
        asked=asked(world),
        server=server,
        makers=dhcp_help.makers(server),
        kinds=dhcp_help.SERVERS,
        kind=kind,
        text=dhcp_help.text(kind, server),
    )


class Option(Shape, frozen=True):
    """A DHCP option."""

    code: int
    kind: str
    value: str
    why: str


class Maker(Shape, frozen=True):
    """What the phones of a maker are told, and how they say that they are one (option 60)."""

    vendor: str
    vendor_class: list[str]
    options: list[Option]


class Help(Shape, frozen=True):
    """Where phones find this appliance, and the `servers`' texts by kind of DHCP server."""

    url: str
    tftp: str
    makers: list[Maker]
    servers: dict[str, str]


@calls.get("")
@contract.call(answer=Help, refuses="There is no text")
def api_show() -> Json:
    """What the network's DHCP server is to tell phones: the options by maker, and the texts by kind of server."""
    return dhcp_help.told(_server())


@calls.get("/<kind>")
@contract.call(gives="text/plain", refuses="There is no text")
def api_text(kind: str) -> Response:
    """The text for one kind of server."""
    if kind not in dhcp_help.SERVERS:
        abort(404, f"There is no text for such a server: it is one of {', '.join(dhcp_help.SERVERS)}.")
    return Response(dhcp_help.text(kind, _server()), mimetype="text/plain")
