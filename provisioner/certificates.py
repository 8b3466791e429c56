"""A local certificate authority and the certificates of front and edge, made once in the state directory."""

from __future__ import annotations

import fcntl
import ipaddress
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioner.errors import OperatorError
from provisioner.paths import write_atomically

CA_DAYS = 3650
SERVER_DAYS = 820  # browsers refuse longer ones
_KEY_BITS = 2048  # RSA, because older phones know nothing else


def context(
    folder: Path, names: Iterable[str], now: datetime | None = None, file: str = "server.pem"
) -> ssl.SSLContext:
    """A server context with the certificate in `folder`; what is missing, outlived or lacks a name is made anew.

    `names`: host names and addresses that the certificate is to be good for; `file`: each server has its own.
    Several processes may call it at once. Raises OperatorError.
    """
    now = now or datetime.now(UTC)
    wanted = sorted({"localhost", "127.0.0.1", *names})
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder):
            _prepare(folder, file, wanted, now)
        result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        result.minimum_version = ssl.TLSVersion.TLSv1_2
        result.load_cert_chain(folder / file)
    except OSError as error:
        raise OperatorError(
            f"the certificates in {folder} cannot be used ({error.strerror or error})",
            "remove that directory: they will be made anew",
        ) from None
    return result


def authority(folder: Path) -> dict[str, bytes]:
    """The certificate of the authority in `folder`, without its key, as `pem` and as `der`. Raises OperatorError."""
    try:
        held = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    except (FileNotFoundError, ValueError):
        raise OperatorError(
            f"there is no certificate in {folder}", "remove that directory: it will be made anew"
        ) from None
    return {
        "pem": held.public_bytes(serialization.Encoding.PEM),
        "der": held.public_bytes(serialization.Encoding.DER),
    }


def makers(folder: Path) -> dict[str, list[x509.Certificate]]:
    """The authorities of phones' own certificates in `folder`/makers, by the maker that each file is named after."""
    found = {}
    for path in sorted((folder / "makers").glob("*.pem")):
        try:
            found[path.stem] = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError):
            found[path.stem] = []
    return found


def keep_maker(folder: Path, maker: str, pem: bytes) -> list[x509.Certificate]:
    """Make `pem` the authorities of a maker's phones; those that it holds. Raises OperatorError."""
    if b"PRIVATE KEY" in pem:
        raise OperatorError("there is a private key in that file", "take the authority's certificate alone")
    try:
        held = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise OperatorError(
            "that is no certificate in PEM",
            "convert it first: openssl x509 -inform der -in FILE -out FILE.pem",
        ) from None
    for certificate in held:
        if not _signs(certificate):
            name = certificate.subject.rfc4514_string()
            raise OperatorError(f"{name} is not an authority's certificate", "ask the maker for its root")
    place = folder / "makers"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in held)
        write_atomically(place / f"{maker}.pem", own)
    except OSError as error:
        raise OperatorError(f"it cannot be kept ({error.strerror})", "free space on the disk") from None
    return held


def _signs(certificate: x509.Certificate) -> bool:
    """Whether it may sign others; old roots do not say so, but are signed by themselves."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.issuer == certificate.subject
    except ValueError:
        return False


def drop_maker(folder: Path, maker: str) -> bool:
    """Forget the authorities of a maker's phones; False when there are none."""
    path = folder / "makers" / f"{maker}.pem"
    if not path.is_file():
        return False
    path.unlink()
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time, else two would make an authority each."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _prepare(folder: Path, file: str, wanted: list[str], now: datetime) -> None:
    ca = _pair(folder / "ca.pem")
    if ca is None or ca[1].not_valid_after_utc < now + timedelta(days=30):
        ca = _new_authority(now)
        _save(folder / "ca.pem", *ca)
    own = _pair(folder / file)
    if own is None or not _good(own[1], ca[1], wanted, now):
        own = _new_server(ca, wanted, now)
        _save(folder / file, *own, ca[1])


Pair = tuple[rsa.RSAPrivateKey, x509.Certificate]


def _pair(path: Path) -> Pair | None:
    """Key and certificate of a file that `_save` wrote; None when there are none."""
    try:
        data = path.read_bytes()
        # Whether its numbers are primes is 40 ms of work for each of our own keys at each start.
        key = serialization.load_pem_private_key(data, None, unsafe_skip_rsa_key_validation=True)
        certificate = x509.load_pem_x509_certificate(data)
    except (FileNotFoundError, ValueError):
        return None
    return (key, certificate) if isinstance(key, rsa.RSAPrivateKey) else None


def _save(path: Path, key: rsa.RSAPrivateKey, *certificates: x509.Certificate) -> None:
    own = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pems = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates]
    write_atomically(path, own + b"".join(pems), 0o600)


def _good(own: x509.Certificate, ca: x509.Certificate, names: list[str], now: datetime) -> bool:
    held = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        own.issuer == ca.subject
        and own.not_valid_after_utc > now + timedelta(days=30)
        and {_general(name) for name in names} <= set(held)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject: x509.Name, key: rsa.RSAPrivateKey, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # phones' clocks are wrong before their first NTP answer
        .not_valid_after(now + timedelta(days=days))
    )


def _new_authority(now: datetime) -> Pair:
    key = rsa.generate_private_key(65537, _KEY_BITS)
    # A name of its own each time, so that a browser that keeps an old one does not mix them up.
    name = f"Provisioner local CA {now:%Y-%m-%d %H:%M:%S}"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, key, now, CA_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return key, builder.sign(key, hashes.SHA256())


def _new_server(ca: Pair, names: list[str], now: datetime) -> Pair:
    ca_key, ca_certificate = ca
    key = rsa.generate_private_key(65537, _KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Provisioner")])
    builder = (
        _builder(subject, key, now, SERVER_DAYS)
        .issuer_name(ca_certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    return key, builder.sign(ca_key, hashes.SHA256())
