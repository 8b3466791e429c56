"""What Grandstream phones asked for, in their order, and what each request is answered with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from provisioner.phones.boot import file_asked
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust
from tests.phones.samples import ADDRESSES, snapshot

MAC = "000b82000103"
SEQUENCES = {
    path.stem: tomllib.loads(path.read_text())
    for path in Path(__file__).parent.glob("sequences/grandstream_*.toml")
}


@pytest.mark.parametrize("name", sorted(SEQUENCES))
def test_each_request_of_a_boot_gets_its_answer(name: str) -> None:
    sequence = SEQUENCES[name]
    mac, whole = sequence["mac"], snapshot()
    phone = msgspec.structs.replace(whole.phones[MAC], id=mac, model=sequence["model"])
    credential = msgspec.structs.replace(whole.credentials[MAC], id=mac)
    adopted = sequence.get("adopted", True)
    of = Renderer(
        msgspec.structs.replace(
            whole, phones={mac: phone} if adopted else {}, credentials={mac: credential} if adopted else {}
        ),
        ADDRESSES,
    )
    trust = Trust(lambda: 1_700_000_000.0, lambda: 1000.0, bytes(32))
    for asks in sequence["requests"]:
        asked = file_asked(asks["path"])
        assert asked is not None, asks
        assert asked.kind == asks["kind"], asks
        asker = Asker(asks["path"], asks["agent"], "127.0.0.1", method=asks["method"], local=True)
        verdict = (
            trust.judge(of, asker) if asks["method"] in ("GET", "HEAD") else trust.judge_upload(of, asker)
        )
        assert verdict.status == asks["status"], (asks, verdict.rule)
        assert bool(verdict.body) == (asks["status"] == 200), asks
