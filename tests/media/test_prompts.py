"""The audio that ships: all there, audible, level, of sensible length; and reading addresses aloud."""

import importlib.util
import itertools
import math
from pathlib import Path

import pytest

from provisioner.errors import ProvisionerError
from provisioner.media import prompts
from provisioner.media.endpoint import power
from provisioner.media.g711 import SILENCE, decode_mulaw

SCRIPT = Path(__file__).parents[2] / "packaging" / "record_prompts.py"


@pytest.fixture(scope="module")
def recorder():
    spec = importlib.util.spec_from_file_location("record_prompts", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def level(audio):
    samples = decode_mulaw(audio)
    return 20 * math.log10(math.sqrt(sum(x * x for x in samples) / len(samples)) / 32768)


def test_every_file_has_its_words_and_every_word_its_file(recorder):
    assert prompts.names() == {*recorder.spoken(), *recorder.COMPUTED}


def test_speech_is_level_and_of_sensible_length(recorder):
    for name, words in recorder.spoken().items():
        audio = prompts.load(name)
        assert level(audio) == pytest.approx(-19, abs=0.7), name
        assert 0.2 + 0.03 * len(words) < prompts.length(name) < 1 + 0.12 * len(words), name


@pytest.mark.parametrize(
    ("name", "tones", "seconds"),
    [("dialtone", (350, 440), 2), ("ringback", (440, 480), 6), ("busy", (480, 620), 1)],
)
def test_tones(name, tones, seconds):
    audio = prompts.load(name)
    assert prompts.length(name) == seconds
    sounding = audio.rstrip(bytes([SILENCE]))
    for hertz in tones:
        assert power(sounding, hertz) == pytest.approx(0.5, abs=0.05)


def test_silence_is_one_frame_of_nothing():
    assert prompts.load("silence") == bytes([SILENCE]) * 160


def test_music_is_audible_all_along_and_loops_without_a_click():
    audio = prompts.load("music")
    assert 20 <= prompts.length("music") <= 40
    assert level(audio) == pytest.approx(-24, abs=0.5)
    assert min(level(audio[at : at + 4000]) for at in range(0, len(audio), 4000)) > -36
    seam = decode_mulaw(audio[-1:] + audio[:1])
    steps = decode_mulaw(audio)
    assert abs(seam[0] - seam[1]) <= max(abs(a - b) for a, b in itertools.pairwise(steps))
    assert len(audio) % 160 == 0


def test_computed_files_are_what_the_script_makes(recorder):
    for name in ("dialtone", "ringback", "busy", "silence"):
        assert recorder.make(name) == prompts.load(name)


def test_script_refuses_unknown_names(recorder, capsys):
    assert recorder.main(["nonsense"]) == 2
    assert "no such prompt: nonsense" in capsys.readouterr().err


def test_unknown_prompt():
    with pytest.raises(ProvisionerError, match="no prompt 'nonsense'"):
        prompts.length("nonsense")


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("", ""),
        ("12 Main St", "1 2 main street"),
        ("500 W Market Blvd., Ste 4-B", "5 0 0 west market boulevard suite 4 dash b"),
        ("2FL RM 12", "2 floor room 1 2"),
        ("San Francisco, CA", "san francisco california"),
        ("+14155550101", "1 4 1 5 5 5 5 0 1 0 1"),
        ("Elm", "e l m"),
        ("Exam 3", "exam 3"),
        ("Señor", "s e n o r"),
        ("N S E", "north south east"),
    ],
)
def test_spell(text, files):
    assert prompts.spell(text) == [f"say-{name}" for name in files.split()]
    assert set(prompts.spell(text)) <= prompts.names()
