"""A short scan of a real edge beside a phone that calls: bounded tables and equal answers, no timing."""

from __future__ import annotations

from contextlib import closing

import pytest

from benchmarks import scanner
from provisioner import ipc


def test_a_scan_learns_nothing_and_stops_no_call() -> None:
    report = scanner.run(seconds=3, rate=200, count=8)
    assert report.sweep.sent == 600
    assert set(report.sweep.shapes) == {"OPTIONS", "REGISTER", "REGISTER with a password", "INVITE"}
    assert report.sweep.differences() == []
    assert all(by[True] and by[False] for by in report.sweep.shapes.values())
    assert len(report.scanned) >= 2
    assert [ban["source"] for ban in report.status["bans"] if ban["reason"] == "scanner"] != []
    assert not any(ban["source"] == "127.0.0.1" for ban in report.status["bans"])
    assert report.status["calls"] == []


def test_a_ban_is_shown_and_lifted_over_the_control_socket() -> None:
    with scanner.appliance() as (state, _process):
        control = state.socket("edge")
        host, _, port = ipc.ask(control, "status")["sip"].rpartition(":")
        source = scanner.Source(0, (host, int(port)))
        with closing(source.socket):
            for _ in range(3):  # one more than is needed, for points are forgiven with time
                source.send("OPTIONS", "500")
        for _ in range(1000):
            bans = ipc.ask(control, "status")["bans"]
            if bans:
                break
        assert [(ban["source"], ban["reason"]) for ban in bans] == [("127.0.0.2", "scanner")]
        with pytest.raises(ipc.Refused, match="that address is not banned"):
            ipc.ask(control, "unban", {"source": "127.0.0.77"})
        assert ipc.ask(control, "unban", {"source": "127.0.0.2"}) == {"source": "127.0.0.2"}
        assert ipc.ask(control, "status")["bans"] == []
