"""What is done with a rendered file before it goes out: binary forms and encryption, by name."""

from __future__ import annotations

from collections.abc import Callable

from provisioner.phones.settings import Device

# A rendered file and the phone that it is for (an empty one for a file that phones share) to what goes out.
# The same input gives the same bytes, always.
Encoding = Callable[[bytes, Device], bytes]

ENCODINGS: dict[str, Encoding] = {}
