"""The audit log in words, its filters, and undo under the rules of an edit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import people
import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.people import users
from provisioner.phones import editing
from provisioner.store import records
from provisioner.store.inventory import Change, Inventory, kind_of
from provisioner.web import changes

replace = msgspec.structs.replace


@pytest.fixture
def undo(anna: FlaskClient) -> Callable[[int], Any]:
    token = people.csrf(anna)
    return lambda revision: anna.post(f"/staff/audit/{revision}/undo", data={"csrf": token})


def do(inventory: Inventory, work: Callable[[Change], object], who: str = "bert") -> int:
    """One change; its revision."""
    with inventory.change(who) as change:
        work(change)
        return change.revision


def put(inventory: Inventory, *made: records.Record) -> int:
    return do(inventory, lambda change: [change.put(each) for each in made])


def held(inventory: Inventory, record: records.Record) -> records.Record | None:
    found = inventory.get(type(record), record.id)
    return found[0] if found else None


# words


def test_a_change_is_told_field_by_field(anna: FlaskClient, inventory: Inventory):
    phone = inventory.get(records.Phone, practice.POLYCOM)[0]
    keys = (records.Key(position=3, function="blf", value="102", label="Adams"),)
    put(inventory, replace(phone, front_desk=True, keys=keys))
    page = anna.get("/staff/audit").text
    for words in ("Phone", "101 Front desk", "bert", "Front desk", "Keys 3"):
        assert words in page
    assert "<ins>yes</ins>" in page
    assert "<del>no</del>" in page
    assert "blf, 102, Adams" in page
    assert "{" not in page.partition("<main")[2]
    assert f'href="/staff/phones/{practice.POLYCOM}"' in page


def test_every_kind_has_its_word():
    assert changes.WORDS.keys() >= changes.RECORDS


def test_ids_and_moments_are_told_in_words(anna: FlaskClient, inventory: Inventory):
    mac, at = "0004f2000177", 1789100000.0
    put(
        inventory,
        records.RetiredPhone(id=mac, vendor="polycom", model="VVX 411", extensions=(), at=at, who="Anna"),
    )
    put(inventory, records.Number(id="+14155550177", label="Spare", location="desk"))
    page = anna.get("/staff/audit").text
    assert "2026-09-10 21:13:20" in page
    assert '<td colspan="2">Front desk</td>' in page


def test_secrets_are_not_told(anna: FlaskClient, inventory: Inventory):
    put(inventory, records.TrunkSecret(id="core", user="who", password="hush-hush"))
    page = anna.get("/staff/audit").text
    assert "Password of the calling service" in page
    assert "kept secret" in page
    assert "hush-hush" not in page


def test_filters(anna: FlaskClient, inventory: Inventory, app: Flask):
    put(inventory, records.PhoneGroup(id="g1", name="Nurses"))
    do(inventory, lambda change: change.put(records.PhoneGroup(id="g2", name="Doctors")), "carl")

    def found(query: str) -> list[bool]:
        page = anna.get(f"/staff/audit?{query}").text.partition('class="trail"')[2]
        return ["Nurses" in page, "Doctors" in page]

    assert found("") == [True, True]
    assert found("who=carl") == [False, True]
    assert found("kind=phone_group") == [True, True]
    assert found("kind=phone") == [False, False]
    assert found("kind=phone_group&id=g1") == [True, False]
    assert found("q=urse") == [True, False]
    assert found('q="%22') == [True, True]  # too short to be searched for
    assert found("q=zzzz") == [False, False]
    assert found("q=Doc+carl") == [False, True]
    assert found("since=2026-09-21") == [True, True]  # the tests' today, in the practice's zone
    assert found("since=2026-09-22") == [False, False]
    assert found("until=2026-09-20") == [False, False]
    assert found("until=2026-09-21") == [True, True]
    assert found("since=soon&before=x") == [True, True]
    assert "History of" in anna.get("/staff/audit?kind=phone_group&id=g1").text


def test_it_comes_in_pages(anna: FlaskClient, inventory: Inventory):
    for n in range(60):
        put(inventory, records.PhoneGroup(id=f"g{n}", name=f"Group number {n}"))
    first = anna.get("/staff/audit?kind=phone_group").text
    assert "Group number 59" in first
    assert "Group number 9<" not in first
    older = first.rpartition('href="/staff/audit?before=')[2].partition('"')[0].replace("&amp;", "&")
    assert "Group number 9<" in anna.get(f"/staff/audit?before={older}").text


def test_sign_ins_and_tokens_are_in_it(app: Flask, anna: FlaskClient):
    app.test_client().post("/staff/sign-in", data={"name": "anna", "password": "wrong"})
    page = anna.get("/staff/audit?kind=sign_in").text
    assert "wrong name or password" in page
    assert "127.0.0.1" in page


def test_the_search_uses_an_index(inventory: Inventory):
    from provisioner.store import audit

    class Explaining:
        plans: list[str] = []

        def execute(self, sql: str, values: object = ()) -> Any:
            with inventory._reading() as connection:
                self.plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                return connection.execute(sql, values)

    it: Any = Explaining()
    for wanted in (
        audit.Wanted(), audit.Wanted(who="a"), audit.Wanted(kind="phone"), audit.Wanted(kind="phone", name="x"),
        audit.Wanted(since=1.0, until=2.0), audit.Wanted(revision=3), audit.Wanted(text="abc def"),
    ):  # fmt: skip
        audit.search(it, 50, wanted)
    audit.names(it)
    assert [plan for plan in it.plans if plan.startswith("SCAN audit") and "INDEX" not in plan] == [
        "SCAN audit"
    ]
    assert not [plan for plan in it.plans if "TEMP B-TREE FOR ORDER" in plan and "LAST" not in plan]


# undo: what each kind was before, after, and that a change of it is put back


def civic(**more: str) -> dict[str, str]:
    return {"country": "US", "A1": "CA", "A3": "San Francisco", "HNO": "500", "RD": "Terry Francois", "STS": "Blvd",
            "PC": "94158", **more}  # fmt: skip


CASES: list[tuple[records.Record | None, records.Record | None]] = [
    (records.PhoneGroup(id="g1", name="Nurses"), records.PhoneGroup(id="g1", name="Doctors")),
    (None, records.PhoneGroup(id="g1", name="Nurses")),
    (records.PhoneGroup(id="g1", name="Nurses"), None),
    (
        records.PhoneSettings(id="site", values={"poll_seconds": 3600}),
        records.PhoneSettings(id="site", values={"poll_seconds": 7200}),
    ),
    (records.PhoneSettings(id="site", values={"poll_seconds": 3600}), None),
    (
        records.RingGroup(id="r1", name="Desk", members=("101",)),
        records.RingGroup(id="r1", name="Desk", members=("101", "102"), seconds=40),
    ),
    (records.RingGroup(id="r1", name="Desk", members=("101",)), None),
    (
        records.Location(id="annex", name="Annex", civic=civic()),
        records.Location(id="annex", name="Annexe", civic=civic(RD="King")),
    ),
    (None, records.Location(id="annex", name="Annex", civic=civic())),
    (records.LineFeatures(id="101", forward_busy="102"), records.LineFeatures(id="101", do_not_disturb=True)),
    (
        records.Notifying(id="notices", test_days=7.0),
        records.Notifying(id="notices", test_days=30.0, webhooks=("https://example.com/hook",)),
    ),
    (
        records.ExtensionRange(id="110-119", first="110", last="119", name="Lab"),
        records.ExtensionRange(id="110-119", first="110", last="119", name="Laboratory"),
    ),
    (
        records.Trunk(id="core", uri="sip:198.51.100.5:5060"),
        records.Trunk(id="core", uri="sip:198.51.100.6:5060", order=20),
    ),
    (
        records.Practice(id="practice", name="Bay Street Clinic", main_number="+14155550100"),
        records.Practice(
            id="practice", name="Bay Street", main_number="+14155550100", max_calls=20, adoption="adopted"
        ),
    ),
    (
        records.Number(id="+14155550109", label="Spare", address_status="registered"),
        records.Number(id="+14155550109", label="Fax", address_status="registered", extension="102"),
    ),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_change_is_undone_and_the_undo_too(
    anna: FlaskClient,
    inventory: Inventory,
    undo: Callable[[int], Any],
    before: records.Record | None,
    after: records.Record | None,
):
    some = before or after
    if before:
        put(inventory, before)
    revision = (
        put(inventory, after) if after else do(inventory, lambda change: change.delete(type(some), some.id))
    )
    assert "Undo: put back" in anna.get(f"/staff/audit/{revision}").text
    done = undo(revision)
    assert done.status_code == 303, anna.get(f"/staff/audit/{revision}").text
    assert held(inventory, some) == before
    last = inventory.audit(1)[0]
    assert last.who == "anna"
    again = undo(last.revision)  # the undo of the undo
    assert again.status_code == 303
    assert held(inventory, some) == after


def test_every_kind_is_tried():
    tried = {kind_of(type(before or after)) for before, after in CASES}
    from provisioner.web.undo import UNDONE

    assert tried | {"phone", "user"} == set(UNDONE)


def test_of_a_phone_keys_place_and_names_come_back(anna, inventory, undo, app: Flask):
    phone = inventory.get(records.Phone, practice.YEALINK)[0]
    keys = (records.Key(position=2, function="speed_dial", value="101", label="Desk"),)
    catalogue = app.extensions["provisioner"].catalogue()
    editing.set_keys(inventory, phone.id, keys, "bert", catalogue)
    revision = inventory.audit(1)[0].revision
    changes = {"location": "desk", "names": {"102": "Dr. A."}}
    editing.edit_phone(inventory, phone.id, changes, "bert", catalogue)
    late = undo(revision)
    assert late.status_code == 409  # the place was changed since
    later = inventory.audit(1)[0].revision
    assert f'href="/staff/audit/{later}"' in late.text
    assert undo(later).status_code == 303
    assert undo(revision).status_code == 303
    assert held(inventory, phone) == phone


def test_a_group_comes_back_with_its_phones(anna, inventory, undo):
    group = editing.put_group(inventory, "Nurses", "bert")
    editing.join(inventory, ["102", "103"], group.id, "bert")
    put(inventory, records.PhoneSettings(id=f"group:{group.id}", values={"poll_seconds": 7200}))
    editing.delete_group(inventory, group.id, "bert")
    revision = inventory.audit(1)[0].revision
    assert undo(revision).status_code == 303
    snapshot = inventory.snapshot()
    assert [phone.group for phone in snapshot.phones.values()].count(group.id) == 2
    assert f"group:{group.id}" in snapshot.phone_settings


@pytest.mark.parametrize(
    ("before", "after", "meanwhile", "said"),
    [
        (  # the place that the phone was in is gone
            "location",
            None,
            [records.Location(id="x", name="X", civic={}, parent="annex", level="room")],
            "would name a location that is gone",
        ),
        (
            "ring group",
            None,
            [records.Number(id="+14155550108", label="x", ring_group="new")],
            "would name a ring group that is gone",
        ),
    ],
)
def test_an_undo_that_would_leave_something_loose_is_refused(
    anna, inventory, undo, before, after, meanwhile, said
):
    made = {
        "location": records.Location(id="annex", name="Annex", civic=civic()),
        "ring group": records.RingGroup(id="new", name="New", members=("101",)),
    }[before]
    revision = put(inventory, made)
    put(inventory, *meanwhile)
    answer = undo(revision)
    assert answer.status_code == 409
    assert said in answer.text
    assert held(inventory, made) == made


def test_an_undo_that_would_break_a_rule_is_refused(anna, inventory, undo):
    put(inventory, records.RingGroup(id="r1", name="Desk", members=("101", "102")))
    revision = put(inventory, records.RingGroup(id="r1", name="Desk two", members=("101",)))
    put(inventory, records.RingGroup(id="r2", name="Desk", members=("103",)))
    answer = undo(revision)
    assert answer.status_code == 409
    assert "There is a ring group Desk already" in answer.text
    assert inventory.get(records.RingGroup, "r1")[0].name == "Desk two"


def test_keys_that_are_no_good_any_more_do_not_come_back(anna, inventory, undo, app: Flask):
    phone = inventory.get(records.Phone, practice.YEALINK)[0]
    put(inventory, replace(phone, keys=(records.Key(position=2, function="blf", value="103"),)))
    revision = put(inventory, phone)
    other = inventory.get(records.Phone, practice.GRANDSTREAM)[0]
    do(inventory, lambda change: change.delete(records.Phone, other.id))
    answer = undo(revision)
    assert answer.status_code == 409
    assert "there is no extension 103" in answer.text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (records.TrunkSecret(id="core", user="u", password="p"), "old ones are not kept"),
        (
            records.Phone(id="001565000777", vendor="yealink", model="T46S"),
            "came or went so cannot be undone",
        ),
        (records.Recording(id="music", seconds=1.0, digest="0"), "this kind of change cannot be undone"),
    ],
)
def test_what_has_no_undo_says_so(anna, inventory, undo, made: records.Record, said: str):
    revision = put(inventory, made)
    page = anna.get(f"/staff/audit/{revision}").text
    assert said in page.lower() or said.capitalize() in page
    assert "put back what was before" not in page
    assert undo(revision).status_code == 409
    assert held(inventory, made) == made


def test_the_length_of_extensions_is_not_undone_here(anna, inventory, undo):
    held = inventory.get(records.Practice, "practice")[0]
    revision = put(inventory, replace(held, extension_length=4))
    assert "extension length cannot be undone here" in undo(revision).text


def test_a_users_role_comes_back_and_signs_them_out(app: Flask, anna, inventory, undo):
    bert = people.browser(app, "bert", "operator")
    users.edit(inventory, "bert", "anna", {"role": "viewer"})
    revision = inventory.audit(1)[0].revision
    bert = people.browser(app, "bert")
    assert undo(revision).status_code == 303
    assert users.find(inventory, "bert").role == "operator"
    assert bert.get("/staff/session").status_code == 401


def test_only_administrators_undo(app: Flask, anna, inventory):
    revision = put(inventory, records.PhoneGroup(id="g1", name="Nurses"))
    bert = people.browser(app, "bert", "operator")
    assert "Undo" not in bert.get(f"/staff/audit/{revision}").text.partition("<main")[2]
    answer = bert.post(f"/staff/audit/{revision}/undo", data={"csrf": people.csrf(bert)})
    assert answer.status_code == 403


def test_there_is_no_such_change(anna, undo):
    for revision in (0, 10**6, 10**30):
        assert anna.get(f"/staff/audit/{revision}").status_code == 404
        assert undo(revision).status_code == 404


# API


def test_by_api(app: Flask, inventory: Inventory):
    api = people.program(app, "administrator", name="tool")
    revision = put(inventory, records.PhoneGroup(id="g1", name="Nurses"))
    again = put(inventory, records.PhoneGroup(id="g1", name="Doctors"))
    rows = api.get("/api/v1/audit?kind=phone_group&limit=1").json
    assert rows["items"][0] | {"seq": 0} == {
        "seq": 0, "change": again, "at": practice.NOW, "who": "bert", "kind": "phone_group", "id": "g1",
        "act": "changed", "fields": [{"field": "Name", "before": "Nurses", "after": "Doctors"}],
        "before": {"kind": "phone_group", "id": "g1", "name": "Nurses", "keys": []},
        "after": {"kind": "phone_group", "id": "g1", "name": "Doctors", "keys": []},
    }  # fmt: skip
    assert api.get(rows["next"]).json["items"][0]["change"] == revision
    late = api.post(f"/api/v1/audit/{revision}/undo")
    assert (late.status_code, late.mimetype) == (409, "application/problem+json")
    assert "changed since" in late.json["detail"]
    done = api.post(f"/api/v1/audit/{again}/undo")
    assert inventory.get(records.PhoneGroup, "g1")[0].name == "Nurses"
    entries = api.get(f"/api/v1/audit/{done.json['change']}").json
    assert [(each["who"], each["act"]) for each in entries] == [("token tool", "changed")]
    assert api.get("/api/v1/audit/x").status_code == 404
    assert api.post("/api/v1/audit/999999/undo").status_code == 404


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("/staff/practice", "practice", "practice"),
        ("/staff/settings?layer=site", "phone_setting", "site"),
        ("/staff/trunks/core", "trunk", "core"),
        ("/staff/ring-groups/main", "ring_group", "main"),
        ("/staff/locations/lab", "location", "lab"),
        ("/staff/numbers/+14155550101", "number", "%2B14155550101"),
        ("/staff/extensions/101", "line_feature", "101"),
        ("/staff/emergency/log", "notice_setting", "notices"),
        ("/staff/users/anna", "user", "anna"),
    ],
)
def test_a_record_leads_to_its_history(anna: FlaskClient, path: str, kind: str, name: str):
    link = f"/staff/audit?kind={kind}&amp;id={name}"
    assert f'href="{link}"' in anna.get(path).text
    assert anna.get(link.replace("&amp;", "&")).status_code == 200
