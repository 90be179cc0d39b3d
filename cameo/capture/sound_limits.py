"""The limits of the sound, the most telling first; the last three only warn."""

from __future__ import annotations

from cameo.capture.rule import CHOSEN, MEASURED, Rule

SOUND = Rule(
    name="sound",
    title="Level of the loudest sound",
    unit="dBFS",
    sense="at least",
    fail=-50,
    warn=-30,
    source=f"{CHOSEN}: 16 bit sound has its last 46 dB below the failing limit",
    problem="the sound is too faint: {value:.0f} dBFS",
    advice="switch the microphone on, or give a recording of the voice with --voice",
)

SPEECH = Rule(
    name="speech",
    title="Speech",
    unit="s",
    sense="at least",
    fail=3,
    warn=8,
    source=f"{MEASURED}: the error of speaker verification halves from 2 to 3 s of speech, and again to 5 s",
    problem="too little speech: {value:.1f} s",
    advice="speak for 10 to 20 seconds, or give a recording of the voice with --voice",
)

NOISE = Rule(
    name="speech_over_noise",
    title="Speech over noise",
    unit="dB",
    sense="at least",
    fail=5,
    warn=9,
    source=f"{MEASURED}: benchmarks/noise_estimate.py, refuses 98 % at 0 dB and 3 % of clean readings",
    problem="the speech drowns in noise or music: {value:.0f} dB above it",
    advice="record in a quiet room with no music, close to the microphone",
)

CLIPPING = Rule(
    name="clipping",
    title="Clipped samples",
    unit="%",
    sense="at most",
    fail=0.1,
    warn=0.01,
    source=f"{CHOSEN}: eight real clips have at most 0.003",
    problem="the sound is clipped: {value:.2f} % of the samples",
    advice="lower the recording level or step back from the microphone",
)

BANDWIDTH = Rule(
    name="bandwidth",
    title="Highest frequency of the speech",
    unit="Hz",
    sense="at least",
    fail=None,
    warn=4000,
    source=f"{CHOSEN}: telephone speech ends at 3400",
    problem="the sound is as narrow as a telephone's",
    advice="record with the phone's own recorder, not through a call or a headset",
)

REVERBERATION = Rule(
    name="reverberation",
    title="Time in which the quickest fading of the speech falls by 60 dB",
    unit="s",
    sense="at most",
    fail=None,
    warn=0.47,
    source=f"{MEASURED}: 90 readings 0.17 to 0.37; in rooms of 0.5, 0.7, 1 s 0.38 to 0.46, 0.44 to 0.53, 0.44 to 0.58",
    problem="the room echoes",
    advice="record in a room with carpets, curtains and furniture, close to the microphone",
)

ONE_VOICE = Rule(
    name="one_voice",
    title="Likeness of the two parts of the speech that differ most",
    unit="",
    sense="at least",
    fail=None,
    warn=0.45,
    source=f"{MEASURED} with the embedded encoder: 29 readers 0.43 to 0.87, 29 pairs of readers joined -0.23 to 0.45",
    problem="a second voice speaks",
    advice="let nobody else speak, and switch radio and television off",
)
