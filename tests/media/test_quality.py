"""The E-model's estimate against figures of G.107 and G.113."""

import pytest

from provisioner.media.quality import BEST, mos, rating


def test_a_perfect_call():
    assert rating(0, 0) == pytest.approx(BEST - 1.2)
    assert mos(0, 0) == pytest.approx(4.4, abs=0.02)


@pytest.mark.parametrize(
    ("loss", "codec", "expected"),
    [(1, "PCMU", 4.30), (5, "PCMU", 3.84), (20, "PCMU", 2.51), (0, "G729", 4.1), (100, "PCMU", 1.1)],
)
def test_loss_and_codec_cost(loss, codec, expected):
    assert mos(loss, 0, codec) == pytest.approx(expected, abs=0.12)


def test_more_is_never_better():
    scores = [mos(loss, jitter) for loss, jitter in ((0, 0), (0, 20), (1, 20), (1, 100), (3, 200), (30, 900))]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 1.0
