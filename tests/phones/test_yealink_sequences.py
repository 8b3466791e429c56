"""What real Yealink phones asked for, in their order, and what each request is answered with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.phones.boot import file_asked
from provisioner.phones.render import Renderer
from provisioner.phones.trust import judge, judge_upload
from tests.phones.samples import ADDRESSES, snapshot

SEQUENCES = {
    path.stem: tomllib.loads(path.read_text()) for path in Path(__file__).parent.glob("sequences/yealink_*.toml")
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
    of = renderer(sequence)
    assert sequence["requests"]
    for asks in sequence["requests"]:
        path, agent = asks["path"], asks["agent"]
        asked = file_asked(path)
        assert asked is not None, path
        assert asked.kind == asks["kind"], path
        if asks["method"] in ("GET", "HEAD"):
            verdict = judge(of, path, agent)
        else:
            verdict = judge_upload(of, asks["method"], path, agent)
        assert verdict.status == asks["status"], (path, verdict.rule)
        assert bool(verdict.body) == (asks["status"] == 200), path
        if asked.kind == "common":
            assert b"secret" not in (verdict.body or b""), path
