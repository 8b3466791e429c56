"""What the parts of backups, their records and their warnings are called."""

from __future__ import annotations

from typing import NamedTuple

from provisioner.web.language import later as N_


class Words(NamedTuple):
    """A name, and what is meant by it."""

    name: str
    about: str


PART_WORDS = {
    "inventory": Words(
        N_("Phones, numbers and settings"), N_("Everything that these pages show of the practice.")
    ),
    "secrets": Words(
        N_("Passwords and keys"),
        N_("Of phones, calling service and providers. Without them each phone must fetch new ones."),
    ),
    "users": Words(
        N_("Users"), N_("Who signs in here, with passwords and second factors, and the tokens of programs.")
    ),
    "certificates": Words(
        N_("Certificates"), N_("The authority that phones trust, and the certificates of this appliance.")
    ),
    "recordings": Words(N_("Recordings"), N_("Music and announcements of your own.")),
    "overrides": Words(N_("Own templates and rules"), N_("What somebody changed of the phones' files by hand.")),
    "memory": Words(
        N_("What was learned"), N_("Where phones and calling service were last found, and today's counts of calls.")
    ),
    "evidence": Words(
        N_("911 evidence"), N_("Emergency and test calls, and who was told. It is added; nothing is taken away.")
    ),
    "calls": Words(N_("Call log"), N_("Past calls. They are added; nothing is taken away.")),
    "requests": Words(
        N_("Requests and uploads"), N_("What phones asked for, were given, and sent. It is added.")
    ),
    "firmware": Words(N_("Firmware"), N_("The images that phones are upgraded with. Can be large.")),
}  # fmt: skip
OPTIONAL = {name: PART_WORDS[name] for name in ("calls", "requests", "firmware")}

KIND_WORDS = {
    "practice": N_("practice settings"),
    "setup": N_("how far the first start has come"),
    "ignored_phone": N_("ignored phones"),
    "location": N_("locations"),
    "placement": N_("confirmed places"),
    "number": N_("numbers"),
    "dial_through": N_("temporary numbers"),
    "provider": N_("providers"),
    "provider_secret": N_("passwords of providers"),
    "registration": N_("registered addresses"),
    "phone": N_("phones"),
    "phone_group": N_("groups"),
    "phone_setting": N_("layers of phone settings"),
    "retired_phone": N_("retired phones"),
    "extension_range": N_("ranges of extensions"),
    "held_extension": N_("kept extensions"),
    "recording": N_("recordings"),
    "ring_group": N_("ring groups"),
    "line_feature": N_("call handling of extensions"),
    "trunk": N_("calling services"),
    "trunk_secret": N_("passwords of calling services"),
    "credential": N_("secrets of phones"),
    "notice_setting": N_("whom emergency calls are told to"),
    "notice_secret": N_("passwords of notices"),
    "user": N_("users"),
    "user_secret": N_("passwords of users"),
    "backup_plan": N_("the plan of backups"),
    "backup_secret": N_("the passphrase of the plan"),
    "emergencies": N_("emergency calls"),
    "notices": N_("notices"),
    "calls": N_("calls"),
    "requests": N_("requests"),
    "sightings": N_("phones that were seen"),
    "served": N_("files that phones were given"),
    "skeletons": N_("kinds of such files"),
    "files": N_("files"),
}

OCCASIONS = {
    "hand": N_("By hand"),
    "daily": N_("Each day"),
    "restore": N_("Before a restore"),
}

WARNINGS = {
    "address": N_(
        "The backup is of an appliance at {there}; this one is at {here}. Phones that were told the old address look "
        "there: give this appliance that address, or change what your DHCP server tells (Settings, DHCP)."
    ),
    "practice": N_("The backup is of “{there}”; this appliance is that of “{here}”."),
    "no-secrets": N_(
        "There are no passwords in this backup. Phones that this appliance does not know get new ones when they next "
        "fetch their files, within a week; those of calling service and providers must be typed again."
    ),
    "users": N_("Afterwards only the users in the backup can sign in, with their passwords of that time."),
    "no-users": N_("There are no users in this backup: those who can sign in now still can."),
    "old": N_("The backup is {days} days old: emergency addresses are asked for again at once."),
}
