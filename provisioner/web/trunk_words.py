"""What the pages say of trunks: the fields of the form with their help, and each step of a test in plain words."""

from __future__ import annotations

from typing import Any, NamedTuple

from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_


class Setting(NamedTuple):
    """One key of a profile as a field: `kind` is yes-no, choice, number, text, list or table (`Name: value` lines)."""

    key: str
    kind: str
    name: str
    help: str
    choices: tuple[str, ...] = ()


class Choice(NamedTuple):
    """One value that may be chosen, and what it means."""

    value: str
    words: str


TRANSPORTS = (
    Choice("", N_("As the provider's name says (DNS)")),
    Choice("udp", N_("UDP")),
    Choice("tcp", N_("TCP")),
    Choice("tls", N_("TLS (encrypted)")),
)
TRANSFERS = (
    Choice("edge", N_("This appliance plays the menus: works with every service")),
    Choice("core", N_("The calling service plays the menus")),
)
RELEASES = (
    Choice("bridge", N_("The call stays connected through this appliance")),
    Choice("refer", N_("The calling service connects both, and this appliance leaves")),
)

SETTINGS: tuple[tuple[str, tuple[Setting, ...]], ...] = (
    (
        N_("Connection"),
        (
            Setting("transports", "list", N_("Transports"), N_("The dearest first: UDP, TCP, TLS.")),
            Setting(
                "authentication",
                "choice",
                N_("How it knows you"),
                N_(
                    "register: this appliance signs in and stays so; invite: it is asked for the password at a call; "
                    "none: by your address."
                ),
                ("none", "invite", "register"),
            ),
            Setting("expires", "number", N_("Sign-in lasts (seconds)"), N_("What a registration asks for.")),
            Setting(
                "keep_alive",
                "number",
                N_("Sign of life (seconds)"),
                N_("Between pings on TCP and TLS; 0 for none."),
            ),
            Setting(
                "options",
                "yes-no",
                N_("Ask whether it is there"),
                N_("By OPTIONS every 9 seconds. Without, only calls tell."),
            ),
            Setting(
                "tls_wildcards",
                "yes-no",
                N_("Wildcard certificates"),
                N_("Take a certificate for *.example.com for sbc.example.com."),
            ),
            Setting(
                "request_host",
                "choice",
                N_("Host of the request"),
                N_("domain: its name; target: the address that the name led to."),
                ("domain", "target"),
            ),
            Setting(
                "session_timers", "yes-no", N_("Session timers"), N_("Ask for one on each call (RFC 4028).")
            ),
            Setting(
                "headers",
                "table",
                N_("Further headers"),
                N_("On each call, a line each, as X-Tech-Prefix: 7."),
            ),
        ),
    ),
    (
        N_("Numbers and callers"),
        (
            Setting(
                "number_format",
                "choice",
                N_("Form of numbers"),
                N_("+e164 is +12125550100, e164 is 12125550100, national is 2125550100."),
                ("+e164", "e164", "national"),
            ),
            Setting(
                "identity",
                "list",
                N_("Calling number in"),
                N_("pai, ppi, rpid, or none: which headers hold the number that is shown."),
            ),
            Setting(
                "from_host",
                "choice",
                N_("Host in From"),
                N_("own: this appliance's; domain: the service's."),
                ("own", "domain"),
            ),
            Setting(
                "from_user",
                "choice",
                N_("User in From"),
                N_("The calling number, or the account's user name."),
                ("number", "account"),
            ),
            Setting(
                "called",
                "list",
                N_("Called number in"),
                N_("request-uri, to, p-called-party-id, diversion: where inbound calls name your number."),
            ),
        ),
    ),
    (
        N_("Audio and transfers"),
        (
            Setting(
                "srtp",
                "choice",
                N_("Encrypted audio"),
                N_("Over TLS only. required: calls without are not made (911 always is)."),
                ("off", "optional", "required"),
            ),
            Setting(
                "dtmf",
                "choice",
                N_("Key presses"),
                N_("How the service takes them."),
                ("rfc4733", "info", "inband"),
            ),
            Setting(
                "refer",
                "yes-no",
                N_("Takes transfers (REFER)"),
                N_("Needed when the service is to connect both after a transfer."),
            ),
            Setting(
                "reliable_provisional",
                "yes-no",
                N_("Early audio sent reliably"),
                N_("100rel, for services that insist on it (RFC 3262)."),
            ),
            Setting(
                "no_voicemail",
                "table",
                N_("Headers against voicemail"),
                N_("Said where no mailbox is to answer, a line each."),
            ),
        ),
    ),
    (
        N_("911"),
        (
            Setting(
                "location",
                "choice",
                N_("Location of the caller"),
                N_("How it travels with a 911 call. none: the service knows it by the number, as most do."),
                ("none", "value", "reference", "identifier"),
            ),
            Setting(
                "location_base",
                "text",
                N_("Address for references"),
                N_("Where the service reaches /held of this appliance, as https://clinic.example/held."),
            ),
            Setting(
                "location_identifier",
                "text",
                N_("Identifier that is the location"),
                N_("Which of a location's identifiers is sent, as telnyx.geolocation."),
            ),
            Setting(
                "location_source",
                "text",
                N_("Who says the location"),
                N_("A host name, for services that ask for it (RFC 8787)."),
            ),
            Setting(
                "geolocation_routing",
                "choice",
                N_("Route by that location"),
                N_("Without yes, the registered address counts."),
                ("yes", "no", "none"),
            ),
            Setting(
                "emergency_user",
                "text",
                N_("Caller of 911 calls"),
                N_("number, or which identifier of the location stands in its place."),
            ),
            Setting(
                "emergency_uri",
                "choice",
                N_("911 is called as"),
                N_("A number, or urn:service:sos."),
                ("number", "urn"),
            ),
            Setting(
                "emergency_headers",
                "table",
                N_("Headers of 911 calls"),
                N_("A line each; {redsky.organization} stands for the location's identifier of that name."),
            ),
        ),
    ),
)
KINDS = {setting.key: setting.kind for _group, settings in SETTINGS for setting in settings}

