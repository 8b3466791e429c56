"""Fleets: which phones, what is told of them, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import msgspec
import pytest

from provisioner.errors import OperatorError, UsageError
from provisioner.simulate import fleet
from provisioner.simulate.fleet import MOST_LINES, Report, listed, main, roster, summary
from provisioner.simulate.vendors import MAKERS, phone_types
from tests.simulate.fixtures import (
    GRANDSTREAM,
    GRANDSTREAM_FILES,
    POLYCOM,
    POLYCOM_FILES,
    YEALINK,
    YEALINK_FILES,
)
from tests.simulate.server import serving

FILES = POLYCOM_FILES | YEALINK_FILES | GRANDSTREAM_FILES
TABLE = f"""mac,vendor,model,name
{POLYCOM},polycom,VVX 411,Front desk
00:15:65:00:01:02,Yealink,T46S,Nurses
{GRANDSTREAM},grandstream,gxp2170,
"""


def test_a_roster_has_every_family_before_any_twice() -> None:
    kinds = phone_types()
    every = {id(kind.family) for kind in kinds}
    members = roster(len(every))
    assert {id(kind.family) for kind, _ in members} == every
    assert len({mac for _, mac in roster(1000)}) == 1000


def test_a_roster_by_shares() -> None:
    names = [kind.name for kind, _ in roster(8, "polycom/VVX 411=3,yealink/t,grandstream/GXP2170")]
    assert names.count("VVX 411") == 6
    assert names.count("GXP2170") == 1
    assert [mac for _, mac in roster(2, "yealink")] == ["805ec0f00001", "805ec0f00002"]


@pytest.mark.parametrize("mix", ["acme", "yealink/T999", "yealink=0", "yealink=x", "=3"])
def test_shares_that_cannot_be(mix: str) -> None:
    with pytest.raises(UsageError):
        roster(3, mix)


def test_phones_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "phones.csv").write_text("\ufeff" + TABLE)
    assert [(kind.maker.name, kind.name, mac) for kind, mac in listed(tmp_path / "phones.csv")] == [
        ("polycom", "VVX 411", POLYCOM),
        ("yealink", "T46S", YEALINK),
        ("grandstream", "GXP2170", GRANDSTREAM),
    ]
    (tmp_path / "phones.csv").write_bytes(
        b"MAC;Model;Name\r\n00-04-F2-00-01-01;Polycom VVX 411;Front desk\r\n"
    )
    assert [(kind.name, mac) for kind, mac in listed(tmp_path / "phones.csv")] == [("VVX 411", POLYCOM)]
    (tmp_path / "phones.csv").write_text("mac,vendor,model\n12,yealink,T46S\n")
    with pytest.raises(UsageError, match="line 2 has no MAC"):
        listed(tmp_path / "phones.csv")
    (tmp_path / "phones.csv").write_text(f"mac,vendor,model\n{POLYCOM},polycom,T999\n")
    with pytest.raises(UsageError, match="line 2: 'T999' is no model"):
        listed(tmp_path / "phones.csv")
    (tmp_path / "phones.csv").write_text("name\nFront desk\n")
    with pytest.raises(UsageError, match="No column is named MAC"):
        listed(tmp_path / "phones.csv")
    with pytest.raises(OperatorError, match=r"nothing\.csv cannot be read"):
        listed(tmp_path / "nothing.csv")


def run(
    tmp_path: Path, served: dict[str, bytes], capsys: pytest.CaptureFixture[str], **how: object
) -> tuple[int, str]:
    table = tmp_path / "phones.csv"
    table.write_text(TABLE)
    with serving(served) as server:
        code = main(server.url, phones=table, register=False, rng=Random(1), **how)  # type: ignore[arg-type]
    return code, capsys.readouterr().out


def test_each_phone_is_told_of_and_then_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(tmp_path, FILES, capsys, as_json=True)
    *rows, last = [json.loads(line) for line in out.splitlines()]
    polycom = next(row for row in rows if row["mac"] == POLYCOM)
    assert code == 0
    assert {row["state"] for row in rows} == {"configured"}
    assert (polycom["needless"], polycom["faults"], polycom["error"]) == (0, [], "")
    assert polycom["restarts"] == [{"why": "changed device.prov.tagSerialNo", "needless": False}]
    assert polycom["firmware"] == ["5.9.7.4477", "5.9.7.4477"]
    expected = {
        "phones": 3, "registered": 0, "configured": 3, "waiting": 0, "failed": 0, "faulty_files": 0, "restarts": 1,
        "needless_restarts": 0, "upgraded": 0,
    }  # fmt: skip
    assert expected.items() <= last.items()
    assert last["requests"] == sum(row["requests"] for row in rows)


def test_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = FILES | {"fw": b"image 66.86.0.20\0"}
    files[f"{YEALINK}.cfg"] += b"static.firmware.url = fw\n"
    code, out = run(tmp_path, files, capsys)
    lines = sorted(out.splitlines())
    assert code == 0
    assert lines[2] == (
        "001565000102  yealink     T46S                   configured 66.86.0.15 to 66.86.0.20; "
        "10 requests, 1 restarts, 0 of them needless; firmware 66.86.0.15 to 66.86.0.20"
    )
    assert lines[3].startswith("3 phones, 0 registered, 3 configured, 0 waiting, 0 failed, 0 faulty files, ")


def test_it_fails_when_a_phone_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(tmp_path, FILES | {f"cfg{GRANDSTREAM}.xml": b"<html"}, capsys)
    assert code == 1
    assert f"cfg{GRANDSTREAM}.xml is not XML" in out
    with serving({}) as server:
        gone = server.url
    assert main(gone, count=2, register=False) == 1
    assert "2 failed" in capsys.readouterr().out.splitlines()[-1]


def test_phones_that_wait_are_no_failure_and_wait_as_long_as_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out = run(tmp_path, {}, capsys)
    assert code == 0
    assert "3 waiting, 0 failed" in out.splitlines()[-1]
    monkeypatch.setattr(fleet, "ASK_AGAIN", 0.0)
    name = f"{YEALINK}.cfg"
    with serving({}) as server:
        table = tmp_path / "phones.csv"
        table.write_text(f"mac,vendor,model\n{YEALINK},yealink,T46S\n")
        server.each = lambda asked, count: YEALINK_FILES[name] if asked == name and count > 8 else None
        assert main(server.url, phones=table, register=False, wait=30.0) == 0
    assert "1 configured" in capsys.readouterr().out.splitlines()[-1]


def test_a_registration_that_fails_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "phones.csv"
    table.write_text(f"mac,vendor,model\n{POLYCOM},polycom,VVX 411\n")
    with serving(POLYCOM_FILES) as server:  # nobody takes registrations at its port 5070 over TCP
        assert main(server.url, phones=table, rng=Random(1)) == 1
    assert "1 failed" in capsys.readouterr().out.splitlines()[-1]


def test_of_a_large_fleet_only_those_are_told_of_that_need_a_look(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({}) as server:
        assert main(server.url, count=MOST_LINES + 1, mix="yealink/T46S", register=False) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_report_is_json() -> None:
    report = Report("0004f2000101", "polycom", "VVX 411")
    assert msgspec.json.decode(msgspec.json.encode(report))["state"] == "failed"
    assert summary([report], 1.234)["seconds"] == 1.23
    assert set(MAKERS) == {"polycom", "yealink", "grandstream"}
