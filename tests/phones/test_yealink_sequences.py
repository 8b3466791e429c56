"""What real Yealink phones asked for, in their order, and what each request is answered with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.phones.boot import file_asked
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust
from tests.phones.samples import ADDRESSES, snapshot

SEQUENCES = {
    path.stem: tomllib.loads(path.read_text())
    for path in Path(__file__).parent.glob("sequences/yealink_*.toml")
}


def renderer(sequence: dict[str, Any]) -> Renderer:
    mac = sequence["mac"]
    whole = snapshot()
    phone = msgspec.structs.replace(whole.phones["001565000102"], id=mac, model=sequence["model"])
    credential = msgspec.structs.replace(whole.credentials["001565000102"], id=mac)
    return Renderer(
        msgspec.structs.replace(whole, phones={mac: phone}, credentials={mac: credential}), ADDRESSES
    )


@pytest.mark.parametrize("name", sorted(SEQUENCES))
def test_each_request_of_a_boot_gets_its_answer(name: str) -> None:
    sequence = SEQUENCES[name]
    of, trust = renderer(sequence), Trust(lambda: 0.0, lambda: 0.0, bytes(32))
    assert sequence["requests"]
    for asks in sequence["requests"]:
        path, method = asks["path"], asks["method"]
        asked = file_asked(path)
        assert asked is not None, path
        assert asked.kind == asks["kind"], path
        asker = Asker(path, asks["agent"], "192.0.2.77", neighbour=sequence["mac"], method=method)
        decide = trust.judge if method in ("GET", "HEAD") else trust.judge_upload
        verdict = decide(of, asker)
        assert verdict.status == asks["status"], (path, verdict.rule)
        assert bool(verdict.body) == (asks["status"] == 200), path
        if asked.kind == "common":
            assert b"secret" not in (verdict.body or b""), path
