"""A short scan of a real edge beside a phone that calls: bounded tables and equal answers, no timing."""

from __future__ import annotations

from benchmarks import scanner


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
