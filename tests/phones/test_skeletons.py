"""A skeleton says byte for byte what its template says: every model of the catalogue, every file, hard phones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from provisioner.phones.boot import file_asked
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.digit_map import DIALECTS
from provisioner.phones.encodings import ENCODINGS
from provisioner.phones.formats import FORMATS
from provisioner.phones.identity import Identity
from provisioner.phones.names import NAMES, named
from provisioner.phones.render import Renderer
from provisioner.store.records import (
    Credential,
    Key,
    Line,
    LineCredential,
    Phone,
    PhoneGroup,
    PhoneSettings,
    Snapshot,
)
from tests.phones.samples import ADDRESSES, PRACTICE

CATALOGUE = Catalogue()
ALL = [
    pytest.param(vendor, model, id=f"{vendor}-{model.name}")
    for vendor, about in CATALOGUE.vendors.items()
    for model in about.models
]
NASTY = 'Anna & <Bob> "O\'Hara" é ✓ %NULL% {{ 7*7 }}\r\nx = 1\x00\x85\u2028\ue0001\ue001'
MACS = {"polycom": "0004f2000001", "yealink": "001565000001", "grandstream": "000b82000001"}


def phones(vendor: str, model: Model) -> Iterator[Snapshot]:
    """A bare phone, an ordinary one, one with all that it can have, and one whose every text is hostile."""
    modules = tuple(CATALOGUE.vendors[vendor].modules)
    names = tuple(each.name for each in modules if each.name in model.modules)[:1] * max(
        model.module_count, 0
    )
    room = model.keys + sum(CATALOGUE.module_keys(vendor, name) for name in names)
    every = tuple(
        Key(
            position=at,
            function=("blf", "speed_dial", "line")[at % 3],  # type: ignore[arg-type]
            value="1" if at % 3 == 2 else str(100 + at),
            label=f"Key {at}" if at % 2 else "",
        )
        for at in range(1, room + 1)
    )
    yield _snapshot(vendor, model, 0)
    yield _snapshot(vendor, model, 1, text="Room 5")
    yield _snapshot(vendor, model, model.accounts, text="Room 5", keys=every, modules=names, secret="s3cret")
    hard = tuple(
        msgspec.structs.replace(key, value=key.value if key.function == "line" else NASTY, label=NASTY)
        for key in every[:5]
    )
    yield _snapshot(vendor, model, min(model.accounts, 2), text=NASTY, keys=hard, secret=NASTY, other=True)


def _snapshot(
    vendor: str,
    model: Model,
    lines: int,
    *,
    text: str = "",
    keys: tuple[Key, ...] = (),
    modules: tuple[str, ...] = (),
    secret: str = "",
    other: bool = False,
) -> Snapshot:
    mac = MACS.get(vendor, "020000000001")
    phone = Phone(
        id=mac,
        vendor=vendor,
        model=model.name,
        lines=tuple(Line(extension=f"{101 + at}", name=text) for at in range(lines)),
        group="desk",
        keys=keys,
        modules=modules,
    )
    credential = Credential(
        id=mac,
        lines=tuple(LineCredential(auth_user=text or mac, password=f"{text}{at}") for at in range(lines)),
        admin_password=text or "admin",
        http_user=secret and mac,
        http_password=secret,
        path_secret=secret,
    )
    layers = {"group:desk": OTHER} if other else {}
    return Snapshot(
        revision=1,
        practice=PRACTICE,
        phones={mac: phone},
        phone_groups={"desk": PhoneGroup(id="desk", name="Desk")},
        phone_settings={name: PhoneSettings(id=name, values=values) for name, values in layers.items()},
        credentials={mac: credential},
    )


OTHER: dict[str, str | int | bool | list[str] | dict[str, str]] = {
    "transport": "tls",
    "srtp": "required",
    "codecs": ["G722", "Opus", "G729", "PCMA", "PCMU"],
    "dtmf": "info",
    "registrar_2_host": "192.0.2.11",
    "time_zone": "America/Phoenix",
    "call_history": True,
    "phone_do_not_disturb": True,
    "vlan_id": 20,
    "pc_vlan_id": 30,
    "syslog_host": "192.0.2.9",
    "voicemail_number": "*97",
    "firmware_server": "http://192.0.2.5/firmware",
    "provisioning_scheme": "https",
    "ring_tones": {"urgent": "emergency", "quiet": "silent"},
    "language": "fr",
    "directory": False,
    "auto_answer": True,
    "vendor_clouds": True,
}


@pytest.mark.parametrize(("vendor", "model"), ALL)
def test_every_file_of_every_model(vendor: str, model: Model) -> None:
    kit = CATALOGUE.kit(vendor, model)
    assert kit.files
    for snapshot in phones(vendor, model):
        of = Renderer(snapshot, ADDRESSES, CATALOGUE)
        (phone,) = snapshot.phones.values()
        device = of.device(phone)
        made = 0
        for asked, who in of.files(phone):
            row = kit.files[asked.kind]
            own = asked.mac or not NAMES[vendor, asked.kind]
            plain_phone, plain_device = (phone, device) if own else (None, type(device)())
            like = of.like(vendor, model, plain_phone, "")
            expected = of.plain(like, row, plain_device)
            for _ in range(2):  # the first makes the skeleton, the second uses it
                found = of.rendered(asked, who)
                assert found
                assert found.data == expected
            made += 1
        assert made == len(kit.files)


@pytest.mark.parametrize(("vendor", "model"), ALL)
def test_names_and_rows_that_there_are(vendor: str, model: Model) -> None:
    kit = CATALOGUE.kit(vendor, model)
    assert kit.digit_map in DIALECTS
    for kind, row in {**kit.files, **kit.waiting}.items():
        assert row.format in FORMATS
        assert row.encoding == "" or row.encoding in ENCODINGS
        asked = named(vendor, kind, MACS[vendor], model)
        assert asked, f"{kind} has no name in provisioner/phones/names.py"
        read = file_asked(f"/{asked.name}")
        assert read
        assert read.kind == kind
        assert read.mac == asked.mac
    about = CATALOGUE.vendors[vendor]
    assert model.family in ("", *about.families)
    assert set(model.modules) <= {module.name for module in about.modules}


def test_firmware_decides_by_quirks(tmp_path: Path) -> None:
    """A phone's own version decides, the updater's does not, and without one only what holds for all."""
    (tmp_path / "yealink.toml").write_text(
        '[[quirks]]\neffect = "old"\nwhy = "?"\nbefore = "86.0.0"\nmodels = ["T46S"]\n'
        '[[quirks]]\neffect = "other"\nwhy = "?"\nmodels = ["T99"]\n'
        '[[quirks]]\neffect = "always"\nwhy = "?"\n'
    )
    (tmp_path / "yealink").mkdir()
    template = '{{ quirk("old") | int }}{{ quirk("other") | int }}{{ quirk("always") | int }}'
    catalogue = Catalogue(rules=[tmp_path])
    file = catalogue.kit("yealink", catalogue.model("yealink", "T46S")).files["phone"].template
    (tmp_path / "yealink" / file).write_text(template)
    catalogue = Catalogue([tmp_path], [tmp_path])
    model = catalogue.model("yealink", "T46S")
    assert model
    mac = MACS["yealink"]
    versions = {mac: "66.85.0.5"}
    of = Renderer(_snapshot("yealink", model, 1), ADDRESSES, catalogue, versions)
    asked = file_asked(f"/{mac}.cfg")
    assert asked

    def said(version: str, stage: str = "") -> bytes | None:
        return of.file(asked, Identity("yealink", "T46S", version, mac, stage, "phone"))

    assert said("66.85.0.5") == b"101"
    assert said("66.86.0.15") == b"001"
    assert said("") == b"101"  # as it was last seen
    assert said("66.86.0.15", "Updater") == b"101"
    versions.clear()
    assert said("") == b"001"
