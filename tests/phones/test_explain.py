"""Explain: where a setting comes from, and what differs from what the phone fetched last; no secret anywhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from provisioner.phones.catalogue import Catalogue
from provisioner.phones.explain import MAX_DIFFERENCES, explain
from provisioner.phones.identity import Identity
from provisioner.phones.render import Renderer
from provisioner.phones.served import TOLD_AGAIN_SECONDS, Memory
from provisioner.phones.vocabulary import SETTINGS
from provisioner.store.records import PhoneSettings, Snapshot
from tests.phones.samples import ADDRESSES, MODELS, password, snapshot

POLYCOM, YEALINK, GRANDSTREAM = MODELS
Row = dict[str, Any]


def fetched(of: Renderer, mac: str, memory: Memory | None = None, at: float = 1000.0) -> list[Row]:
    """What the journal would hold after the phone has fetched all its files."""
    memory = memory or Memory()
    skeletons: dict[str, Row] = {}
    served = []
    for asked, who in of.files(of.snapshot.phones[mac]):
        made = of.rendered(asked, who)
        assert made
        for table, row in memory.rows(asked.name, made, who, at):
            stored = msgspec.json.decode(msgspec.json.encode(row))
            if table == "skeletons":
                skeletons[row["id"]] = stored
            else:
                served.append({**skeletons[row["skeleton"]], **stored})
    return served


def told(of: Renderer, mac: str, served: list[Row]) -> Row:
    found = explain(of, of.snapshot.phones[mac], served)
    return msgspec.json.decode(msgspec.json.encode(found))  # type: ignore[no-any-return]


def setting(found: Row, name: str) -> Row:
    return next(row for row in found["settings"] if row["name"] == name)


def with_site(**values: str | int | bool) -> Snapshot:
    records = {"site": PhoneSettings(id="site", values=dict(values))}
    return msgspec.structs.replace(snapshot(), phone_settings=records)


@pytest.mark.parametrize("mac", MODELS)
def test_nothing_has_changed(mac: str) -> None:
    of = Renderer(snapshot(), ADDRESSES)
    found = told(of, mac, fetched(of, mac))
    assert [row["name"] for row in found["settings"]] == list(SETTINGS)
    assert not any("fetched" in row for row in found["settings"])
    assert {row["differs"] for row in found["files"]} == {False}
    assert {row["fetched_at"] for row in found["files"]} == {1000.0}
    assert found["warnings"] == []
    assert all(row["bytes"] > 20 and not row["own_template"] for row in found["files"])


@pytest.mark.parametrize("mac", MODELS)
def test_a_setting_that_the_phone_has_not_fetched_yet(mac: str) -> None:
    served = fetched(Renderer(snapshot(), ADDRESSES), mac)
    found = told(Renderer(with_site(register_seconds=1200), ADDRESSES), mac, served)
    assert setting(found, "register_seconds") == {
        "name": "register_seconds",
        "value": 1200,
        "layer": "site",
        "overrides": [{"layer": "built-in", "value": 600}],
        "fetched": 600,
    }
    changed = [row for row in found["files"] if row["differs"]]
    assert len(changed) == 1
    minus, plus = changed[0]["differences"]
    assert minus[0] == "-"
    assert plus[0] == "+"
    assert ("1200" in plus and "600" in minus) or (
        "20" in plus and "10" in minus
    )  # Grandstream counts minutes


@pytest.mark.parametrize("mac", MODELS)
def test_no_secret_is_stored_or_shown(mac: str) -> None:
    plain = snapshot()
    served = fetched(Renderer(plain, ADDRESSES), mac)
    assert served
    credential = msgspec.structs.replace(
        plain.credentials[mac],
        admin_password="newadminpassword",
        lines=(msgspec.structs.replace(plain.credentials[mac].lines[0], password="newpassword"),),
    )
    changed = msgspec.structs.replace(plain, credentials={mac: credential})
    found = told(Renderer(changed, ADDRESSES), mac, served)
    text = msgspec.json.encode([served, found]).decode()
    for secret in (password(mac), f"admin{mac}", f"user{mac}", "newadminpassword", "newpassword"):
        assert secret not in text
    said = [row["differences"] for row in found["files"] if row["differs"]]
    assert said == [["(only a password has changed)"]] * len(said) != []


def test_a_phone_that_has_fetched_nothing() -> None:
    found = told(Renderer(snapshot(), ADDRESSES), YEALINK, [])
    assert {row["fetched_at"] for row in found["files"]} == {None}
    assert {row["differs"] for row in found["files"]} == {False}


def test_long_differences_are_cut() -> None:
    served = fetched(Renderer(snapshot(), ADDRESSES), YEALINK)
    for row in served:
        row["text"] = "\n".join(f"old.{n} = 1" for n in range(1000))
        row["digest"] = ""
    found = told(Renderer(snapshot(), ADDRESSES), YEALINK, served)
    assert {len(row["differences"]) for row in found["files"]} == {MAX_DIFFERENCES + 1}


def test_a_sites_own_template_is_named(tmp_path: Path) -> None:
    shipped = Catalogue()
    name = shipped.kit("yealink", shipped.model("yealink", "T46S")).files["phone"].template
    (tmp_path / "yealink").mkdir()
    (tmp_path / "yealink" / name).write_text("#!version:1.0.0.1\nown = {{ s.poll_seconds }}\n")
    of = Renderer(snapshot(), ADDRESSES, Catalogue([tmp_path]))
    found = told(of, YEALINK, [])
    assert [row["name"] for row in found["files"] if row["own_template"]] == [f"{YEALINK}.cfg"]


def test_warnings_and_an_unknown_model() -> None:
    plain = with_site(poll_seconds=1)
    phone = msgspec.structs.replace(plain.phones[YEALINK], model="T99")
    found = told(Renderer(msgspec.structs.replace(plain, phones={YEALINK: phone}), ADDRESSES), YEALINK, [])
    assert found["files"] == []
    assert "poll_seconds" in found["warnings"][0]
    assert found["warnings"][1] == "there is no template for T99"


def test_the_memory_tells_only_what_is_new() -> None:
    of = Renderer(snapshot(), ADDRESSES)
    memory = Memory()
    assert fetched(of, YEALINK, memory)
    assert fetched(of, YEALINK, memory) == []
    again = Renderer(snapshot(), ADDRESSES)  # another renderer of the same inventory
    assert fetched(again, YEALINK, memory) == []
    asked, who = of.files(of.snapshot.phones[YEALINK])[0]
    new = Renderer(with_site(poll_seconds=3600), ADDRESSES)
    made, old = new.rendered(asked, who), of.rendered(asked, who)
    assert made
    assert old
    late = 1000.0 + TOLD_AGAIN_SECONDS
    assert [table for table, _ in memory.rows(asked.name, made, who, 1000.0)] == ["skeletons", "served"]
    assert [table for table, _ in memory.rows(asked.name, old, who, 1001.0)] == ["served"]
    assert [table for table, _ in memory.rows(asked.name, made, who, late)] == ["skeletons", "served"]


def test_a_file_is_noted_again_for_a_newer_revision_only() -> None:
    """Who has fetched since a change is told by the revision, though the file says the same."""
    memory, who = Memory(), Identity("yealink", "T46S", "66.86.0.15", "001565000102")
    skeleton = SimpleNamespace(id="s", text="t", settings={}, file=SimpleNamespace(format="lines"))

    def rows(revision: int) -> list[str]:
        made = SimpleNamespace(
            mac=who.mac, own=[], accounts=0, revision=revision, data=b"x", skeleton=skeleton
        )
        return [table for table, _row in memory.rows("x.cfg", made, who, 1.0)]  # type: ignore[arg-type]

    assert rows(7) == ["skeletons", "served"]
    assert rows(7) == []
    assert rows(8) == ["served"]
