"""WAV files as programs write them: which are read, and to which samples."""

import struct
from array import array

import pytest

from provisioner.media import wav
from provisioner.media.g711 import encode_alaw, encode_mulaw

SAMPLES = [0, 1000, -1000, 30000, -30000, 8, -8, 512]
GUID_TAIL = bytes.fromhex("0000000010008000 00aa00389b71".replace(" ", ""))


def chunk(name, content, size=None):
    size = len(content) if size is None else size
    return name + struct.pack("<I", size) + content + bytes(len(content) % 2)


def file(tag, bits, content, channels=1, rate=8000, extension=b"", before=b"", size=None):
    align = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits) + extension
    body = (
        b"WAVE" + before + chunk(b"fmt ", head) + chunk(b"fact", b"\0\0\0\0") + chunk(b"data", content, size)
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extensible(sub, bits):
    return struct.pack("<HHIH", 22, bits, 4, sub) + GUID_TAIL


def packed(width):
    if width == 1:
        return bytes((sample >> 8) + 128 for sample in SAMPLES)
    return b"".join((sample << 8 * (width - 2)).to_bytes(width, "little", signed=True) for sample in SAMPLES)


def samples(data):
    return array("h", (value for piece in wav.read(data).samples() for value in piece))


@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize("wrapped", [False, True])
def test_pcm(width, wrapped):
    bits = 8 * width
    extension = extensible(wav.PCM, bits) if wrapped else b""
    tag = wav.EXTENSIBLE if wrapped else wav.PCM
    assert [*samples(file(tag, bits, packed(width), extension=extension))] == SAMPLES


def test_pcm_of_8_bits_is_unsigned():
    assert [*samples(file(wav.PCM, 8, packed(1)))] == [sample >> 8 << 8 for sample in SAMPLES]


@pytest.mark.parametrize("tag", [wav.FLOAT, wav.EXTENSIBLE])
def test_floating_point_is_held_to_its_range(tag):
    content = struct.pack("<6f", 0.0, 0.5, -0.5, 1.5, -9.0, float("inf"))
    extension = extensible(wav.FLOAT, 32) if tag == wav.EXTENSIBLE else b""
    assert [*samples(file(tag, 32, content, extension=extension))] == [0, 16383, -16383, 32767, -32767, 32767]


def test_what_is_no_number_is_a_sample_all_the_same():
    assert len(samples(file(wav.FLOAT, 32, struct.pack("<2f", float("nan"), 0.5)))) == 2


@pytest.mark.parametrize(("tag", "encode"), [(wav.MULAW, encode_mulaw), (wav.ALAW, encode_alaw)])
def test_g711_as_telephone_systems_record(tag, encode):
    content = encode(SAMPLES)
    found = samples(file(tag, 8, content, extension=b"\0\0"))
    assert encode(found) == content


def test_two_channels_become_one():
    content = struct.pack("<4h", 1000, 3000, -32768, -32768)
    assert [*samples(file(wav.PCM, 16, content, channels=2))] == [2000, -32768]


def test_other_chunks_and_a_length_that_is_not_known_are_passed_over():
    data = file(wav.PCM, 16, packed(2), before=chunk(b"LIST", b"odd"), size=0xFFFFFFFF)
    assert [*samples(data)] == SAMPLES
    assert [*samples(data[:-1])] == SAMPLES[:-1]


def test_a_long_one_comes_in_pieces():
    found = wav.read(file(wav.PCM, 16, bytes(2 * 200_000)))
    assert found.count == 200_000
    assert sum(map(len, found.samples())) == 200_000
    assert max(map(len, found.samples())) < 100_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"RIFF\4\0\0\0WAVE", "cut off"),
        (b"OggS" + bytes(40), "begin"),
        (b"RIFF\4\0\0\0AVI " + bytes(40), "begin"),
        (file(wav.PCM, 16, b"")[:30], "cut off"),
        (file(2, 4, bytes(8)), "format 2 of 4 bits"),
        (file(wav.PCM, 12, bytes(8)), "format 1 of 12 bits"),
        (file(wav.FLOAT, 64, bytes(8)), "format 3 of 64 bits"),
        (file(wav.PCM, 16, bytes(12), channels=6), "6 channels"),
        (file(wav.PCM, 16, bytes(12), channels=0), "0 channels"),
    ],
)
def test_what_is_none_says_why(data, why):
    with pytest.raises(wav.WavError, match=why):
        wav.read(data)
