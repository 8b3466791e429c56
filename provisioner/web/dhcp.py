"""What to tell the network's DHCP server, with this appliance's own addresses; page and API."""

from __future__ import annotations

from flask import Blueprint, Response, request

from provisioner.phones import dhcp_help
from provisioner.web import api, staff
from provisioner.web.phone import ask
from provisioner.web.session import sources
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


@calls.get("")
@api.refusing("There is no text")
def api_show() -> Response:
    """The options by maker and the texts; `for` one kind of server only its text."""
    server, kind = _server(), request.args.get("for", "")
    return api.answer({"text": dhcp_help.text(kind, server)} if kind else dhcp_help.told(server))
