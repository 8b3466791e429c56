"""Certificates as a practice would have them, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Made = tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]


def made(
    name: str,
    issuer: Made | None = None,
    *,
    names: tuple[str, ...] = (),
    days: tuple[float, float] = (-1, 90),
    now: float = 1_790_000_000.0,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    use: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Made:
    """A certificate (an authority's without `names`) that is good for `days` around `now`, and its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin, end = (datetime.fromtimestamp(now, UTC) + timedelta(days=each) for each in days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternatives, critical=False)
        if use is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(*those: Made) -> bytes:
    """Their certificates."""
    return b"".join(each[0].public_bytes(serialization.Encoding.PEM) for each in those)


def key_pem(one: Made, password: bytes | None = None) -> bytes:
    """Its key."""
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return one[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
