"""Own recordings: what is taken, what it becomes, and what is played."""

import io
import math
import wave
from random import Random

import pytest

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.media import prompts, recordings
from provisioner.media.g711 import decode_mulaw
from provisioner.media.recordings import LOUDEST_DB, SPEECH_DB, Recordings, as_wav, converted, resampled


def wav(samples, rate=16000, width=2, channels=1):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        scale = 1 << (8 * width - 16) if width > 1 else 1
        for sample in samples:
            value = round(sample)
            data = (
                bytes([(value >> 8) + 128])
                if width == 1
                else (value * scale).to_bytes(width, "little", signed=True)
            )
            file.writeframesraw(data * channels)
    return out.getvalue()


def sine(hertz, rate, seconds=0.5, amplitude=8000):
    return [amplitude * math.sin(2 * math.pi * hertz * n / rate) for n in range(round(seconds * rate))]


def level(samples):
    """RMS in dBFS."""
    return 10 * math.log10(sum(s * s for s in samples) / len(samples) / 32768**2 + 1e-20)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
def test_a_tone_stays_the_same_tone_at_any_rate(rate):
    found = resampled([sine(1000, rate)], rate)
    wanted = sine(1000, 8000)
    assert abs(len(found) - len(wanted)) <= 1
    middle = slice(200, 3800)
    errors = [a - b for a, b in zip(found[middle], wanted[middle], strict=True)]
    assert level(errors) < level(wanted) - 40


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
@pytest.mark.parametrize("size", [1, 50, 777])
def test_in_pieces_it_is_the_same_sound(rate, size):
    whole = sine(1000, rate, 0.05)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert resampled(iter(pieces), rate) == resampled([whole], rate)


@pytest.mark.parametrize("hertz", [5000, 6000, 7500])
def test_what_telephones_cannot_carry_does_not_fold_back(hertz):
    assert level(resampled([sine(hertz, 48000)], 48000)[200:-200]) < level(sine(hertz, 48000)) - 50


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_usual_form_is_taken(width, channels):
    audio = decode_mulaw(converted(wav(sine(700, 16000), 16000, width, channels)))
    assert len(audio) == 4000
    assert level(audio[100:-100]) == pytest.approx(SPEECH_DB, abs=0.7)


def test_loud_recordings_are_brought_down_and_faint_ones_left():
    loud, faint = sine(400, 8000, amplitude=30000), sine(400, 8000, amplitude=500)
    assert level(decode_mulaw(converted(wav(loud, 8000), LOUDEST_DB["music"]))) == pytest.approx(-24, abs=0.3)
    assert level(decode_mulaw(converted(wav(faint, 8000)))) == pytest.approx(level(faint), abs=0.7)


def test_the_ends_do_not_click():
    audio = decode_mulaw(converted(wav([20000.0] * 8000, 8000)))
    assert (abs(audio[0]), abs(audio[-1])) <= (200, 200)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"RIFF", "cut off"),
        (b"ID3\x03" + bytes(500), "no WAV file"),
        (wav(sine(400, 16000))[:30], "no WAV file"),
        (wav(sine(400, 4000), 4000), "at 4000 Hz"),
        (wav(sine(400, 8000, 0.05), 8000), "lasts 0.1 s"),
        (wav([0] * 8000, 8000), "silent"),
        (wav(sine(400, 8000), 8000, channels=3), "3 channels"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(data, words):
    with pytest.raises(OperatorError, match=words) as caught:
        converted(data)
    assert "save it as WAV" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_bytes_are_refused_or_taken():
    rng = Random(5)
    good = bytearray(wav(sine(400, 8000, 0.2), 8000))
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(60)] = rng.randrange(256)
        try:
            converted(bytes(data))
        except OperatorError:
            continue


def test_an_upload_that_is_cut_off_is_as_long_as_what_came():
    whole = wav(sine(400, 8000, 2.0), 8000)
    assert 0.9 < len(converted(whole[: len(whole) // 2])) / 8000 < 1.1


def test_own_recordings_win_until_they_are_removed(tmp_path):
    own = Recordings(tmp_path / "audio")
    assert own.load("music") == prompts.load("music")
    assert own.put("music", wav(sine(300, 16000), 16000)) == 0.5
    assert own.own() == ["music"]
    first = own.load("music")
    assert len(first) == 4000
    own.put("music", wav(sine(300, 16000, 1.0), 16000))
    assert len(own.load("music")) == 8000
    own.remove("music")
    assert own.load("music") == prompts.load("music")
    assert own.own() == []


def test_a_bad_upload_changes_nothing(tmp_path):
    own = Recordings(tmp_path)
    own.put("menu", wav(sine(300, 16000), 16000))
    before = own.load("menu")
    with pytest.raises(OperatorError):
        own.put("menu", b"junk")
    assert own.load("menu") == before


@pytest.mark.parametrize("name", ["../menu", "nothing", "", "menu.ulaw", "MENU"])
def test_only_prompts_have_recordings(tmp_path, name):
    own = Recordings(tmp_path)
    with pytest.raises(OperatorError, match="no prompt"):
        own.put(name, wav(sine(300, 16000), 16000))
    with pytest.raises(OperatorError, match="no prompt"):
        own.remove(name)
    with pytest.raises(ProvisionerError):
        own.load("nothing")


def test_a_recording_that_cannot_be_read_leaves_what_ships(tmp_path):
    (tmp_path / "menu.ulaw").mkdir()
    (tmp_path / "music.ulaw").write_bytes(b"")
    own = Recordings(tmp_path)
    assert own.load("menu") == prompts.load("menu")
    assert own.load("music") == prompts.load("music")


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(_path, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recordings, "write_atomically", full)
    with pytest.raises(OperatorError, match="No space left on device"):
        Recordings(tmp_path).put("menu", wav(sine(300, 16000), 16000))


def test_people_can_listen_to_what_is_played():
    with wave.open(io.BytesIO(as_wav(prompts.load("menu")))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8000, 2)
        assert file.getnframes() == len(prompts.load("menu"))
