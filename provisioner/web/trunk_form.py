"""The form of a trunk: what stands in it, and the records that come of it. Nothing in it shows a password."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from flask import Flask, current_app

from provisioner.errors import OperatorError, PeerError, UsageError
from provisioner.sip.headers import Uri, join_host
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks import editing
from provisioner.trunks.profile import Profile, profiles
from provisioner.web import forms
from provisioner.web.language import gettext as _
from provisioner.web.trunk_words import KINDS

KEPT = 64  # drafts
DRAFT_SECONDS = 3600.0
PREFIX = "set-"
_PLAIN = ("uri", "transport", "profile", "user", "realm", "order", "proxy", "sources", "authorities")
_CHOSEN = ("transfer", "release", "pidf_lo")
FIELDS = (*_PLAIN, *_CHOSEN, *(PREFIX + key for key in KINDS))


class Draft(NamedTuple):
    """What somebody typed and tested, not saved yet: in memory only, with the password that goes with it."""

    values: dict[str, str]
    secret: TrunkSecret | None
    test: str
    at: float


class Drafts:
    """Drafts by a name that cannot be guessed. Safe to use from all threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Draft] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, draft: Draft) -> str:
        """Its name."""
        name = secrets.token_hex(12)
        with self._lock:
            self._held[name] = draft
            while len(self._held) > KEPT or next(iter(self._held.values())).at < draft.at - DRAFT_SECONDS:
                self._held.popitem(last=False)
        return name

    def get(self, name: str) -> Draft | None:
        """The draft, None when there is none any more."""
        with self._lock:
            return self._held.get(name)

    def drop(self, name: str) -> None:
        """Forget a draft, which is saved now."""
        with self._lock:
            self._held.pop(name, None)


def install(app: Flask) -> None:
    """Give the app its drafts."""
    app.extensions["provisioner.trunk_drafts"] = Drafts()


def drafts() -> Drafts:
    """Those of the running app."""
    found = current_app.extensions["provisioner.trunk_drafts"]
    assert isinstance(found, Drafts)
    return found


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """What a form holds, without the password: to be shown again."""
    values = {name: form.get(name, "") for name in FIELDS}
    values["pidf_lo"] = "yes" if form.get("pidf_lo") else ""
    return values


def of_trunk(trunk: Trunk | None, secret: TrunkSecret | None) -> dict[str, str]:
    """What stands in the form for a stored trunk, or for a new one."""
    held = trunk or Trunk(id="", uri="", profile="")
    host, transport = _split(held.uri)
    return {
        "uri": host,
        "transport": transport,
        "profile": held.profile,
        "user": secret.user if secret else "",
        "realm": secret.realm if secret else "",
        "order": str(held.order),
        "proxy": _split(held.proxy, False)[0],
        "sources": "\n".join(held.sources),
        "authorities": held.authorities,
        "transfer": held.transfer,
        "release": held.release,
        "pidf_lo": "yes" if held.pidf_lo else "",
        **{PREFIX + key: _written(held.settings.get(key)) for key in KINDS},
    }


def _split(uri: str, apart: bool = True) -> tuple[str, str]:
    """An address as people write it, and its transport where that is a field of its own."""
    try:
        parsed = Uri.parse(uri)
    except PeerError:
        return uri, ""
    transport = parsed.params.get("transport") or ""
    only = not (parsed.params.keys() - ({"transport"} if apart else set())) and parsed.scheme == "sip"
    return (join_host(parsed.host, parsed.port), transport if apart else "") if only else (uri, "")


def _written(value: object) -> str:
    """A setting as it stands in its field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)


def usual(profile: str) -> dict[str, str]:
    """What each setting is by a profile, for the fields that are left empty."""
    held = profiles().get(profile) or Profile()
    return {key: _written(msgspec.to_builtins(getattr(held, key))) for key in KINDS}


def _setting(key: str, text: str) -> Any:
    kind = KINDS[key]
    if kind == "yes-no":
        return text == "yes"
    if kind == "number":
        number = forms.whole(text, 7)
        if number is None:
            raise UsageError(_("{name} must be a number").format(name=key))
        return number
    if kind == "list":
        items = [item.strip() for item in text.replace("\n", ",").split(",") if item.strip()]
        return "none" if key == "identity" and items == ["none"] else items
    if kind == "table":
        pairs = [line.partition(":") for line in text.splitlines() if line.strip()]
        if any(not colon for _name, colon, _value in pairs):
            raise UsageError(_("{name}: write each line as Name: value").format(name=key))
        return {name.strip(): value.strip() for name, _colon, value in pairs}
    return text


def records(
    name: str,
    form: Mapping[str, str],
    password: str,
    stored: TrunkSecret | None,
    draft: Draft | None,
) -> tuple[Trunk, TrunkSecret | None]:
    """The trunk and its secret from what stands in a form. Raises ProvisionerError with what to do.

    Without a new password the draft's counts, then the stored one: as long as the user is the same.
    """
    order = forms.whole(form.get("order", "").strip() or "10", 6)
    if order is None:
        raise UsageError(_("The order must be a number; the lowest is tried first"))
    settings = {
        key: _setting(key, text) for key in KINDS if (text := form.get(PREFIX + key, "").strip())
    }  # fmt: skip
    body: dict[str, Any] = {
        "uri": editing.address(form.get("uri", ""), form.get("transport", "")),
        "order": order,
        "profile": form.get("profile", ""),
        "proxy": form.get("proxy", "").strip(),
        "sources": [each for each in form.get("sources", "").replace(",", " ").split() if each],
        "authorities": form.get("authorities", "").strip(),
        "settings": settings,
        "pidf_lo": bool(form.get("pidf_lo")),
        **{field: form[field] for field in ("transfer", "release") if form.get(field)},
    }
    if not body["profile"]:
        raise UsageError(_("Choose what kind of calling service it is"))
    made = editing.trunk(name, body)
    user = form.get("user", "").strip()
    drafted = draft.secret if draft and draft.secret and draft.secret.user == user else None
    kept = drafted or (stored if stored and stored.user == user else None)
    return made, editing.secret(name, user, password, form.get("realm", "").strip(), kept)


def free_name(profile: str, taken: Mapping[str, object]) -> str:
    """A name for a new trunk: of its kind, with a number where that is taken."""
    base = profile if profile in profiles() else "trunk"
    base = "trunk" if base == "generic" else base
    if base not in taken:
        return base
    found = next((f"{base}-{n}" for n in range(2, 100) if f"{base}-{n}" not in taken), "")
    if not found:
        raise OperatorError("there are too many trunks", "remove one first")
    return found
