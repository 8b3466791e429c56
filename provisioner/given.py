"""The practice's own certificate for the staff page: judged before it is kept, served by its names, until it ends."""

from __future__ import annotations

import functools
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioner.errors import Invalid, OperatorError
from provisioner.paths import write_atomically

FILE, ABOUT = "given.pem", "given.json"
LEAST_RSA = 2048  # bits; browsers refuse shorter ones
MAX_CHAIN = 10
_PEM = serialization.Encoding.PEM


class Given(NamedTuple):
    """What is known of it. `until`: seconds since 1970; `alone`: whoever signed it is not in the file."""

    names: tuple[str, ...]
    until: float
    issuer: str
    fingerprint: str
    alone: bool
    hsts: bool = False

    def names_host(self, host: str) -> bool:
        """Whether it is good for `host`; a star stands for one label (RFC 9525, section 6.3)."""
        wanted = host.lower().rstrip(".")
        parent = wanted.partition(".")[2]
        return any(each == wanted or (each.startswith("*.") and each[2:] == parent) for each in self.names)

    def good(self, now: float) -> bool:
        """Whether it has not ended."""
        return now < self.until


def judged(chain: bytes, key: bytes, now: float) -> tuple[Given, bytes]:
    """What `chain` and `key` (PEM) are, and the file that holds both, in order. Raises Invalid, field by field."""
    errors: dict[str, str] = {}
    certificates, private = _certificates(chain, errors), _key(key, errors)
    if errors or private is None:
        raise Invalid(errors)
    leaf = next((each for each in certificates if each.public_key() == private.public_key()), None)
    if leaf is None:
        raise Invalid(
            {"key": "The key does not belong to the certificate: take the one that was made with it."}
        )
    ordered = _ordered(leaf, certificates)
    _check_leaf(leaf, private, now, errors)
    if len(ordered) < len(certificates):
        errors["chain"] = "A certificate in the file has nothing to do with yours: leave it out."
    if errors:
        raise Invalid(errors)
    own = private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _told(ordered), own + b"".join(each.public_bytes(_PEM) for each in ordered)


def _certificates(chain: bytes, errors: dict[str, str]) -> list[x509.Certificate]:
    try:
        found = list(dict.fromkeys(x509.load_pem_x509_certificates(chain)))
    except ValueError:
        errors["chain"] = (
            "That is no certificate in PEM, which begins with BEGIN CERTIFICATE. Of a .pfx or .p12 file it is made by: "
            "openssl pkcs12 -in FILE -nokeys -out chain.pem"
        )
        return []
    if len(found) > MAX_CHAIN:
        errors["chain"] = "The file holds far more certificates than a chain has."
    return found


def _key(key: bytes, errors: dict[str, str]) -> PrivateKeyTypes | None:
    try:
        found = serialization.load_pem_private_key(key, None)
    except TypeError:
        errors["key"] = "The key has a password. Take it off first: openssl pkey -in FILE -out key.pem"
    except (ValueError, UnsupportedAlgorithm):
        errors["key"] = "That is no private key in PEM, which begins with BEGIN PRIVATE KEY."
    else:
        if isinstance(found, rsa.RSAPrivateKey) and found.key_size < LEAST_RSA:
            errors["key"] = (
                f"An RSA key of {found.key_size} bits is too short: browsers want {LEAST_RSA} or more."
            )
        elif not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            errors["key"] = "Browsers know RSA and ECDSA keys only."
        return found
    return None


def _ordered(leaf: x509.Certificate, certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    """The chain from the leaf up, in whatever order the file had it."""
    ordered, left = [leaf], [each for each in certificates if each != leaf]
    while left:
        issuer = next((each for each in left if _signed(ordered[-1], each)), None)
        if issuer is None:
            break
        ordered.append(issuer)
        left = [each for each in left if each != issuer]
    return ordered


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_leaf(leaf: x509.Certificate, key: PrivateKeyTypes, now: float, errors: dict[str, str]) -> None:
    if leaf.not_valid_after_utc.timestamp() <= now:
        errors["chain"] = f"The certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d}. Ask for a new one."
    elif leaf.not_valid_before_utc.timestamp() > now:
        errors["chain"] = (
            f"The certificate begins on {leaf.not_valid_before_utc:%Y-%m-%d} only. Is the clock right?"
        )
    elif not _names(leaf):
        errors["chain"] = (
            "The certificate names no host (no subject alternative name): browsers refuse such ones."
        )
    elif not _for_servers(leaf):
        errors["chain"] = (
            "The certificate is not for servers: ask for one with the use “TLS server authentication”."
        )


def _for_servers(leaf: x509.Certificate) -> bool:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in uses


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(name.lower() for name in held.get_values_for_type(x509.DNSName))


def _told(ordered: list[x509.Certificate]) -> Given:
    leaf = ordered[0]
    named = leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    issuer = str(named[0].value) if named else leaf.issuer.rfc4514_string()
    alone = len(ordered) == 1 and leaf.issuer != leaf.subject
    until, digest = leaf.not_valid_after_utc.timestamp(), leaf.fingerprint(hashes.SHA256()).hex(":")
    return Given(_names(leaf), until, issuer, digest, alone)


def keep(folder: Path, file: bytes, hsts: bool) -> None:
    """Let the front serve `file` (of `judged`) from its next reload on. Raises OperatorError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folder / ABOUT, msgspec.json.encode({"hsts": hsts}), 0o600)
        write_atomically(folder / FILE, file, 0o600)
    except OSError as error:
        raise OperatorError(f"it cannot be kept ({error.strerror})", "free space on the disk") from None


def drop(folder: Path) -> bool:
    """Serve the own certificate only; False when there was no other."""
    there = (folder / FILE).is_file()
    for name in (FILE, ABOUT):
        (folder / name).unlink(missing_ok=True)
    return there


def held(folder: Path) -> Given | None:
    """What is kept; None when there is none that can be read."""
    try:
        about = os.stat(folder / FILE)
    except OSError:
        return None
    return _held(folder, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=4)
def _held(folder: Path, _changed: int, _size: int) -> Given | None:
    try:
        certificates = x509.load_pem_x509_certificates((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    try:
        hsts = bool(msgspec.json.decode((folder / ABOUT).read_bytes())["hsts"])
    except (OSError, msgspec.MsgspecError, KeyError, TypeError):
        hsts = False
    return _told(certificates)._replace(hsts=hsts)


class Server:
    """Serves the certificate in `folder` to who asks for one of its names, by SNI (RFC 6066, section 3).

    Everybody else gets the appliance's own: phones, which know its authority only, ask by address.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._given: Given | None = None
        self._context: ssl.SSLContext | None = None
        self._seen: tuple[int, int] | None = None

    def load(self) -> None:
        """Read it again when it has changed; one that cannot be used is as none."""
        try:
            about = os.stat(self._folder / FILE)
            seen = about.st_mtime_ns, about.st_size
        except OSError:
            self._given = self._context = self._seen = None
            return
        if seen == self._seen:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._folder / FILE)
        except OSError:
            self._given = self._context = None
        else:
            self._given, self._context = held(self._folder), context
        self._seen = seen

    def choose(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Let a server's `context` choose; itself."""
        context.sni_callback = self._choose
        return context

    def _choose(self, wanted: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        given, context = self._given, self._context
        if (
            name
            and given
            and context
            and given.good(datetime.now(UTC).timestamp())
            and given.names_host(name)
        ):
            wanted.context = context
