"""Time zones with the time that it is there, and what this machine says of its own."""

from __future__ import annotations

import pytest

from provisioner.web import time_zones

NOON = 1_790_000_000.0 - 1_790_000_000.0 % 86400 + 43200  # in UTC, in September


def test_each_zone_has_its_time() -> None:
    near = {zone.name: zone.clock for zone in time_zones.near(NOON)}
    assert (near["America/New_York"], near["America/Phoenix"]) == ("8:00 AM", "5:00 AM")
    others = {zone.name for zone in time_zones.others(NOON)}
    assert "Europe/Paris" in others
    assert not others & near.keys()


@pytest.mark.parametrize(
    ("named", "link", "found"),
    [
        ("America/Denver", "", "America/Denver"),
        (":America/Denver", "", "America/Denver"),
        ("", "/usr/share/zoneinfo/America/Chicago", "America/Chicago"),
        ("", "/usr/share/zoneinfo/Etc/UTC", ""),
        ("UTC", "", ""),
        ("Nowhere/Town", "", ""),
    ],
)
def test_the_zone_of_this_machine(monkeypatch, tmp_path, named, link, found) -> None:
    monkeypatch.setenv("TZ", named)
    local = tmp_path / "localtime"
    if link:
        local.symlink_to(link)
    monkeypatch.setattr(time_zones, "LOCALTIME", local)
    assert time_zones.of_machine() == found
