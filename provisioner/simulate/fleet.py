"""Many phones of many models at once: each starts, upgrades and registers, and a report of what each did."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

import msgspec

from provisioner.errors import OperatorError, ProvisionerError, UsageError
from provisioner.phones import bulk
from provisioner.phones.identity import normal_mac
from provisioner.simulate.files import check_url
from provisioner.simulate.handset import Handset
from provisioner.simulate.phone import Phone
from provisioner.simulate.pnp import GROUP, discover
from provisioner.simulate.vendors import MAKERS, catalogue, phone_type, phone_types
from provisioner.simulate.vendors.base import Configuration, PhoneType

MOST = 10_000
AT_ONCE = 50  # phones under way; each has a connection and, to register, sockets of its own
OUIS = {"polycom": "64167f", "yealink": "805ec0", "grandstream": "c074ad"}
FIRST = 0xF00000  # of the derived MACs' other half: beyond what the demo and most shelves have
MOST_LINES = 100  # of a small fleet every phone is told of, of a large one those that need a look
ASK_AGAIN = 1.0  # seconds between the questions of a phone that waits to be adopted

Member = tuple[PhoneType, str]
"""A phone to be: its model and its MAC."""


@dataclass
class Report:
    """What one phone did. `state`: registered, configured (has an account), waiting or failed."""

    mac: str
    vendor: str
    model: str
    state: str = "failed"
    requests: int = 0
    restarts: list[dict[str, object]] = field(default_factory=list)
    needless: int = 0
    firmware: tuple[str, str] = ("", "")
    faults: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether something is to be looked at."""
        return self.state == "failed" or bool(self.faults)


def _matching(what: str) -> list[PhoneType]:
    """`yealink`, `yealink/w` (a family of vendors/yealink.toml) or `yealink/T46S`. Raises UsageError."""
    vendor, _, name = what.partition("/")
    found = [
        kind
        for kind in phone_types()
        if kind.maker.name == vendor
        and (not name or kind.family is kind.maker.families.get(name) or kind.name == name)
    ]
    if found:
        return found
    if name:
        return [phone_type(vendor, name)]
    raise UsageError(
        f"{what!r} is no maker; --mix takes MAKER, MAKER/FAMILY or MAKER/MODEL, each with =SHARE"
    )


def _shares(mix: str) -> list[tuple[list[PhoneType], int]]:
    """Models with their share; without a mix every family of every maker has one."""
    if not mix:
        groups: dict[int, list[PhoneType]] = {}
        for kind in phone_types():
            groups.setdefault(id(kind.family), []).append(kind)
        return [(group, 1) for group in groups.values()]
    shares = []
    for part in mix.split(","):
        what, _, share = part.strip().partition("=")
        if share and not (share.isdecimal() and int(share)):
            raise UsageError(f"{part.strip()!r}: the share is a whole number from 1 on, as yealink/T46S=3")
        shares.append((_matching(what), int(share or 1)))
    return shares


def roster(count: int, mix: str = "") -> list[Member]:
    """`count` phones in the shares of `mix`, with MACs derived from their places. Raises UsageError."""
    turns = [itertools.repeat(itertools.cycle(kinds), share) for kinds, share in _shares(mix)]
    one_round = [kinds for turn in turns for kinds in turn]
    kinds: Iterator[PhoneType] = (next(each) for each in itertools.cycle(one_round))
    numbers = {vendor: itertools.count(FIRST + 1) for vendor in OUIS}
    return [
        (kind, f"{OUIS[kind.maker.name]}{next(numbers[kind.maker.name]):06x}")
        for kind in itertools.islice(kinds, count)
    ]


def listed(path: Path) -> list[Member]:
    """The phones of a table as the appliance exports and imports them. Raises UsageError or OperatorError."""
    try:
        table = bulk.parse(path.read_bytes())
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read ({error.strerror})", "give a CSV file with the columns MAC and Model"
        ) from None
    if table.problems:
        raise UsageError(f"{path}: {table.problems[0]}")
    return [_member(f"{path} line {line}", cells) for line, cells in table.rows]


def _member(where: str, cells: dict[str, str]) -> Member:
    """One row of such a table. Raises UsageError."""
    mac = normal_mac(cells.get("mac", ""))
    if not mac:
        raise UsageError(f"{where} has no MAC address in its column `mac`")
    name = cells.get("model", "")
    found = bulk.model_named(catalogue(), name, cells.get("vendor", ""), mac)
    if found is None:
        raise UsageError(f"{where}: {name!r} is no model; see phone_templates/*/models.toml")
    vendor, model = found
    return MAKERS[vendor].type_of(model), mac


@dataclass(frozen=True)
class Terms:
    """How a fleet is run. `wait`: seconds that a phone waits to be adopted; `context` of https.

    `pnp`: where phones that do so ask by multicast when they start, None: they do not.
    """

    server: str
    register: bool = True
    bind: str = "127.0.0.1"
    wait: float = 0.0
    at_once: int = AT_ONCE
    context: ssl.SSLContext | None = None
    pnp: tuple[str, int] | None = None


