"""Names spoken by a program of the machine: what it is given, what is kept, and what happens when it fails."""

import asyncio
import sys

import pytest

from provisioner.media import speech
from provisioner.media.speech import PROGRAMS, Speech, sayable

MAKES_A_TONE = """
import math, sys, wave
out = wave.open(sys.argv[1], "wb")
out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
out.writeframes(b"".join(round(9000 * math.sin(n / 5)).to_bytes(2, "little", signed=True) for n in range(8000)))
out.close()
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Jane Patient", "Jane Patient"),
        ("José O'Brien-Núñez", "José O'Brien-Núñez"),
        ("-w /etc/passwd", "w etc passwd"),
        ('<speak>"x"; rm -rf', "speak x rm rf"),
        ("+1 415 555 2671", ""),
        ("", ""),
        ("\x00\n\x1b", ""),
        ("A" * 500, "A" * 40),
    ],
)
def test_a_program_is_given_words_and_nothing_else(name, said):
    assert sayable(name) == said


def spoken(tmp_path, command, *names):
    """The clips after all names have been spoken, and the object that did it."""
    clips = {}

    async def run():
        mouth = Speech(clips.__setitem__, tmp_path, command)
        for number, name in enumerate(names):
            mouth.prepare(f"{number:x}", name)
        while mouth._tasks:
            await asyncio.wait(mouth._tasks.values())
        return mouth

    return clips, asyncio.run(run())


def test_a_name_becomes_a_clip_and_no_file_stays(tmp_path):
    clips, mouth = spoken(tmp_path, (sys.executable, "-c", MAKES_A_TONE, "{file}"), "Jane Patient")
    assert mouth.clip("0") == "said-0"
    assert len(clips["said-0"]) == 4000
    assert list(tmp_path.iterdir()) == []
    mouth.forget("0")
    assert mouth.clip("0") == ""


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-c", "raise SystemExit(3)"),
        (sys.executable, "-c", "open(__import__('sys').argv[1], 'wb').write(b'junk')", "{file}"),
        (sys.executable, "-c", "pass"),
        ("/nonexistent/program", "{file}"),
        (),
    ],
)
def test_what_fails_leaves_the_digits_and_no_name_in_the_log(tmp_path, command, caplog):
    clips, mouth = spoken(tmp_path, command, "Jane Patient")
    assert (clips, mouth.clip("0"), list(tmp_path.iterdir())) == ({}, "", [])
    assert "Jane" not in caplog.text


def test_a_program_that_hangs_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "SECONDS", 0.2)
    clips, mouth = spoken(tmp_path, (sys.executable, "-c", "import time; time.sleep(60)"), "Jane")
    assert (clips, mouth.clip("0")) == ({}, "")


def test_not_more_than_a_few_at_once(tmp_path):
    names = [f"Jane {chr(65 + n)}" for n in range(8)]
    clips, _ = spoken(tmp_path, (sys.executable, "-c", MAKES_A_TONE, "{file}"), *names)
    assert len(clips) == speech.AT_ONCE


@pytest.mark.peer("espeak-ng")
def test_a_real_voice_speaks(tmp_path):
    command = next(command for command in PROGRAMS if command[0] == "espeak-ng")
    clips, _ = spoken(tmp_path, command, "Jane Patient", "José Núñez")
    assert sorted(clips) == ["said-0", "said-1"]
    assert all(len(audio) > 3000 for audio in clips.values())
