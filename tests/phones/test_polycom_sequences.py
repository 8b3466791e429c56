"""What Polycom phones were seen to ask for, in their order: each request gets the right status and kind of file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.phones.boot import file_asked
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust, Verdict
from provisioner.store.records import Credential, Line, LineCredential, Phone
from tests.phones.samples import ADDRESSES, snapshot

SEQUENCES = sorted((Path(__file__).parent / "sequences").glob("polycom_*.toml"))


def adopted(sequence: dict[str, Any]) -> Renderer:
    mac = sequence["mac"]
    phone = Phone(id=mac, vendor="polycom", model=sequence["model"], lines=(Line(extension="101"),))
    secret = Credential(id=mac, lines=(LineCredential(auth_user=mac, password="s"),))
    whole = msgspec.structs.replace(snapshot(), phones={mac: phone}, credentials={mac: secret})
    return Renderer(whole, ADDRESSES, Catalogue())


def answer(trust: Trust, of: Renderer, request: dict[str, Any], mac: str) -> Verdict:
    asker = Asker(request["path"], request["agent"], "192.0.2.50", neighbour=mac, method=request["method"])
    return trust.judge_upload(of, asker) if request["method"] == "PUT" else trust.judge(of, asker)


@pytest.mark.parametrize("path", SEQUENCES, ids=lambda path: path.stem)
def test_each_request_of_a_sequence(path: Path) -> None:
    sequence = tomllib.loads(path.read_text())
    of = adopted(sequence)
    model = of.catalogue.model("polycom", sequence["model"])
    assert model
    trust = Trust(lambda: 1_700_000_000.0, lambda: 1000.0, bytes(32))
    for request in sequence["requests"]:
        found = answer(trust, of, request, sequence["mac"])
        asked = file_asked(request["path"])
        assert (asked and asked.kind, found.status) == (request["kind"], request["status"]), request["path"]
        assert of.catalogue.model("polycom", found.identity.model) is model


def test_there_are_sequences() -> None:
    assert {path.stem for path in SEQUENCES} >= {
        "polycom_vvx500",
        "polycom_soundpoint450",
        "polycom_soundpoint335",
        "polycom_ccx600",
        "polycom_ccx600_upgrade",
    }
