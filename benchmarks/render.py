"""CPU per file of a phone, and of all files of a large practice after a change: `python benchmarks/render.py`.

A new inventory means new skeletons: one rendering for each group of phones alike, then a join for each file.
Target: 10 µs a file by skeleton, and 0.1 s for one file of each of 10,000 phones.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODELS = (
    ("polycom", "VVX 411", "0004f2"),
    ("yealink", "T46S", "001565"),
    ("grandstream", "GXP2170", "000b82"),
)


def main() -> None:
    from provisioner.phones.catalogue import Catalogue
    from provisioner.phones.render import Renderer
    from provisioner.phones.settings import Addresses
    from provisioner.store.records import (
        Credential,
        Key,
        Line,
        LineCredential,
        Phone,
        PhoneSettings,
        Practice,
        Snapshot,
    )

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=0, help="Lamps on each phone.")
    given = parser.parse_args()
    macs = {f"{MODELS[n % 3][2]}{n:06x}": MODELS[n % 3][:2] for n in range(given.phones)}
    keys = tuple(Key(position=n, function="blf", value=str(100 + n)) for n in range(2, 2 + given.keys))
    snapshot = Snapshot(
        revision=1,
        practice=Practice(id="practice", name="Benchmark", main_number="+14155550100", extension_length=4),
        phones={
            mac: Phone(
                id=mac, vendor=vendor, model=model, lines=(Line(extension="1001", name=mac),), keys=keys
            )
            for mac, (vendor, model) in macs.items()
        },
        phone_settings={"site": PhoneSettings(id="site", values={"register_seconds": 300})},
        credentials={
            mac: Credential(id=mac, lines=(LineCredential(auth_user=mac, password="x" * 24),)) for mac in macs
        },
    )
    catalogue = Catalogue()
    Renderer(snapshot, Addresses("192.0.2.1", 5060, "192.0.2.1", 80), catalogue).warm()  # compiles templates
    began = time.process_time()
    of = Renderer(snapshot, Addresses("192.0.2.1", 5060, "192.0.2.1", 80), catalogue)
    ready = time.process_time()
    print(f"a new inventory: {(ready - began) * 1e3:.1f} ms before the first file")
    for vendor, model, _ in MODELS:
        phones = [phone for phone in snapshot.phones.values() if phone.vendor == vendor]
        for at, (sample, _) in enumerate(of.files(phones[0])):
            asked = [of.files(phone)[at] for phone in phones]
            began = time.process_time()
            sizes = [len(of.file(*each) or b"") for each in asked]
            spent = time.process_time() - began
            name = sample.name.replace(phones[0].id, "<mac>")
            print(
                f"{vendor} {model} {name}: {spent / len(phones) * 1e6:.1f} µs a file,"
                f" {spent / len(phones) * 10_000:.3f} s for 10,000 phones ({sizes[0]} bytes)"
            )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
