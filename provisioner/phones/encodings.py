"""What is done with a rendered file before it goes out: binary forms and encryption, by name."""

from __future__ import annotations

from collections.abc import Callable

from provisioner.phones import grandstream_encryption, yealink_aes
from provisioner.phones.grandstream_binary import of_xml
from provisioner.phones.settings import Device

# A rendered file and the phone that it is for (an empty one for a file that phones share) to what goes out.
# The same input gives the same bytes, always.
Encoding = Callable[[bytes, Device], bytes]

ENCODINGS: dict[str, Encoding] = {
    "grandstream-binary": lambda data, device: of_xml(data, device.mac),
}


def seal(data: bytes, key: str, about: yealink_aes.Encryption) -> bytes:
    """A file encrypted with the phone's own key, as its maker's phones read it (`[encryption]` in models.toml)."""
    program, _, digest = about.mode.partition("-")
    if program == "openssl":
        return grandstream_encryption.encrypt(data, key, digest)
    return yealink_aes.encrypt(data, key, about)