async def _start(handset: Handset, wait: float) -> Configuration:
    """Start, and ask again while nobody has adopted it."""
    clock = asyncio.get_running_loop().time
    limit = clock() + wait
    configuration = await handset.start()
    while configuration.account is None and clock() < limit:
        await asyncio.sleep(ASK_AGAIN)
        configuration = await handset.check()
    return configuration


async def _register(phone: Phone) -> None:
    """With sockets of its own, for as long as that takes."""
    await phone.open()
    try:
        phone.use(phone.configuration)
        await phone.register()
    finally:
        await phone.close(0.0)


async def run_one(member: Member, terms: Terms, rng: Random) -> Report:
    """One phone's life; never raises for what the phone met."""
    kind, mac = member
    report = Report(mac, kind.maker.name, kind.name)
    phone = Phone(kind, mac, terms.server, rng, terms.bind)
    phone.handset.context = terms.context
    if terms.pnp:
        phone.handset.discover = partial(discover, bind=terms.bind, rng=rng, target=terms.pnp)
    try:
        configuration = await _start(phone.handset, terms.wait)
        report.state = "configured" if configuration.account else "waiting"
        if terms.register and configuration.account:
            await _register(phone)
            report.state = "registered"
    except (ProvisionerError, OSError, TimeoutError) as error:
        report.state, report.error = "failed", str(error) or "no answer in time"
    return finished(report, phone.handset)


def finished(report: Report, handset: Handset) -> Report:
    """The report with all that the phone counted."""
    report.requests = handset.requests
    report.restarts = [{"why": each.words, "needless": each.needless} for each in handset.restarts]
    report.needless = sum(each.needless for each in handset.restarts)
    report.firmware = (handset.kind.version, handset.flash.version)
    report.faults = list(handset.flash.faults)
    return report


async def run(
    members: Sequence[Member], terms: Terms, rng: Random, tell: Callable[[Report], None]
) -> list[Report]:
    """All phones, `terms.at_once` at a time; `tell` hears each report as it comes."""
    places = asyncio.Semaphore(terms.at_once)

    async def one(member: Member) -> Report:
        async with places:
            report = await run_one(member, terms, rng)
            tell(report)
            return report

    return list(await asyncio.gather(*(one(member) for member in members)))


def summary(reports: Sequence[Report], seconds: float) -> dict[str, object]:
    """The fleet in one row."""
    states = ("registered", "configured", "waiting", "failed")
    return {
        "phones": len(reports),
        **{state: sum(report.state == state for report in reports) for state in states},
        "faulty_files": sum(bool(report.faults) for report in reports),
        "requests": sum(report.requests for report in reports),
        "restarts": sum(len(report.restarts) for report in reports),
        "needless_restarts": sum(report.needless for report in reports),
        "upgraded": sum(report.firmware[0] != report.firmware[1] for report in reports),
        "seconds": round(seconds, 2),
    }


def _line(report: Report) -> str:
    """A report in words."""
    change = " to ".join(dict.fromkeys(report.firmware))
    words = [f"{report.mac}  {report.vendor:<11} {report.model:<22} {report.state:<10} {change}"]
    words.append(
        f"{report.requests} requests, {len(report.restarts)} restarts, {report.needless} of them needless"
    )
    words += [str(each["why"]) for each in report.restarts] + report.faults + [report.error]
    return "; ".join(word for word in words if word)


def main(
    server: str,
    count: int = 30,
    mix: str = "",
    phones: Path | None = None,
    register: bool = True,
    wait: float = 0.0,
    at_once: int = AT_ONCE,
    ca: Path | None = None,
    pnp: bool = False,
    as_json: bool = False,
    bind: str = "127.0.0.1",
    rng: Random | None = None,
) -> int:
    """Run a fleet; 1 when some phone failed, else 0. Raises ProvisionerError for wrong use.

    `phones`: a table of them instead of `count` and `mix`; `ca`: who certifies the server, where that is https.
    """
    members = listed(phones) if phones else roster(count, mix)
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    terms = Terms(check_url(server), register, bind, wait, at_once, context, GROUP if pnp else None)

    def tell(report: Report) -> None:
        if as_json:
            sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        elif report.failed or report.needless or len(members) <= MOST_LINES:
            sys.stdout.write(_line(report) + "\n")
        sys.stdout.flush()

    began = time.monotonic()
    reports = asyncio.run(run(members, terms, rng or SystemRandom(), tell))
    row = summary(reports, time.monotonic() - began)
    plain = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in row.items())
    sys.stdout.write((msgspec.json.encode(row).decode() if as_json else plain) + "\n")
    return int(any(report.failed for report in reports))
