"""Every form of key presses over bad networks: exact where the issue of it is exact (figures: docs/media.md)."""

import pytest

from tests.media.presses import FORMS, WAYS, Network, run

BAD = {"copies": 0.2, "depth": 3}


@pytest.mark.rule("hold.one-digit", "transfer.any-form")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("form", [form for form in FORMS if form != "in-band"])
def test_events_and_info_are_exact_up_to_5_percent_loss(form, loss, way):
    assert run(form, way, Network(loss, **BAD), 300).exact


@pytest.mark.rule("hold.one-digit")
@pytest.mark.parametrize("way", WAYS)
def test_tones_are_exact_over_copies_and_reordering(way):
    assert run("in-band", way, Network(**BAD), 100).exact


@pytest.mark.parametrize("form", FORMS)
def test_the_tally_can_fail(form):
    tally = run(form, "edge", Network(loss=0.97), 20)
    assert tally.lost > 0 or form == "INFO"
