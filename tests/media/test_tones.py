"""The in-band detector against its stated limits, in both directions."""

import math
import random

import pytest

from provisioner.media import g711, tones
from provisioner.media.tones import COLUMNS, KEYS, RATE, ROWS, ToneReceiver, tone

ALL = "".join(KEYS)


def sines(key, milliseconds, *, low_db=-9.0, high_db=-9.0, low_off=0.0, high_off=0.0, phase=0.0):
    """Two tones of given levels (dBm0) and offsets (a fraction of the frequency)."""
    row = next(row for row in KEYS if key in row)
    low = 2 * math.pi * ROWS[KEYS.index(row)] * (1 + low_off) / RATE
    high = 2 * math.pi * COLUMNS[row.index(key)] * (1 + high_off) / RATE
    below, above = (tones._FULL * 10 ** (db / 20) for db in (low_db, high_db))
    count = round(milliseconds * RATE / 1000)
    return [
        round(below * math.sin(low * n + phase) + above * math.sin(high * n + 2 * phase))
        for n in range(count)
    ]


def silence(milliseconds):
    return [0] * round(milliseconds * RATE / 1000)


def heard(*parts):
    receiver = ToneReceiver()
    return "".join(receiver.receive(list(part)) for part in parts)


def everywhere(make, gap=60, steps=17):
    """What is heard of a press for each way that it may lie across the blocks."""
    return {heard([0] * (index * tones.BLOCK // steps), make, silence(gap)) for index in range(steps)}


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("milliseconds", [40, 50, 100, 2000])
def test_a_press_is_one_key_wherever_it_begins(key, milliseconds):
    assert everywhere(sines(key, milliseconds)) == {key}


@pytest.mark.parametrize("key", ALL)
def test_20_ms_are_no_press(key):
    assert everywhere(sines(key, 20)) == {""}


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("off", [(0.015, 0.015), (-0.015, -0.015), (0.015, -0.015), (-0.015, 0.015)])
def test_within_1_5_percent_of_the_frequency_is_taken(key, off):
    assert everywhere(sines(key, 40, low_off=off[0], high_off=off[1])) == {key}


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize(
    "off", [(0.035, 0), (-0.035, 0), (0, 0.035), (0, -0.035), (0.035, 0.035), (-0.05, 0)]
)
def test_3_5_percent_off_the_frequency_is_not(key, off):
    assert everywhere(sines(key, 100, low_off=off[0], high_off=off[1])) == {""}


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("levels", [(-7, -3), (-20, -16), (-8, -16), (-18, -26), (0, 0), (-27, -27)])
def test_twist_and_level_within_the_limits_are_taken(key, levels):
    low, high = levels
    low, high = low + 0.3 * (low < high), high + 0.3 * (high < low)  # just inside
    assert everywhere(sines(key, 60, low_db=low, high_db=high)) == {key}


@pytest.mark.parametrize("levels", [(-14, -6), (-6, -18), (-30.5, -30.5), (-60, -60)])
def test_twist_and_level_beyond_the_limits_are_not(levels):
    for key in ALL:
        assert everywhere(sines(key, 100, low_db=levels[0], high_db=levels[1])) == {""}


def test_two_presses_of_one_key_with_a_pause_of_40_ms_are_two():
    press, pause = sines("5", 40), silence(40)
    for offset in range(0, 102, 6):
        assert heard([0] * offset, press, pause, press, pause, press, silence(50)) == "555"


def test_a_dropout_of_10_ms_does_not_make_two_presses_of_one():
    whole = sines("8", 200)
    for offset in range(0, 102, 6):
        assert heard([0] * offset, whole[:720], silence(10), whole[800:], silence(60)) == "8"


def test_one_tone_or_three_are_no_key():
    low_only = sines("1", 200, high_db=-90)
    three = [a + b for a, b in zip(sines("1", 200), sines("9", 200), strict=True)]
    assert heard(low_only, silence(50)) == heard(three, silence(50)) == ""


def test_tones_in_the_companding_of_g711_with_noise_15_db_below_are_heard():
    rng = random.Random(4)
    for key in ALL:
        noisy = [sample + round(rng.gauss(0, 900)) for sample in sines(key, 60)]
        assert heard(g711.decode_mulaw(g711.encode_mulaw(noisy)), silence(50)) == key
        assert heard(g711.decode_alaw(g711.encode_alaw(noisy)), silence(50)) == key


def test_noise_of_ten_minutes_is_no_key():
    rng = random.Random(7)
    receiver = ToneReceiver()
    assert not any(receiver.receive([round(rng.gauss(0, 4000)) for _ in range(RATE)]) for _ in range(60))


def test_our_own_tones_are_heard_and_go_on_where_they_stopped():
    for key in ALL:
        assert heard(tone(key, 800), silence(50)) == key
    assert tone("7", 160) + tone("7", 160, 160) == tone("7", 320)
    with pytest.raises(ValueError, match="no key"):
        tone("12", 160)


def test_frames_of_any_size_say_the_same():
    samples = [*sines("4", 60), *silence(60), *sines("2", 60), *silence(60)]
    for size in (1, 53, 160, 4000):
        assert heard(*(samples[at : at + size] for at in range(0, len(samples), size))) == "42"
