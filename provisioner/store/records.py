"""The inventory's records: typed documents, and the immutable snapshot that edge and front answer from.

Every record has a kind (the struct's tag), an id and, in the database, a revision. Numbers are E.164
(`+14155550101`), MAC addresses twelve lower-case hex digits, times seconds since 1970 (UTC).
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from provisioner.store.backups import BackupPlan as BackupPlan
from provisioner.store.backups import BackupSecret as BackupSecret
from provisioner.store.once import once
from provisioner.store.people import Role as Role
from provisioner.store.people import User as User
from provisioner.store.people import UserSecret as UserSecret
from provisioner.store.record import Record as Record


class Practice(Record, frozen=True):
    """The customer; one record, id `practice`.

    `phone_networks`: where phones may register and call from, as `192.168.1.0/24`; empty: private addresses and
    this host's own. `max_calls`: with so many on, new ones are refused (emergency calls never are).
    `extension_quarantine_days`: how long an extension that was freed is not given again.
    `services`: the N11 codes that may be dialled. `international_calls_per_day`: to Mexico and to NANP countries other
    than the United States, its territories and Canada; 0: none. `outbound_at_once`, `outbound_per_line`,
    `outbound_per_hour` (of a line): how many outside calls; `outbound_closed`: when there are none, as `22:00-06:00`.
    `keep_calls_days`, `keep_requests_days`: after so many days a call or a request of a phone leaves its log, at least
    1. `click_auto_answer`: phones that may
    answer by themselves (their setting `auto_answer`) do so for click-to-call.
    `adoption`: which phones get anything (docs/phones.md, "Trust"); `open` until `adoption_until`, 0: no end.
    `routers`: MACs (twelve hex digits) or addresses of routers on this network that phones are behind; the gateways
    of this host are known anyway. `location_askers`: networks whose hosts may ask where any phone is (docs/phones.md).
    """

    name: str
    main_number: str
    time_zone: str = "America/Los_Angeles"
    extension_length: int = 3
    extension_quarantine_days: float = 30.0
    adoption: Literal["open", "adopted", "certificate"] = "open"
    adoption_until: float = 0.0
    routers: tuple[str, ...] = ()
    location_askers: tuple[str, ...] = ()
    services: tuple[str, ...] = ("211", "311", "411", "511", "711", "811")
    international_calls_per_day: int = 20
    outbound_at_once: int = 100
    outbound_per_line: int = 8
    outbound_per_hour: int = 120
    outbound_closed: str = ""
    keep_calls_days: int = 365
    keep_requests_days: int = 30
    click_auto_answer: bool = False
    on_hangup: Literal["complete", "recall"] = "complete"
    phone_networks: tuple[str, ...] = ()
    max_calls: int = 200


Level = Literal["practice", "building", "floor", "room"]


class Setup(Record, frozen=True):
    """How far the first start has come; one record, id `setup`. `step`: the furthest one that was shown.

    `done`: when it was ended, in seconds since 1970, 0 before. `country`: of addresses as people type them.
    """

    step: str = ""
    done: float = 0.0
    country: Literal["US", "CA"] = "US"


class Location(Record, frozen=True):
    """A place where phones are, or a part of one: a room of a floor of a building of the practice.

    `civic`: RFC 5139 elements by name (`country`, `A1`, `A3`, `RD`, `HNO`, `FLR`, …), only those that are its own; the
    others come from its `parent` (`Snapshot.place`). `networks`: where its phones register from, as `192.168.1.0/24`;
    `neighbours`: switch ports that they hang on, as they tell it. Both are the parent's where empty.
    `identifiers`: what carriers call it, by the names that trunk profiles use (docs/trunks.md).
    """

    name: str
    civic: dict[str, str]
    parent: str = ""
    level: Level = "building"
    networks: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    identifiers: dict[str, str] = {}


class Placement(Record, frozen=True):
    """Somebody confirmed that a phone (the id is its MAC) is at `location`, and how that looked on the network.

    `network`: that it registered from, as `10.0.0.0/24`; `neighbour`: the switch port that it told, or "".
    """

    location: str
    network: str
    neighbour: str
    at: float
    who: str


AddressStatus = Literal["registered", "unregistered", "pending", "correction", "failed", "stale"]


class Number(Record, frozen=True):
    """A public number of the practice; the id is its E.164 form. Inbound calls go to an extension or a ring group.

    `dial_through`: it is set aside for dial-through, and nobody's otherwise.
    `provider`: the Provider whose account it is in. `address_status`: what is known of its emergency address;
    `registered` only when the provider said so of the address of `location` (docs/e911.md). Nothing but `registered`
    makes it the calling number of an emergency call in place of another.
    """

    label: str
    extension: str = ""
    ring_group: str = ""
    location: str = ""
    provider: str = ""
    address_status: AddressStatus = "unregistered"
    caller_privacy: bool = True
    dial_through: bool = False


class DialThrough(Record, frozen=True, tag="dial_through"):
    """A temporary number: a call to `number` from `phone` is connected with `target`, which sees `calling`.

    All are E.164. `expires`: seconds since 1970; `once`: good for one call.
    """

    number: str
    phone: str
    target: str
    calling: str
    expires: float
    once: bool = False


class Provider(Record, frozen=True):
    """An account with a telephone provider, which registers emergency addresses for its numbers.

    `account`: what the provider calls the account, where its API asks for it. `url`: in place of the provider's own
    address, for its test system or `provisioner training provider`.
    """

    api: Literal["twilio", "bandwidth", "bandwidth-dash", "telnyx", "core"]
    account: str = ""
    url: str = ""


class ProviderSecret(Record, frozen=True, tag="provider_secret"):
    """What we show to a provider (the id is the Provider's): user or key, and password, secret or token."""

    user: str = ""
    password: str = ""


class Postal(msgspec.Struct, frozen=True, kw_only=True):
    """An address as providers take it, in lines. `inside`: building, floor, suite, room; `name`: who is there."""

    street: str
    inside: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = "US"
    name: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said of a number when it was last asked. `detail`: its own words where it gave any."""

    at: float
    status: Literal["registered", "absent", "pending", "removing", "failed"]
    address: Postal | None = None
    address_id: str = ""
    detail: str = ""


RegistrationState = Literal[
    "draft",
    "validating",
    "needs_choice",
    "corrected",
    "invalid",
    "submitting",
    "pending",
    "registered",
    "changing",
    "removing",
    "unregistered",
    "failed",
    "needs_provider_human",
]
Step = Literal["", "read", "validate", "prepare", "assign", "release", "discard"]


class Registration(Record, frozen=True):
    """The registration of one number's emergency address with its provider (emergency/registration.py).

    `wanted`: the address of the number's location; None: it is to have none. `accepted`: the form of it that the
    provider takes. `choices`: what the provider offers in its place. `step`: what is done next, at `due`; "": nothing
    until a person acts. `sent`: a write that was begun and of whose end nothing is known. `written`: when the
    provider last took an assignment; `tries`: how often since `wanted` changed. `address_id`: the provider's name of
    `accepted`; `old_ids`: of addresses that we made and need no more. `order`: its name of an order that is not done.
    `as_typed`: a person wants `wanted` and no correction of it.
    `gap_since`: since when the number has no address, 0: it has one; `gap_seconds`: how long the last gap was.
    """

    provider: str
    wanted: Postal | None = None
    accepted: Postal | None = None
    choices: tuple[Postal, ...] = ()
    state: RegistrationState = "draft"
    since: float = 0.0
    step: Step = "read"
    due: float = 0.0
    sent: Step = ""
    written: float = 0.0
    tries: int = 0
    attempts: int = 0
    error: str = ""
    reading: Reading | None = None
    address_id: str = ""
    old_ids: tuple[str, ...] = ()
    as_typed: bool = False
    order: str = ""
    gap_since: float = 0.0
    gap_seconds: float = 0.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a phone: its extension, the number that it shows outside, and the words on its key."""

    extension: str
    number: str = ""
    name: str = ""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One programmable key. `position` counts from 1 through the phone's own keys, then those of its modules.

    `value`: the 1-based line for `line`, what is dialled or watched for the others.
    """

    position: int
    function: Literal["line", "blf", "speed_dial"]
    value: str
    label: str = ""


class Phone(Record, frozen=True):
    """An adopted desk phone; the id is its MAC. `location` names a Location record, `group` a PhoneGroup.

    `modules`: expansion modules plugged in, by the catalogue's names, in their order.
    """

    vendor: str
    model: str
    lines: tuple[Line, ...] = ()
    location: str = ""
    front_desk: bool = False
    group: str = ""
    keys: tuple[Key, ...] = ()
    modules: tuple[str, ...] = ()


class RetiredPhone(Record, frozen=True, tag="retired_phone"):
    """A phone that was the practice's, until `at`; the id is its MAC. It has no secrets any more."""

    vendor: str
    model: str
    extensions: tuple[str, ...]
    at: float
    who: str


class IgnoredPhone(Record, frozen=True, tag="ignored_phone"):
    """A phone that asks and that somebody does not want to see among those that wait; the id is its MAC."""

    at: float
    who: str


class ExtensionRange(Record, frozen=True, tag="extension_range"):
    """Extensions `first` to `last` for the phones of a place (with its parts), a group, or whatever `name` says.

    The id is `first-last`. Phones that belong there get theirs from it first; others get none of it by themselves.
    """

    first: str
    last: str
    name: str
    location: str = ""
    group: str = ""


class HeldExtension(Record, frozen=True, tag="held_extension"):
    """An extension (the id) that is not given: `reserved` until somebody releases it, or `freed` and in quarantine.

    `name`: for whom it is kept, or who had it; `phone`: the MAC that had it. `until`: 0: no end. One that has ended
    stays, as a record of who had the extension last, until it is given again.
    """

    reason: Literal["reserved", "freed"]
    name: str
    at: float
    who: str
    phone: str = ""
    until: float = 0.0

    def holds(self, now: float) -> bool:
        """Whether the extension may not be given at `now`."""
        return self.reason == "reserved" or now < self.until


class PhoneGroup(Record, frozen=True, tag="phone_group"):
    """Phones that share settings and keys, as all of one department."""

    name: str
    keys: tuple[Key, ...] = ()


class PhoneSettings(Record, frozen=True, tag="phone_setting"):
    """One layer of phone settings: neutral names of `phones/vocabulary.py` to values, only those that it sets.

    The id says whom it is for: `vendor:yealink`, `model:yealink/T46S`, `site`, `group:<id>`, `phone:<mac>`.
    """

    values: dict[str, str | int | bool | list[str] | dict[str, str]]


EXTENSION_SECONDS = 30.0  # that the phone of an extension rings for, where nothing else is said
GROUP_SECONDS = 30.0  # of a simultaneous group without seconds of its own
MEMBER_SECONDS = 15.0  # of a member of a sequential one


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One of a ring group: an extension, or an outside number (E.164) that is reached through the core.

    `seconds` that it rings for; 0: as long as the group (simultaneous), MEMBER_SECONDS (sequential).
    """

    target: str
    seconds: int = 0


class RingGroup(Record, frozen=True, tag="ring_group"):
    """Who rings for a number, together or one after the other; a member that is a string has no seconds of its own.

    `seconds`: overall; 0: GROUP_SECONDS (simultaneous), as long as one round takes (sequential). `screening`: who
    picks up hears who calls, and has the call with key 1.
    """

    name: str
    members: tuple[str | Member, ...]
    mode: Literal["simultaneous", "sequential"] = "simultaneous"
    seconds: int = 0
    screening: bool = False

    @property
    def each(self) -> tuple[Member, ...]:
        """All members in one form."""
        return tuple(Member(target=each) if isinstance(each, str) else each for each in self.members)


class LineFeatures(Record, frozen=True, tag="line_feature"):
    """What the edge does with calls to one extension (the id): nothing of it is in the phone (docs/calls.md).

    The targets are extensions or E.164 numbers, empty for none. `forward_no_answer_seconds`: how long the phone rings
    before that. `screening`: as of a RingGroup.
    """

    do_not_disturb: bool = False
    forward_always: str = ""
    forward_busy: str = ""
    forward_no_answer: str = ""
    forward_no_answer_seconds: int = 20
    screening: bool = False


class Recording(Record, frozen=True):
    """A recording of the practice's own in the place of a prompt (the id); `digest`: SHA-256 of what is played."""

    seconds: float
    digest: str


class Trunk(Record, frozen=True):
    """A way to a cloud core (docs/trunks.md). Lower `order` is tried first.

    `uri`: its domain, or an address. `proxy`: a URI to send to in its place. `profile`: what kind of core it is;
    `settings` change single keys of the profile. `sources`: further addresses and networks (CIDR) that calls may come
    from. `pidf_lo`: the core takes the location with a 911 call. `authorities`: PEM, in place of the system's.
    `transfer`: who plays the menus of a warm transfer; `release`: what the edge does with both legs after one.
    """

    uri: str
    order: int = 10
    transfer: Literal["edge", "core"] = "edge"
    release: Literal["bridge", "refer"] = "bridge"
    pidf_lo: bool = True
    sources: tuple[str, ...] = ()
    profile: str = "generic"
    settings: dict[str, str | int | bool | list[str] | dict[str, str]] = {}
    proxy: str = ""
    authorities: str = ""


class TrunkSecret(Record, frozen=True, tag="trunk_secret"):
    """What the edge shows to a core (the id is the Trunk's): user, password, and the only realm that may ask."""

    user: str
    password: str
    realm: str = ""


class Notifying(Record, frozen=True, tag="notice_setting"):
    """Whom emergency calls are told to, and when 933 is called by itself; one record, id `notices` (docs/emergency.md).

    `ring`: front-desk phones ring. `tests`: calls to 933 are told too. `mail_*`: the server and addresses of e-mail;
    none without `mail_host` and `mail_to`. `webhooks`: URLs. `test_days`: how often each line calls 933 by itself (0:
    never), `test_hours`: in which hours of the practice.
    """

    ring: bool = True
    tests: bool = False
    mail_host: str = ""
    mail_port: int = 587
    mail_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_user: str = ""
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()
    test_days: float = 30.0
    test_hours: str = "02:00-05:00"


class NoticeSecret(Record, frozen=True, tag="notice_secret"):
    """The password of the mail server, and the key that webhooks are signed with; id as of Notifying."""

    mail_password: str = ""
    webhook_key: str = ""


class LineCredential(msgspec.Struct, frozen=True, kw_only=True):
    """What one line registers with."""

    auth_user: str
    password: str


class Credential(Record, frozen=True):
    """The secrets of one phone (the id is its MAC): a SIP account per line, the passwords of its own pages.

    `http_user`, `http_password`: what it fetches its files with; `path_secret`: the folder that it asks for them in.
    `file_key`: what its encrypted files are read with, 16 letters and digits; "": they are not encrypted.
    `welcome_until`: till then it may have its first files without having proved itself, once.
    """

    lines: tuple[LineCredential, ...] = ()
    admin_password: str = ""
    user_password: str = ""
    http_user: str = ""
    http_password: str = ""
    path_secret: str = ""
    file_key: str = ""
    welcome_until: float = 0.0


KINDS: tuple[type[Record], ...] = (
    Practice,
    Setup,
    Location,
    Placement,
    Number,
    DialThrough,
    Provider,
    ProviderSecret,
    Registration,
    Phone,
    PhoneGroup,
    PhoneSettings,
    RetiredPhone,
    IgnoredPhone,
    ExtensionRange,
    HeldExtension,
    Recording,
    RingGroup,
    LineFeatures,
    Trunk,
    TrunkSecret,
    Credential,
    Notifying,
    NoticeSecret,
    User,
    UserSecret,
    BackupPlan,
    BackupSecret,
)
SECRET_KINDS = frozenset(  # never in the audit log, an export or the API
    {"credential", "trunk_secret", "provider_secret", "notice_secret", "user_secret", "backup_secret"}
)
APART_KINDS = frozenset(  # not in snapshots either: no call needs them
    {"provider_secret", "notice_secret", "user", "user_secret", "backup_plan", "backup_secret"}
)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The whole inventory at one revision, as edge and front hold it in memory; by id."""

    revision: int
    practice: Practice
    setups: dict[str, Setup] = {}
    locations: dict[str, Location] = {}
    placements: dict[str, Placement] = {}
    numbers: dict[str, Number] = {}
    dial_throughs: dict[str, DialThrough] = {}
    providers: dict[str, Provider] = {}
    registrations: dict[str, Registration] = {}
    phones: dict[str, Phone] = {}
    phone_groups: dict[str, PhoneGroup] = {}
    phone_settings: dict[str, PhoneSettings] = {}
    retired_phones: dict[str, RetiredPhone] = {}
    ignored_phones: dict[str, IgnoredPhone] = {}
    extension_ranges: dict[str, ExtensionRange] = {}
    held_extensions: dict[str, HeldExtension] = {}
    recordings: dict[str, Recording] = {}
    ring_groups: dict[str, RingGroup] = {}
    line_features: dict[str, LineFeatures] = {}
    trunks: dict[str, Trunk] = {}
    trunk_secrets: dict[str, TrunkSecret] = {}
    credentials: dict[str, Credential] = {}
    notice_settings: dict[str, Notifying] = {}

    @property
    def notifying(self) -> Notifying:
        """Whom emergency calls are told to."""
        return self.notice_settings.get("notices") or Notifying(id="notices")

    @cached_property
    def _holders(self) -> dict[str, tuple[Phone, int]]:
        found: dict[str, tuple[Phone, int]] = {}
        for phone in self.phones.values():
            for index, line in enumerate(phone.lines):
                found.setdefault(line.extension, (phone, index))
        return found

    def line(self, extension: str) -> tuple[Phone, int] | None:
        """The phone and 0-based line index that hold `extension`."""
        return self._holders.get(extension)

    @once
    def lineage(self, location: str) -> tuple[Location, ...]:
        """A location and those that it is a part of, the innermost first; () when there is none of that id."""
        found: list[Location] = []
        while (here := self.locations.get(location)) and here not in found:
            found.append(here)
            location = here.parent
        return tuple(found)

    @once
    def place(self, location: str) -> Location | None:
        """A location with its whole address, its networks and neighbours; what is nearer wins."""
        lineage = self.lineage(location)
        if not lineage:
            return None
        civic: dict[str, str] = {}
        for each in reversed(lineage):
            civic |= each.civic
        return msgspec.structs.replace(
            lineage[0],
            civic=civic,
            networks=next((each.networks for each in lineage if each.networks), ()),
            neighbours=next((each.neighbours for each in lineage if each.neighbours), ()),
        )

    def covers(self, outer: str, inner: str) -> bool:
        """Whether what is registered for `outer` is true of `inner`: it, or a part of it, in one building."""
        return outer in self._covering(inner)

    @once
    def _covering(self, inner: str) -> frozenset[str]:
        return frozenset(each.id for each in self.lineage(inner) if each.level != "practice")

    def extensions(self) -> list[str]:
        """All extensions in use, in order."""
        return sorted(line.extension for phone in self.phones.values() for line in phone.lines)
