"""HTTPS of the staff page: the appliance's own certificate, or the practice's, judged before it is kept."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner import given
from provisioner.errors import Invalid, ProvisionerError
from provisioner.given import Given
from provisioner.web import api, authorities, contract, shapes, staff, uploads
from provisioner.web.contract import Body
from provisioner.web.language import gettext as _
from provisioner.web.session import sources, who

MAX_PEM = 256 << 10  # bytes
HSTS = "max-age=31536000"  # a year; of this host alone

pages = Blueprint("https", __name__, url_prefix="/staff/https")
calls = Blueprint("https_api", __name__, url_prefix="/api/v1/https")

uploads.limit(MAX_PEM, pages, calls)
pages.before_request(staff.guard)
calls.before_request(api.guard)


def kept() -> Given | None:
    """The practice's certificate."""
    return given.held(sources().state.root / "tls")


def keep(chain: bytes, key: bytes, hsts: bool) -> Given:
    """Judge and keep a certificate in the name of who asks. Raises ProvisionerError."""
    told, file = given.judged(chain, key, sources().now())
    _check_phones(told)
    given.keep(sources().state.root / "tls", file, hsts)
    names = ", ".join(told.names)
    about = {"names": names, "issuer": told.issuer, "fingerprint": told.fingerprint, "hsts": hsts}
    sources().inventory.note(who(), "certificate", told.names[0], about)
    sources().reload()
    return told._replace(hsts=hsts)


def _check_phones(told: Given) -> None:
    """Raises Invalid when phones come by one of the names: they know the appliance's own authority only."""
    layers = sources().snapshot().phone_settings.values()
    hosts = {
        str(layer.values.get(name, ""))
        for layer in layers
        for name in ("provisioning_host", "registrar_host")
    }
    used = sorted(host for host in hosts if host and told.names_host(host))
    if used:
        why = _(
            "Phones use the name {name}, and know the appliance's own authority only: give this page another name."
        )
        raise Invalid({"chain": why.format(name=used[0])})


def drop() -> None:
    """Serve the own certificate only. Aborts with 404 when there is no other."""
    if not given.drop(sources().state.root / "tls"):
        abort(404, _("There is no certificate of the practice here."))
    sources().inventory.note(who(), "certificate", "HTTPS", {"removed": True})
    sources().reload()


def header() -> str:
    """What Strict-Transport-Security says to this request; "" where browsers could be shut out by it."""
    if not request.is_secure:
        return ""
    held = kept()
    host = request.host.partition(":")[0]
    return HSTS if held and held.hsts and held.good(sources().now()) and held.names_host(host) else ""


# pages


@pages.get("")
def show() -> Response:
    """What browsers are shown, and the form for another."""
    return _page()


def _page(status: int = 200, errors: dict[str, str] | None = None, error: str = "") -> Response:
    return staff.page(
        "https.html",
        sources().world(),
        status,
        held=kept(),
        own=authorities.own_authority(),
        errors=errors or {},
        error=error,
        saved="saved" in request.args,
    )


@pages.post("")
def save() -> Response:
    """Keep the certificate and its key."""
    try:
        keep(_part("chain"), _part("key"), "hsts" in request.form)
    except Invalid as error:
        return _page(422, error.errors)
    except ProvisionerError as error:
        return _page(409, error=str(error))
    return make_response(redirect(url_for("https.show", saved=1), 303))


def _part(name: str) -> bytes:
    """What was uploaded as a file, or pasted."""
    file = request.files.get(name)
    return (file.read() if file else b"") or request.form.get(name, "").encode()


@pages.post("/remove")
def remove() -> Response:
    """Forget the certificate."""
    drop()
    return make_response(redirect(url_for("https.show"), 303))


# API


class NewCertificate(Body, frozen=True):
    """A certificate with its chain, and its key, both PEM. `hsts`: browsers are never to come by HTTP again."""

    chain: Annotated[str, Meta(max_length=MAX_PEM)]
    key: Annotated[str, Meta(max_length=MAX_PEM)]
    hsts: bool = False


class ShownCertificate(shapes.Shape, frozen=True):
    """The practice's certificate, never its key. `in_use`: for who asks for one of `names`; else it has ended."""

    names: list[str]
    until: float
    issuer: str
    fingerprint: str
    hsts: bool
    in_use: bool


def _shown(held: Given) -> ShownCertificate:
    return ShownCertificate(
        names=list(held.names),
        until=held.until,
        issuer=held.issuer,
        fingerprint=held.fingerprint,
        hsts=held.hsts,
        in_use=held.good(sources().now()),
    )


@calls.get("")
@contract.call()
def api_show() -> ShownCertificate | None:
    """The practice's certificate; null where browsers are shown the appliance's own."""
    held = kept()
    return _shown(held) if held else None


@calls.put("")
@contract.call(refuses="The certificate was not kept")
def api_put(body: NewCertificate) -> ShownCertificate:
    """Serve this certificate to browsers that ask for one of its names, from now on."""
    return _shown(keep(body.chain.encode(), body.key.encode(), body.hsts))


@calls.delete("")
@contract.call()
def api_remove() -> None:
    """Serve the appliance's own certificate only."""
    drop()