STEPS = {
    "name": N_("Name"),
    "reach": N_("Connection"),
    "answer": N_("Answer"),
    "password": N_("Password"),
}
_RUNNING = {
    "name": N_("Looking up {host} …"),
    "reach": N_("Asking {address} by {transport} …"),
    "answer": N_("Waiting …"),
    "password": N_("Showing the user name and password …"),
}
# step, code: what was found, and what to do ("": nothing).
_WORDS = {
    ("name", "numeric"): (N_("{host} is an address: there is nothing to look up"), ""),
    ("name", "found"): (N_("{host} was found"), ""),
    ("name", "unknown"): (
        N_("There is no calling service at {host}"),
        N_("Compare the spelling with your provider's page. Some give each customer a name of their own."),
    ),
    ("name", "dns-dead"): (
        N_("{host} could not be looked up: the name servers do not answer"),
        N_("Check this machine's internet connection, and which name servers (DNS) its network settings name."),
    ),
    ("reach", "reached"): (N_("{address} answers by {transport}"), ""),
    ("reach", "silent"): (
        N_("Nothing comes back from it"),
        N_(
            "Let this machine's calls out through the firewall, and check port and transport with the provider. Many "
            "say nothing to an address that they do not know: enter your public address in their portal."
        ),
    ),
    ("reach", "quiet"): (
        N_("Nothing comes back, as is usual for this kind of service"),
        N_("Save it, then place a call: that tells."),
    ),
    ("reach", "unreachable"): (
        N_("It cannot be reached"),
        N_(
            "Check the port, whether it is UDP, TCP or TLS, and the firewall. For a certificate that is refused, "
            "use the name that the provider gives, not an address."
        ),
    ),
    ("answer", "answered"): (N_("It is a calling service, and it is up (it said {status})"), ""),
    ("answer", "forbidden"): (
        N_("It is up, but says that this address may not ask (403)"),
        N_("Enter your public address in the provider's portal, where it knows customers by address."),
    ),
    ("answer", "unavailable"): (
        N_("It is there, but says that it is out of service (503)"),
        N_("Look at the provider's status page, and try again in some minutes."),
    ),
    ("password", "accepted"): (N_("The user name and password are right"), ""),
    ("password", "unasked"): (N_("It took the user name without asking for the password"), ""),
    ("password", "by-address"): (N_("No password is needed: the service knows you by your address"), ""),
    ("password", "missing"): (
        N_("The service asks for a user name and password"),
        N_("Type those that the provider's portal shows for this trunk: mostly others than those of the portal."),
    ),
    ("password", "rejected"): (
        N_("The user name or password is wrong"),
        N_("Copy both anew from the provider's portal: they are of the SIP trunk, not of your login there."),
    ),
    ("password", "forbidden"): (
        N_("The service does not let this user in (403)"),
        N_("Check the user name, and whether the provider lets this user in from your public address."),
    ),
    ("password", "no-account"): (
        N_("The service does not know this user (404)"),
        N_("Compare the user name, and the name of the service, with the provider's portal."),
    ),
    ("password", "not-told"): (
        N_("Whether the password is right, this service tells only when you are signed in"),
        N_("Save it: the list of trunks then says whether it is signed in."),
    ),
    ("password", "at-call"): (
        N_("The service asks for the password only when a call is made"),
        N_("Save it, then call your mobile phone from a desk phone."),
    ),
}  # fmt: skip
_HERE = (N_("The test could not be made: {problem}"), N_("Try again."))


class Told(NamedTuple):
    """One step of a test for people. `level`: as of a state dot, "" while it waits; `more`: further lines."""

    name: str
    level: str
    what: str
    remedy: str
    more: list[str]


def told(step: dict[str, Any]) -> Told:
    """A step of the edge's `trunk_test` in words."""
    name, state, code, detail = step["step"], step["state"], step["code"], step["detail"]
    title = _(STEPS[name])
    if state == "waiting":
        return Told(title, "", _("Not yet"), "", [])
    shown = {"host": "", "address": "", "transport": "", "status": "", "problem": "", **detail}
    if state == "running":
        return Told(title, "busy", _(_RUNNING[name]).format(**shown), "", _failed(detail))
    what, remedy = _HERE if code == "here" else _WORDS.get((name, code), (N_("It ended otherwise"), ""))
    return Told(title, state, _(what).format(**shown), _(remedy) if remedy else "", _more(detail))


def _failed(detail: dict[str, Any]) -> list[str]:
    return [
        _("{address} by {transport}: {problem}").format(
            address=address, transport=transport, problem=_("no answer") if problem == "silent" else problem
        )
        for transport, address, problem in detail.get("failed", [])
    ]


def _more(detail: dict[str, Any]) -> list[str]:
    lines = [
        _("{address} by {transport}").format(address=address, transport=transport)
        for transport, address in detail.get("targets", [])
    ]
    if seen := detail.get("seen"):
        lines.append(_("It sees this appliance at {address}").format(address=seen))
    return lines + _failed(detail)


def verdict(view: dict[str, Any]) -> tuple[str, str]:
    """(level, words) for a whole test."""
    if not view["done"]:
        return "busy", _("Testing …")
    states = [step["state"] for step in view["steps"]]
    if "bad" in states:
        return "bad", _("It does not work yet")
    if "warn" in states:
        return "warn", _("It may work; one thing could not be seen")
    return "good", _("It works")
