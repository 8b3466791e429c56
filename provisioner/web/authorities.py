"""The appliance's own authority, those of the phones' makers, and the folders of firmware; pages and API."""

from __future__ import annotations

from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner import certificates
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.phones.boot import VENDORS
from provisioner.web import api, contract, staff, uploads
from provisioner.web.session import sources
from provisioner.web.shapes import Shape

MAX_PEM = 256 << 10  # bytes
MAX_IMAGES = 200  # of a maker, on the page
TYPES = {"pem": "application/x-pem-file", "der": "application/pkix-cert"}

pages = Blueprint("authorities", __name__, url_prefix="/staff/certificates")
calls = Blueprint("authorities_api", __name__, url_prefix="/api/v1/certificates")

uploads.limit(MAX_PEM, pages, calls)
pages.before_request(staff.guard)
calls.before_request(api.guard)


class Certificate(NamedTuple):
    """One certificate in words; `until`: seconds since 1970."""

    subject: str
    until: float
    fingerprint: str


def _told(certificate: x509.Certificate) -> Certificate:
    digest = certificate.fingerprint(hashes.SHA256()).hex(":")
    until = certificate.not_valid_after_utc.timestamp()
    return Certificate(certificate.subject.rfc4514_string(), until, digest)


def own_authority() -> Certificate | None:
    """The appliance's own authority; None before its first start."""
    try:
        pem = certificates.authority(sources().state.root / "tls")["pem"]
    except OperatorError:
        return None
    return _told(x509.load_pem_x509_certificate(pem))


def _makers() -> dict[str, list[Certificate]]:
    held = certificates.makers(sources().state.root / "tls")
    return {maker: [_told(each) for each in held.get(maker, [])] for maker in VENDORS}


def _firmware() -> dict[str, list[tuple[str, int]]]:
    """The images that are there, with their sizes, by maker."""
    folder = sources().state.root / "firmware"
    return {
        maker: sorted(
            (path.name, path.stat().st_size) for path in (folder / maker).glob("*") if path.is_file()
        )
        for maker in VENDORS
    }


@pages.get("")
def show() -> Response:
    """All of it."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    return staff.page(
        "certificates.html",
        sources().world(),
        status,
        own=own_authority(),
        makers=_makers(),
        firmware=_firmware(),
        most=MAX_IMAGES,
        folder=sources().state.root / "firmware",
        error=error,
        saved="saved" in request.args,
    )


def _keep(maker: str, pem: bytes) -> list[x509.Certificate]:
    if maker not in VENDORS:
        abort(404, "There is no such maker.")
    held = certificates.keep_maker(sources().state.root / "tls", maker, pem)
    sources().reload()
    return held


@pages.post("")
def upload() -> Response:
    """Keep the authorities of a maker."""
    file = request.files.get("pem")
    try:
        _keep(request.form.get("maker", ""), file.read() if file else b"")
    except ProvisionerError as error:
        return _page(409, str(error))
    return make_response(redirect(url_for("authorities.show", saved=1), 303))


@pages.post("/<maker>/remove")
def remove(maker: str) -> Response:
    """Forget the authorities of a maker."""
    _drop(maker)
    return make_response(redirect(url_for("authorities.show"), 303))


def _drop(maker: str) -> None:
    if not certificates.drop_maker(sources().state.root / "tls", maker if maker in VENDORS else ""):
        abort(404, "There is no authority of this maker here.")
    sources().reload()


@pages.get("/ca.<form>")
@calls.get("/ca.<form>")
@contract.call(gives="application/x-pem-file")
def own(form: str) -> Response:
    """The appliance's own authority, to be installed in phones and browsers: `ca.pem`, `ca.der`."""
    if form not in TYPES:
        abort(404, "It comes as ca.pem and ca.der.")
    response = make_response(certificates.authority(sources().state.root / "tls")[form])
    response.mimetype = TYPES[form]
    response.headers["Content-Disposition"] = f'attachment; filename="provisioner-ca.{form}"'
    return response


# API


class Held(Shape, frozen=True):
    """A certificate in words; `until`: seconds since 1970."""

    subject: str
    until: float
    fingerprint: str


class Authorities(Shape, frozen=True):
    """The appliance's own authority, the makers', the legacy port (null: not known), the firmware that is there."""

    authority: Held | None
    makers: dict[str, list[Held]]
    legacy_https: str | None
    firmware: dict[str, list[str]]


def _held(certificate: Certificate) -> Held:
    return Held(**certificate._asdict())


@calls.get("")
@contract.call()
def api_show() -> Authorities:
    """The certificate authorities that are here, and the firmware images."""
    front, _ = sources().ask("front", "status")
    own = own_authority()
    return Authorities(
        authority=_held(own) if own else None,
        makers={maker: [_held(each) for each in held] for maker, held in _makers().items()},
        legacy_https=front.get("legacy_https") if front else None,
        firmware={maker: [name for name, _ in images] for maker, images in _firmware().items()},
    )


@calls.put("/makers/<maker>")
@contract.call(takes="application/x-pem-file", refuses="The certificate was not kept")
def api_upload(maker: str) -> list[Held]:
    """Keep the PEM in the body as the authorities of a maker."""
    return [_held(_told(each)) for each in _keep(maker, request.get_data())]


@calls.delete("/makers/<maker>")
@contract.call()
def api_remove(maker: str) -> None:
    """Forget the authorities of a maker."""
    _drop(maker)
