"""/metrics for Prometheus: what this process knows, and what edge, front and media answer within a moment.

No number of the outside, no name of a person and no MAC is a label; each label has a known set of values.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import psutil
from flask import Blueprint, Response, request
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from provisioner import __version__
from provisioner.ipc import Gone, Json, Refused, ask
from provisioner.keeping import kept
from provisioner.phones.boot import VENDORS
from provisioner.web import api, jobs, readiness, signing, views
from provisioner.web.session import sources
from provisioner.web.sources import World

PATIENCE = 0.5  # seconds for one process; a scrape must not wait for one that hangs
PROCESSES = ("front", "edge", "media", "notifier")
CALL_STATES = ("ringing", "talking", "menu", "consulting", "held", "other")
_COUNTER = re.compile(r"[a-z][a-z0-9-]{0,40}")
_MAX_NAMES = 60  # of the edge's own counters
_RULE = re.compile(r"[a-z][a-z-]{0,40}")

blueprint = Blueprint("metrics", __name__)
blueprint.before_request(api.guard)


@blueprint.get("/metrics")
def metrics() -> Response:
    """All measurements, in the text format or OpenMetrics, as the asker prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(_all()))
    encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encoder(registry), content_type=content_type)


class _Collected(Collector):
    """What was gathered before, as the library takes it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _all() -> Iterator[Metric]:
    world = sources().world(calls=1)
    told = {name: _ask(name, "metrics") for name in ("edge", "front")}
    yield InfoMetricFamily("provisioner_build", "Version of the program.", {"version": __version__})
    yield _gauge(
        "provisioner_inventory_revision", "Grows with each change of the inventory.", world.snapshot.revision
    )
    yield from _processes()
    yield from _calls(world.edge, told["edge"])
    yield from _trunks(world.edge)
    yield from _phones(world)
    yield from _requests(told["front"])
    yield from _emergency(world)
    yield from _own(told)


def _ask(name: str, call: str) -> Json | None:
    try:
        return ask(sources().state.socket(name), call, timeout=PATIENCE)
    except (Gone, Refused):
        return None


def _gauge(name: str, help: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, help)
    family.add_metric([], value)
    return family


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[list[str], float]]
) -> Metric:
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _processes() -> Iterator[Metric]:
    """Whether each process answers, and what it takes of the machine."""
    pids = {name: int((_ask(name, "ping") or {}).get("pid", 0)) for name in PROCESSES}
    up = GaugeMetricFamily("provisioner_process_up", "1 when the process answers.", labels=["process"])
    yield _labelled(up, [([name], float(pid > 0)) for name, pid in pids.items()])
    taken = {
        name: found for name, pid in {**pids, "web": None}.items() if pid != 0 and (found := _taken(pid))
    }
    for place, (kind, name, help) in enumerate(
        (
            (CounterMetricFamily, "provisioner_process_cpu_seconds", "Processor time."),
            (GaugeMetricFamily, "provisioner_process_resident_memory_bytes", "Memory held."),
            (GaugeMetricFamily, "provisioner_process_open_fds", "Open files and sockets."),
            (GaugeMetricFamily, "provisioner_process_start_time_seconds", "When it began, since 1970."),
        )
    ):
        family = kind(name, help, labels=["process"])
        yield _labelled(family, [([process], values[place]) for process, values in taken.items()])


def _taken(pid: int | None) -> tuple[float, float, float, float] | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu = process.cpu_times()
            return (
                cpu.user + cpu.system,
                process.memory_info().rss,
                process.num_fds(),
                process.create_time(),
            )
    except psutil.Error:
        return None


def _calls(edge: Json | None, told: Json | None) -> Iterator[Metric]:
    if edge is not None:
        live = [call for call in edge.get("calls", []) if call.get("state") != "ended"]
        states = Counter(call["state"] if call.get("state") in CALL_STATES else "other" for call in live)
        now = GaugeMetricFamily("provisioner_calls", "Calls at this moment.", labels=["state"])
        yield _labelled(now, [([state], states[state]) for state in CALL_STATES])
        help = "Lines that are registered at this moment."
        yield _gauge("provisioner_registrations", help, len(edge.get("registrations", [])))
        yield _gauge("provisioner_bans", "Addresses that are shut out.", len(edge.get("bans", [])))
        events = CounterMetricFamily(
            "provisioner_edge_events", "What the call process counts.", labels=["event"]
        )
        named = [
            (name, count) for name, count in edge.get("counters", {}).items() if _COUNTER.fullmatch(name)
        ]
        yield _labelled(events, [([name], count) for name, count in sorted(named)[:_MAX_NAMES]])
    if told is not None:
        ended = CounterMetricFamily(
            "provisioner_calls_ended", "Calls that are over.", labels=["direction", "outcome"]
        )
        yield _labelled(ended, [([direction, outcome], count) for direction, outcome, count in told["ended"]])
        quality = HistogramMetricFamily(
            "provisioner_call_quality_mos", "Mean opinion score of each leg that was heard."
        )
        quality.add_metric(
            [], [(str(edge_of), count) for edge_of, count in told["quality"]], told["quality_sum"]
        )
        yield quality


def _trunks(edge: Json | None) -> Iterator[Metric]:
    trunks = (edge or {}).get("trunks", [])
    up = GaugeMetricFamily("provisioner_trunk_up", "1 when the calling service answers.", labels=["trunk"])
    yield _labelled(up, [([str(trunk["id"])], float(bool(trunk["up"]))) for trunk in trunks])
    gateways = GaugeMetricFamily(
        "provisioner_trunk_gateways", "Addresses of the calling service.", labels=["trunk", "state"]
    )
    rows = []
    for trunk in trunks:
        answers = Counter(bool(gateway["up"]) for gateway in trunk.get("gateways", []))
        rows += [
            ([str(trunk["id"]), word], answers[state]) for word, state in (("up", True), ("down", False))
        ]
    yield _labelled(gateways, rows)


def _phones(world: World) -> Iterator[Metric]:
    counts = Counter(row.status for row in views.phones(world))
    phones = GaugeMetricFamily("provisioner_phones", "Phones by their state.", labels=["status"])
    yield _labelled(phones, [([status], counts[status]) for status in views.PHONE_STATUS])
    states = Counter(str(number.address_status) for number in world.snapshot.numbers.values())
    numbers = GaugeMetricFamily(
        "provisioner_numbers", "Numbers by the state of their emergency address.", labels=["address"]
    )
    known = ("registered", "unregistered", "pending", "correction", "failed", "stale")
    yield _labelled(numbers, [([state], states[state]) for state in known])


def _requests(told: Json | None) -> Iterator[Metric]:
    if told is None:
        return
    counts: Counter[tuple[str, str, str]] = Counter()
    for rule, status, maker, count in told["answers"]:
        known = maker if maker in VENDORS else "other"
        counts[rule if _RULE.fullmatch(rule) else "other", str(status), known] += count
    family = CounterMetricFamily(
        "provisioner_requests", "Answers to phones that asked for files.", labels=["rule", "status", "maker"]
    )
    yield _labelled(family, [(list(labels), count) for labels, count in sorted(counts.items())])


def _emergency(world: World) -> Iterator[Metric]:
    found = readiness.report(world)
    levels = Counter(row.level for row in found.phones)
    family = GaugeMetricFamily(
        "provisioner_emergency_lines", "Lines by whether 911 would work from them.", labels=["level"]
    )
    yield _labelled(family, [([level], levels[level]) for level in ("good", "warn", "bad")])
    tests = [float(row["at"]) for row in sources().journal.tests(1)]
    last = "provisioner_emergency_last_test_timestamp_seconds"
    yield _gauge(last, "When 933 was last called, since 1970; 0: never.", max(tests, default=0.0))


def _own(told: dict[str, Any]) -> Iterator[Metric]:
    """The disk, work, sign-ins, and rows that were dropped."""
    disk = shutil.disk_usage(sources().state.root)
    yield _gauge("provisioner_disk_total_bytes", "Size of the disk of the state directory.", disk.total)
    yield _gauge("provisioner_disk_free_bytes", "What of it is free.", disk.free)
    states = Counter(str(job.state) for job in jobs.current().all())
    family = GaugeMetricFamily("provisioner_jobs", "Work of the last days by its state.", labels=["state"])
    known = ("running", "done", "failed", "cancelled", "broken-off")
    yield _labelled(family, [([state], states[state]) for state in known])
    dropped = CounterMetricFamily(
        "provisioner_journal_dropped_rows", "Rows that could not be written.", labels=["process"]
    )
    yield _labelled(dropped, [([name], each["dropped"]) for name, each in told.items() if each])
    failures = CounterMetricFamily("provisioner_sign_in_failures", "Sign-ins that were refused.")
    failures.add_metric([], signing.gate().failures)
    yield failures
    yield from _backups()


def _backups() -> Iterator[Metric]:
    last = kept.last(sources().state)
    name = "provisioner_backup_last_success_timestamp_seconds"
    yield _gauge(
        name, "When a backup by itself last went well, since 1970; 0: never.", last.good if last else 0.0
    )
