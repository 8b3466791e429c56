"""TLS towards a SIP domain: what a server's certificate must show (RFC 5922), and why one is refused."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from provisioner.errors import OperatorError, PeerError
from provisioner.sip.headers import Uri, numeric

ALARM_DAYS = 30


@dataclass(frozen=True)
class Policy:
    """How the servers of one domain are treated. `keep_alive`: seconds between pings, 0 for none (RFC 5626)."""

    context: ssl.SSLContext
    wildcards: bool = False
    keep_alive: float = 25.0


def client_context(authorities: str = "") -> ssl.SSLContext:
    """TLS 1.2 or later with the system's authorities, or only those in `authorities` (PEM).

    Names are checked by `refusal`: the rules of the web are not those of SIP. Raises OperatorError.
    """
    try:
        context = ssl.create_default_context(cadata=authorities or None)
    except (ssl.SSLError, ValueError):
        raise OperatorError(
            "the authorities of a trunk are no PEM certificates", "paste them anew, BEGIN and END lines too"
        ) from None
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def refusal(certificate: x509.Certificate, domain: str, wildcards: bool = False) -> str:
    """Why a server's certificate is not good for `domain`, "" when it is (RFC 5922 7.1 and 7.2)."""
    names = _names(certificate)
    wanted = domain.lower().rstrip(".")
    if any(_same(name, wanted, wildcards) for name in names):
        return ""
    return f"the certificate is for {', '.join(sorted(names)) or 'nobody'}, not for {domain}"


def _names(certificate: x509.Certificate) -> set[str]:
    """The SIP domains that a certificate speaks for: SAN URIs, else SAN names, CN only without any SAN."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {str(name.value).lower() for name in common}
    uris = {_domain(text) for text in found.get_values_for_type(x509.UniformResourceIdentifier)} - {""}
    addresses = {str(address) for address in found.get_values_for_type(x509.IPAddress)}
    return uris or {name.lower() for name in found.get_values_for_type(x509.DNSName)} | addresses


def _domain(text: str) -> str:
    """The domain of a `sip:` URI without a user; "" for all others (RFC 5922 7.1)."""
    try:
        uri = Uri.parse(text)
    except PeerError:
        return ""
    return uri.host.lower() if uri.scheme == "sip" and not uri.user else ""


def _same(name: str, wanted: str, wildcards: bool) -> bool:
    if numeric(wanted):
        return numeric(name) and ipaddress.ip_address(name) == ipaddress.ip_address(wanted)
    first, _, rest = wanted.partition(".")
    return name.rstrip(".") == wanted or (wildcards and bool(first) and "." in rest and name == f"*.{rest}")


def days_left(certificate: x509.Certificate, now: datetime) -> float:
    """Days until a certificate ends; negative when it has."""
    return (certificate.not_valid_after_utc - now).total_seconds() / 86_400


def words(error: BaseException) -> str:
    """A failed connection or handshake in one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        clock = " (or the clock of this machine is wrong)" if "not yet valid" in error.verify_message else ""
        return f"the certificate is refused: {error.verify_message}{clock}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or "broken off"  # not set by all that raise it
        return f"the TLS handshake failed: {reason.replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        code = error.errno or 0
        return (os.strerror(code) if code > 0 else error.strerror).lower()  # asyncio has its own
    return "the connection was broken off"
