"""/metrics, its dashboard, /healthz and /readyz."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from provisioner.edge.quality import Records
from provisioner.front.record import Recorder
from provisioner.paths import StateDir
from provisioner.phones.identity import Identity
from provisioner.phones.trust import Verdict

DASHBOARD = Path(__file__).parents[2] / "packaging/grafana/provisioner.json"
PEER = "+16505550123"
GATEWAY = {"transport": "UDP", "address": "192.0.2.1:5060", "up": True, "problem": ""}


def ended() -> dict[str, Any]:
    """What the edge has measured."""
    records = Records(lambda _row: None, lambda _call: False)
    for number, (direction, answered, outcome) in enumerate(
        (
            ("inbound", 5.0, "talked"),
            ("inbound", None, "no answer"),
            ("outbound", None, "refused: closed"),
            ("outbound", None, f"{PEER} is busy"),
            ("internal", None, "no answer"),
        )
    ):
        row = {"id": str(number), "direction": direction, "answered": answered, "outcome": outcome}
        records.over({**row, "started": 1.0, "ended": 9.0})
    for packets, lost, jitter in ((1000, 0, 1.0), (1000, 200, 90.0)):
        records._calls["q"].waiting += 1
        records._came("q", "PCMU", {}, {"packets_in": packets, "lost": lost, "jitter_ms": jitter})
    return records.measured()


@pytest.fixture
def full(state: StateDir) -> Iterator[None]:
    """All processes answer."""
    recorder = Recorder(lambda _name, _row: None)
    for path, agent in (("/001565000102.cfg", "Yealink"), ("/x", "nmap")):
        verdict = Verdict(
            "adopted", Identity("yealink" if agent == "Yealink" else "", "", "", "", "", agent), None
        )
        recorder.answered(verdict, "192.0.2.9", "GET", path, 200, 10, agent)
    answers = [[*which, count] for which, count in recorder.answers.items()]
    ping = {"ping": lambda _: {"pid": 0, "uptime": 1.0}}
    status = practice.status()
    status["counters"] |= {"location-refused": 2, PEER: 1, "Odd name": 1}
    status["trunks"][0]["gateways"] = [GATEWAY, {**GATEWAY, "up": False}]
    methods = {
        "edge": {"status": lambda _: status, "metrics": lambda _: {**ended(), "dropped": 3}},
        "front": {
            "status": lambda _: {"revision": 1, "requests": 2},
            "metrics": lambda _: {"answers": [*answers, ["a" * 99, 404, "evil\n", 1]], "dropped": 0},
        },
        "media": {},
        "notifier": {},
    }
    running = [practice.Process(state, name, {**ping, **more}) for name, more in methods.items()]  # type: ignore[dict-item]
    yield
    for process in running:
        process.close()


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in plain(text)
        for sample in family.samples
    }


def test_what_is_measured(api: FlaskClient, full: None) -> None:
    answer = api.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["provisioner_calls", ("consulting",)] == 1
    assert found["provisioner_registrations", ()] == 2
    assert found["provisioner_trunk_up", ("core",)] == 1
    assert found["provisioner_trunk_gateways", ("down", "core")] == 1
    assert found["provisioner_calls_ended_total", ("inbound", "answered")] == 1
    assert found["provisioner_calls_ended_total", ("inbound", "missed")] == 1
    assert found["provisioner_calls_ended_total", ("outbound", "refused")] == 1
    assert found["provisioner_calls_ended_total", ("outbound", "busy")] == 1
    assert found["provisioner_calls_ended_total", ("internal", "unanswered")] == 1
    assert found["provisioner_call_quality_mos_bucket", ("2.6",)] == 1
    assert found["provisioner_call_quality_mos_count", ()] == 2
    assert found["provisioner_requests_total", ("yealink", "adopted", "200")] == 1
    assert found["provisioner_requests_total", ("other", "adopted", "200")] == 1
    assert found["provisioner_requests_total", ("other", "other", "404")] == 1
    assert found["provisioner_journal_dropped_rows_total", ("edge",)] == 3
    assert found["provisioner_phones", ("offline",)] == 1
    assert found["provisioner_numbers", ("registered",)] == 4
    assert sum(found["provisioner_emergency_lines", (level,)] for level in ("good", "warn", "bad")) == 4
    assert found["provisioner_edge_events_total", ("location-refused",)] == 2
    assert found["provisioner_process_open_fds", ("web",)] > 3
    assert 0 < found["provisioner_disk_free_bytes", ()] <= found["provisioner_disk_total_bytes", ()]


def test_nothing_private(api: FlaskClient, full: None) -> None:
    text = api.get("/metrics").text
    for secret in (PEER, PEER[1:], practice.YEALINK, "192.0.2", "Adams", "14155550101", "evil", "Odd name"):
        assert secret not in text
    labels = {name for family in plain(text) for sample in family.samples for name in sample.labels}
    assert labels <= {
        "process", "state", "trunk", "event", "direction", "outcome", "le", "status", "rule", "maker",
        "address", "level", "version",
    }  # fmt: skip


def test_openmetrics(api: FlaskClient, full: None) -> None:
    answer = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics(answer.text)}
    assert {"provisioner_calls_ended", "provisioner_build", "provisioner_call_quality_mos"} <= names


@pytest.mark.peer("promtool")
def test_promtool_finds_nothing_wrong(api: FlaskClient, full: None) -> None:
    promtool = shutil.which("promtool")
    assert promtool
    told = subprocess.run(
        [promtool, "check", "metrics"],
        input=api.get("/metrics").text,
        text=True,
        capture_output=True,
        check=False,
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_processes_that_are_away_only_leave_gaps(api: FlaskClient) -> None:
    answer = api.get("/metrics")
    assert answer.status_code == 200
    found = samples(answer.text)
    assert found["provisioner_process_up", ("edge",)] == 0
    assert not [
        name for name, _labels in found if name.startswith(("provisioner_calls", "provisioner_requests"))
    ]
    assert found["provisioner_numbers", ("registered",)] == 4


def test_who_may(app: Flask, visitor: FlaskClient, staff: FlaskClient) -> None:
    assert visitor.get("/metrics").status_code == 401
    assert staff.get("/metrics").status_code == 200
    new = app.extensions["provisioner"].inventory.new_token
    for scopes, status in (("metrics:read", 200), ("phones:read", 403), ("", 200)):
        token = new("api", 60, "viewer", scopes=scopes)
        answer = visitor.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status
    answer = visitor.get(
        "/api/v1/phones",
        headers={"Authorization": f"Bearer {new('api', 60, 'viewer', scopes='metrics:read')}"},
    )
    assert answer.status_code == 403


def test_every_name_of_the_dashboard_is_served(api: FlaskClient, full: None) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [each["query"] for each in dashboard["templating"]["list"]]
    names = {name for each in asked for name in re.findall(r"provisioner_\w+", each)}
    served = {name for name, _labels in samples(api.get("/metrics").text)}
    assert names
    assert names - served == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_ready_in_words(visitor: FlaskClient, full: None) -> None:
    answer = visitor.get("/readyz")
    assert answer.status_code == 200
    assert answer.text.splitlines()[:2] == ["store (settings): ok", "edge (calls): ok"]
    assert visitor.get("/healthz").text == "ok\n"


def test_not_ready_says_which_part(visitor: FlaskClient, edge: object, front: None, state: StateDir) -> None:
    answer = visitor.get("/readyz")
    assert answer.status_code == 503
    assert "edge (calls): ok" in answer.text
    assert "media (audio): the media process does not answer" in answer.text
    assert str(state.root) not in answer.text
