"""Users are made, changed and removed."""

from __future__ import annotations

import pytest

from provisioner.errors import Invalid, OperatorError
from provisioner.people import second_factor, users
from provisioner.people.passwords import Bench
from provisioner.store.inventory import Conflict, Inventory
from provisioner.store.records import User, UserSecret

GOOD = "window onion tractor"


@pytest.fixture
def anna(inventory: Inventory) -> User:
    return users.create(inventory, "Anna", GOOD, "administrator", "console link", full_name="Anna López")


def test_a_user_is_made(inventory: Inventory, anna: User):
    assert anna == User(id="anna", role="administrator", name="Anna López")
    assert users.find(inventory, " ANNA ") == anna
    assert Bench().same(users.secret(inventory, "anna").password, GOOD)
    assert [(row.who, row.kind, row.id) for row in inventory.audit(2)] == [
        ("console link", "user_secret", "anna"),
        ("console link", "user", "anna"),
    ]


def test_neither_password_nor_key_is_in_audit_or_snapshot(inventory: Inventory, anna: User):
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    users.begin_second_factor(inventory, "anna", key, "005924", 1234567890, "anna")
    told = str([(row.before, row.after) for row in inventory.audit(20)]) + str(inventory.snapshot())
    for hidden in ("argon2", key, GOOD, users.secret(inventory, "anna").codes[0]):
        assert hidden not in told
    assert "López" not in str(inventory.snapshot())  # edge and front need no users


@pytest.mark.parametrize(
    ("name", "password", "role", "wrong"),
    [
        ("", GOOD, "viewer", {"id"}),
        ("-x", GOOD, "viewer", {"id"}),
        ("anna lópez", GOOD, "viewer", {"id"}),
        ("a" * 65, GOOD, "viewer", {"id"}),
        ("anna", GOOD, "viewer", {"id"}),  # is there
        ("bert", "short", "viewer", {"password"}),
        ("bert", GOOD, "owner", {"role"}),
        ("", "short", "owner", {"id", "password", "role"}),
    ],
)
def test_all_that_is_wrong_is_said_at_once(
    inventory: Inventory, anna: User, name: str, password: str, role: str, wrong: set[str]
):
    with pytest.raises(Invalid) as caught:
        users.create(inventory, name, password, role, "anna")
    assert set(caught.value.errors) == wrong
    assert inventory.all(User) == [anna]


def session(inventory: Inventory, user: str) -> str:
    return inventory.new_token("session", 600, "viewer", user=user)


def good(inventory: Inventory, token: str) -> bool:
    return inventory.check_token("session", token) is not None


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"role": "viewer"}, True),
        ({"disabled": True}, True),
        ({"name": "B."}, False),
        ({"language": "es"}, False),
    ],
)
def test_of_another_role_or_disabled_their_sessions_end(
    inventory: Inventory, anna: User, changes, ends: bool
):
    users.create(inventory, "bert", GOOD, "operator", "anna")
    theirs, hers = session(inventory, "bert"), session(inventory, "anna")
    users.edit(inventory, "bert", "anna", changes)
    assert good(inventory, theirs) is not ends
    assert good(inventory, hers)


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "boss"},
        {"language": "fr"},
        {"name": "x" * 81},
        {"name": "a\nb"},
        {"disabled": "yes"},
        {"id": "x"},
    ],
)
def test_what_is_none_is_refused(inventory: Inventory, anna: User, changes):
    with pytest.raises(Invalid):
        users.edit(inventory, "anna", "anna", changes)
    assert users.find(inventory, "anna") == anna


def test_two_who_change_one_user(inventory: Inventory, anna: User):
    revision = inventory.get(User, "anna")[1]
    users.edit(inventory, "anna", "anna", {"name": "A."}, revision)
    with pytest.raises(Conflict):
        users.edit(inventory, "anna", "bert", {"name": "B."}, revision)


def test_an_administrator_must_be_left(inventory: Inventory, anna: User):
    users.create(inventory, "bert", GOOD, "operator", "anna")
    for last in (
        lambda: users.edit(inventory, "anna", "anna", {"role": "viewer"}),
        lambda: users.edit(inventory, "anna", "anna", {"disabled": True}),
        lambda: users.remove(inventory, "anna", "anna"),
    ):
        with pytest.raises(OperatorError, match="nobody would be left"):
            last()
    users.edit(inventory, "bert", "anna", {"role": "administrator"})
    users.remove(inventory, "anna", "bert")
    with pytest.raises(OperatorError, match="no user anna"):
        users.remove(inventory, "anna", "bert")
    assert inventory.get(UserSecret, "anna") is None


def test_the_very_last_user_may_go(inventory: Inventory, anna: User):
    users.remove(inventory, "anna", "console link")
    assert inventory.all(User) == []


def test_with_a_user_go_their_tokens(inventory: Inventory, anna: User):
    users.create(inventory, "bert", GOOD, "operator", "anna")
    theirs = inventory.new_token("api", 600, "viewer", user="bert")
    users.remove(inventory, "bert", "anna")
    assert inventory.check_token("api", theirs) is None


def test_another_password_ends_the_other_sessions(inventory: Inventory, anna: User):
    here, there = session(inventory, "anna"), session(inventory, "anna")
    users.set_password(inventory, "anna", "a quite different one", "anna", keep=here)
    assert [good(inventory, each) for each in (here, there)] == [True, False]
    assert Bench().same(users.secret(inventory, "anna").password, "a quite different one")
    with pytest.raises(Invalid):
        users.set_password(inventory, "anna", "anna lopez", "anna")


def test_the_second_factor(inventory: Inventory, anna: User):
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    with pytest.raises(Invalid, match="not the code"):
        users.begin_second_factor(inventory, "anna", key, "005925", 1234567890, "anna")
    codes = users.begin_second_factor(inventory, "anna", key, "005924", 1234567890, "anna")
    assert users.find(inventory, "anna").second_factor
    assert users.secret(inventory, "anna").codes == tuple(second_factor.digest(code) for code in codes)
    assert users.use_code(inventory, "anna", codes[3], "anna")
    assert not users.use_code(inventory, "anna", codes[3], "anna")
    assert len(users.secret(inventory, "anna").codes) == 9
    users.end_second_factor(inventory, "anna", "bert")
    assert users.secret(inventory, "anna").totp == ""
    assert not users.find(inventory, "anna").second_factor


def test_a_practice_without_administrator_can_change_and_remove_its_users(inventory: Inventory):
    users.create(inventory, "bert", GOOD, "operator", "console")
    users.create(inventory, "carla", GOOD, "viewer", "console")
    users.edit(inventory, "bert", "console", {"language": "es"})
    users.remove(inventory, "carla", "console")
    assert [user.id for user in inventory.all(User)] == ["bert"]
