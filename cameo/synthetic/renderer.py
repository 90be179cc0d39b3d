"""Render talking heads of people who do not exist, with exact landmarks.

`render` draws each identity in a new random scene on every call: light, background, clothing and exposure are drawn
once per call; the head pose is drawn once per segment, so one call gives several differently posed chunks of one scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cameo.synthetic import features
from cameo.synthetic.head import HEAD_SCALE, VIEW, Head, Surface, ridge, soft
from cameo.synthetic.light import Dice, Light, camera, over, paint_background, vignette
from cameo.synthetic.motion import Motion, sample_motion
from cameo.synthetic.traits import Traits


@dataclass(frozen=True)
class Rendered:
    """Hold rendered clips.

    `frames` `[B, T, H, W, 3]` float in 0..1; `points` `[B, T, 10, 2]` in -1..1 of the picture, in `records.LANDMARKS`
    order; `eye_open` `[B, T]` 0..1.
    """

    frames: Tensor
    points: Tensor
    eye_open: Tensor


def render(identities: Tensor, segments: int, frames: int, size: int, generator: torch.Generator) -> Rendered:
    """Draw `segments` chunks of `frames` frames of every identity `[B, IDENTITY_DIM]`, `size` pixels square."""
    motion = sample_motion(len(identities), frames, generator)
    for _ in range(segments - 1):
        motion = motion.joined(sample_motion(len(identities), frames, generator))
    return draw(identities, motion, size, generator)


def draw(
    identities: Tensor,
    motion: Motion,
    size: int,
    generator: torch.Generator,
    view: float = VIEW,
    aspect: float = 1.0,
) -> Rendered:
    """Draw given motion tracks in a scene taken from `generator`.

    Args:
        identities: `[B, IDENTITY_DIM]`.
        motion: how they move; offsets and sizes are those of the scene, whatever the view.
        size: height of the picture in pixels.
        generator: decides the scene.
        view: half height of the picture in scene units; more of it shows more of the shoulders and the room.
        aspect: width of the picture over its height.
    """
    head, dice = Head(Traits(identities), motion, size, view, aspect), Dice(len(identities), generator)
    light = Light.draw(dice)
    surface = head.with_parallax(head.surface())
    front = soft(surface.w - 0.05, 0.08)
    face = _face(head, surface, front, light)
    picture = paint_background(head.xs, head.ys, dice)
    picture = _behind(head, light, picture, dice)
    picture = over(picture, face, surface.mask)
    picture = _hair_cap(head, light, picture)
    lens = VIEW / view
    picture = picture * vignette(head.xs * lens, head.ys * lens, dice.uniform(0, 0.4))[..., None]
    frames = camera(picture, dice).expand(*motion.yaw.shape, size, round(size * aspect), 3)
    return Rendered(frames, head.landmarks(), 1 - motion.blink)


def _face(head: Head, surface: Surface, front: Tensor, light: Light) -> Tensor:
    depth = surface.depth + features.relief(head, surface) * front
    normals = head.normals(depth)
    face = features.paint_skin(head, surface, front)
    face = features.paint_beard(head, surface, front, face)
    face = features.paint_mouth(head, surface, front, face)
    for side in features.SIDES:
        face = features.paint_eye(head, surface, side, front, face)
    face = features.paint_glasses(head, surface, front, face)
    shine = head.traits.gloss * light.gloss(normals) * front
    return face * light.diffuse(normals)[..., None] * light.tint + shine[..., None]


def _hair_cap(head: Head, light: Light, picture: Tensor) -> Tensor:
    """The hair on the skull, in front of the face."""
    t = head.traits
    cap = head.surface(grown=1.0 + t.hair_volume, offset=(-0.04, -0.06))
    line = t.hairline + t.parting * cap.u + 0.10 * t.fringe * torch.cos(cap.u * 7)
    window = soft(cap.w - 0.02 - 0.16 * t.temple, 0.035) * soft(cap.v - line - 0.22 * (cap.u / 0.7) ** 2, 0.03)
    down = (0.15 + 0.6 * t.hair_length.clamp(-1, 1)) + 0.25 * soft(-cap.w, 0.1) - cap.v
    shown = cap.mask * (1 - window) * soft(down, 0.04) * soft(t.baldness.clamp(0, 1) - 0.35, 0.05)
    normals = head.normals(cap.depth)
    across, up, ahead = (n * d for n, d in zip(normals, light.direction, strict=True))
    shade = light.ambient * 0.8 + light.lamp * (across + up + ahead).clamp_min(0)
    streaks = features.strands(head, cap)
    hair = features.hair_colour(head) * (0.82 + 0.18 * streaks)[..., None] * shade[..., None] * light.tint
    shine = 0.10 * (0.5 + 0.5 * streaks) * (normals[1] * 0.9 + 0.4 * normals[2]).clamp(0, 1) ** 4
    return over(picture, hair + shine[..., None], shown)


def _behind(head: Head, light: Light, picture: Tensor, dice: Dice) -> Tensor:
    """Hair at the back, neck, shoulders and ears."""
    t = head.traits
    length = t.hair_length.clamp(-0.2, 1.6)
    half = t.head_width * (1.05 + t.hair_volume + 0.10 * length.clamp_min(0))
    back = soft(half - (head.x + 0.10 * head.sin_yaw).abs(), 0.03) * soft(head.y + 0.35, 0.15)
    back = back * soft(length + 0.1 * torch.cos(head.x * 9) - head.y, 0.05) * soft(t.hair_length - 0.1, 0.03)
    back = back * soft(t.baldness.clamp(0, 1) - 0.35, 0.05)
    streaks = 0.55 + 0.25 * torch.sin(head.x * 40 + 2 * torch.sin(head.y * 4))
    picture = over(picture, features.hair_colour(head) * (streaks * light.ambient * 0.9)[..., None], back)
    skin = features.skin_colour(head)
    neck_half = t.head_width * (0.62 - 0.12 * (t.jaw_taper - 0.06) / 0.28)
    neck = soft(neck_half + 0.10 * (head.y - 1.1).clamp_min(0) - (head.x * 0.9).abs(), 0.02) * soft(head.y - 0.5, 0.05)
    side_light = (head.x / neck_half * light.direction[0]).clamp(-1, 1)
    lit = light.ambient * 0.75 + light.lamp * 0.55 * (0.7 + 0.5 * side_light)
    picture = over(picture, skin * lit[..., None] * light.tint, neck)
    picture = _shoulders(head, light, picture, dice, neck_half)
    for side in features.SIDES:
        ear_x = side * t.head_width * head.cos_yaw - 0.05 * head.sin_yaw
        inside = 1 - ((head.x - ear_x) / 0.10) ** 2 - ((head.y - 0.10 * head.cos_pitch) / 0.17) ** 2
        ear = soft(inside, 0.15) * soft(0.55 - side * head.sin_yaw, 0.2)
        picture = over(picture, skin * ((light.ambient + 0.4 * light.lamp) * 0.8)[..., None] * light.tint, ear)
    return picture


def _shoulders(head: Head, light: Light, picture: Tensor, dice: Dice, neck_half: Tensor) -> Tensor:
    cloth, trim = dice.colour(0.9), dice.colour(0.9)
    y, x = (head.ys - 0.35 * head.cy) / HEAD_SCALE, (head.xs - head.cx * 0.7) / HEAD_SCALE
    edge = dice.uniform(1.0, 1.22) + 0.16 * x**2 - 0.06 * x**4 * (x.abs() < 1.2)
    edge = edge + ridge(x, neck_half * 0.9) * dice.uniform(0.02, 0.30)
    wave = 0.5 + 0.5 * torch.sin(x * dice.uniform(2, 26) + y * dice.uniform(-20, 20))
    stripes = (wave * (dice.uniform(0, 1) < 0.35) * 0.6)[..., None]
    lit = light.ambient + light.lamp * (0.35 + 0.3 * x * light.direction[0]).clamp(0, 1)
    return over(picture, (cloth * (1 - stripes) + trim * stripes) * lit[..., None], soft(y - edge, 0.025))
