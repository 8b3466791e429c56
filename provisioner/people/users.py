"""Users of the staff page: made, changed, removed; each change is one transaction, or raises and changes nothing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import msgspec

from provisioner.errors import Invalid, OperatorError
from provisioner.people import passwords, second_factor
from provisioner.people.passwords import Bench
from provisioner.store.inventory import Change, Inventory
from provisioner.store.records import Role, User, UserSecret

ROLES: tuple[Role, ...] = ("viewer", "operator", "administrator")
LANGUAGES = ("browser", "en", "es")
PAGE = "new"  # what makes a user stands where the user of that name would
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_MAX_NAME = 80


def lesser(one: str, other: str) -> str:
    """Of two roles the one that may less; one that is none may nothing."""
    return one if one not in ROLES or (other in ROLES and ROLES.index(one) <= ROLES.index(other)) else other


def login_name(typed: str) -> str:
    """The login name that somebody typed, as it is stored."""
    return typed.strip().lower()


def find(inventory: Inventory, name: str) -> User | None:
    """The user of that login name."""
    found = inventory.get(User, login_name(name))
    return found[0] if found else None


def _known(change: Change, name: str) -> User:
    found = change.get(User, name)
    if found is None:
        raise OperatorError(f"there is no user {name}", "see the list of users for the names")
    return found[0]


def _secret(change: Change, name: str) -> UserSecret:
    found = change.get(UserSecret, name)
    return found[0] if found else UserSecret(id=name, password="")


def _check(user: User) -> User:
    errors = {}
    if user.role not in ROLES:
        errors["role"] = f"The role is one of {', '.join(ROLES)}."
    if user.language not in LANGUAGES:
        errors["language"] = f"The language is one of {', '.join(LANGUAGES)}."
    if len(user.name) > _MAX_NAME or not user.name.isprintable():
        errors["name"] = f"The name has at most {_MAX_NAME} characters, all on one line."
    if errors:
        raise Invalid(errors)
    return user


def create(
    inventory: Inventory,
    name: str,
    password: str,
    role: str,
    who: str,
    *,
    full_name: str = "",
    language: str = "browser",
    bench: Bench | None = None,
) -> User:
    """Make a user who signs in with `name` and `password`. Raises Invalid with all that is wrong."""
    login = login_name(name)
    errors = {}
    if not _LOGIN.fullmatch(login):
        errors["id"] = (
            "The login name begins with a letter or digit and has only those, dots, dashes, _ and @."
        )
    elif login == PAGE or find(inventory, login):
        errors["id"] = f"There is a user {login} already, or a page is called so."
    if why := passwords.fault(password, login, full_name):
        errors["password"] = why
    made = User(id=login, role=role, name=full_name.strip(), language=language)  # type: ignore[arg-type]
    try:
        _check(made)
    except Invalid as error:
        errors |= error.errors
    if errors:
        raise Invalid(errors)
    hashed = (bench or Bench()).hashed(password)
    with inventory.change(who) as change:
        change.put(made, 0)
        change.put(UserSecret(id=login, password=hashed))
    return made


def edit(
    inventory: Inventory, name: str, who: str, changes: dict[str, object], revision: int | None = None
) -> User:
    """Change `role`, `name`, `language` or `disabled`; of another role, or disabled, their sessions end."""
    strange = sorted(changes.keys() - {"role", "name", "language", "disabled"})
    if strange:
        raise Invalid({strange[0]: f"{strange[0]} cannot be changed here."})
    with inventory.change(who) as change:
        before = _known(change, name)
        try:
            after = _check(
                msgspec.convert({**msgspec.structs.asdict(before), "kind": "user", **changes}, User)
            )
        except msgspec.ValidationError as error:
            raise Invalid({"user": f"{error}."}) from None
        change.put(after, revision)
        check_kept(change, before)
        if (after.role, after.disabled) != (before.role, before.disabled):
            change.end_tokens(name)
    return after


def remove(inventory: Inventory, name: str, who: str, revision: int | None = None) -> None:
    """Remove a user; their sessions and API tokens end."""
    with inventory.change(who) as change:
        before = _known(change, name)
        change.delete(User, name, revision)
        change.delete(UserSecret, name)
        check_kept(change, before)
        change.end_tokens(name, api=True)


def _leads(user: User) -> bool:
    return user.role == "administrator" and not user.disabled


def check_kept(change: Change, before: User) -> None:
    """Raises OperatorError when the last who can make users (`before` the change) would be gone, and others are left.

    A practice that never had one, or has no user at all, uses links from the console.
    """
    left = change.all(User)
    if _leads(before) and left and not any(_leads(user) for user in left):
        raise OperatorError(
            "nobody would be left who can make users", "make somebody else an administrator first"
        )


def set_password(
    inventory: Inventory, name: str, password: str, who: str, *, keep: str = "", bench: Bench | None = None
) -> None:
    """Give a user another password; their sessions end, apart from that of the session token `keep`."""
    user = find(inventory, name)
    passwords.check(password, name, user.name if user else "")
    hashed = (bench or Bench()).hashed(password)
    with inventory.change(who) as change:
        _known(change, name)
        change.put(msgspec.structs.replace(_secret(change, name), password=hashed))
        change.end_tokens(name, keep)


def secret(inventory: Inventory, name: str) -> UserSecret | None:
    """What a user shows to sign in."""
    found = inventory.get(UserSecret, name)
    return found[0] if found else None


def begin_second_factor(
    inventory: Inventory,
    name: str,
    key: str,
    code: str,
    now: float,
    who: str,
    *,
    keep: str = "",
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> list[str]:
    """Ask this user for codes of an app with `key` from now on; the recovery codes, which are shown once.

    `code`: what the app shows now, the proof that it has the key. Raises Invalid.
    """
    if not second_factor.step_of(key, code, now):
        raise Invalid(
            {"code": "That is not the code that the app should show now. Check the time on the phone."}
        )
    made = second_factor.new_codes(random)
    with inventory.change(who) as change:
        change.put(msgspec.structs.replace(_known(change, name), second_factor=True))
        kept = tuple(second_factor.digest(each) for each in made)
        change.put(msgspec.structs.replace(_secret(change, name), totp=key, codes=kept))
        change.end_tokens(name, keep)
    return made


def end_second_factor(inventory: Inventory, name: str, who: str) -> None:
    """Ask this user for a password alone."""
    with inventory.change(who) as change:
        change.put(msgspec.structs.replace(_known(change, name), second_factor=False))
        change.put(msgspec.structs.replace(_secret(change, name), totp="", codes=()))


def use_code(inventory: Inventory, name: str, code: str, who: str) -> bool:
    """Use a recovery code up; False when it is none of this user's."""
    digest = second_factor.digest(code)
    with inventory.change(who) as change:
        held = _secret(change, name)
        if digest not in held.codes:
            return False
        left = tuple(each for each in held.codes if each != digest)
        change.put(msgspec.structs.replace(held, codes=left))
    return True
