"""G.711 against known values, the interpreter's old codec where it still exists, and itself."""

import hashlib
import importlib
import math
import warnings
from array import array

import pytest

from provisioner.media import g711

ALL = array("h", range(-0x8000, 0x8000))
CODES = bytes(range(256))
DIGEST = "7a1f636cf16294a7ef90e9e229d132e8a521c21818e97b03baa7d16e2085cda5"


@pytest.mark.parametrize(
    ("sample", "mulaw", "alaw"),
    [(0, 0xFF, 0xD5), (-1, 0x7E, 0x55), (32767, 0x80, 0xAA), (-32768, 0x00, 0x2A), (1000, 0xCE, 0xFA)],
)
def test_known_values(sample, mulaw, alaw):
    assert (g711.encode_mulaw([sample])[0], g711.encode_alaw([sample])[0]) == (mulaw, alaw)


def test_every_sample_by_digest():
    """Of all 65536 samples; equal to audioop's before Python 3.13 dropped it (next test)."""
    coded = g711.encode_mulaw(ALL) + g711.encode_alaw(ALL)
    assert hashlib.sha256(coded).hexdigest() == DIGEST


def test_as_audioop():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            audioop = importlib.import_module("audioop")
        except ImportError:
            pytest.skip("this Python has no audioop; the digest above stands for it")
    assert g711.encode_mulaw(ALL) == audioop.lin2ulaw(ALL.tobytes(), 2)
    assert g711.encode_alaw(ALL) == audioop.lin2alaw(ALL.tobytes(), 2)
    assert g711.decode_mulaw(CODES).tobytes() == audioop.ulaw2lin(CODES, 2)
    assert g711.decode_alaw(CODES).tobytes() == audioop.alaw2lin(CODES, 2)


def test_codes_survive_a_round_trip():
    negative_zero = 0x7F  # mu-law has two zeros
    assert g711.encode_mulaw(g711.decode_mulaw(CODES)) == CODES.replace(bytes([negative_zero]), b"\xff")
    assert g711.encode_alaw(g711.decode_alaw(CODES)) == CODES


def test_translation_keeps_the_sound():
    tone = [round(8000 * math.sin(n / 7)) for n in range(800)]
    through = g711.encode_mulaw(tone).translate(g711.MULAW_TO_ALAW)
    back = through.translate(g711.ALAW_TO_MULAW)
    for samples in (g711.decode_alaw(through), g711.decode_mulaw(back)):
        assert max(abs(a - b) for a, b in zip(samples, tone, strict=True)) < 512
