"""Every rule of the quality gate by its name, in the order in which checks are reported."""

from __future__ import annotations

from cameo.capture import picture_limits as picture
from cameo.capture import sound_limits as sound

RULES = {
    rule.name: rule
    for rule in (
        picture.LENGTH,
        picture.LIGHT,
        picture.FACE,
        picture.ONE_FACE,
        picture.MOVEMENT,
        picture.FACE_SIZE,
        picture.OVER_EXPOSED,
        picture.UNDER_EXPOSED,
        picture.BRIGHTNESS,
        picture.SHARPNESS,
        picture.DYNAMIC_RANGE,
        picture.POSE_SPREAD,
        picture.USABLE,
        picture.BRIGHT,
        picture.EVENNESS,
        picture.FRONTAL,
        picture.PITCH,
        picture.ROLL,
        picture.EYES_OPEN,
        picture.MOUTH_CLOSED,
        picture.MOUTH_MOVES,
        picture.EYES_VISIBLE,
        picture.MOUTH_VISIBLE,
        picture.MOTION_BLUR,
        picture.COMPRESSION,
        sound.SOUND,
        sound.SPEECH,
        sound.NOISE,
        sound.CLIPPING,
        sound.BANDWIDTH,
        sound.REVERBERATION,
        sound.ONE_VOICE,
    )
}
