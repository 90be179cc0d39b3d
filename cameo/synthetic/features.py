"""Skin, eyes, brows, mouth, beard and glasses of a rendered head, painted in head coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from cameo.synthetic.head import Head, Surface, ridge, soft
from cameo.synthetic.light import over
from cameo.synthetic.traits import GLASSES_ABOVE

SIDES = (-1.0, 1.0)


def colour(*channels: Tensor) -> Tensor:
    """Stack three `[B, 1, 1, 1]` channels into `[B, 1, 1, 1, 3]`."""
    return torch.stack(channels, -1)


def skin_colour(head: Head) -> Tensor:
    """Skin from melanin and redness."""
    t = head.traits
    m, red = t.melanin**1.1, t.redness
    return colour(0.97 - 0.68 * m + red, 0.80 - 0.64 * m - red * 0.3, 0.70 - 0.60 * m - red * 0.5)


def hair_colour(head: Head) -> Tensor:
    """Hair from lightness, warmth and greyness."""
    t = head.traits
    light, warm = t.hair_light**1.6, t.hair_warmth
    red = 0.06 + 0.80 * light * (0.75 + 0.25 * warm)
    green = 0.05 + 0.62 * light * (0.75 + 0.1 * warm)
    hair = colour(red, green, 0.05 + 0.42 * light * (1.1 - 0.6 * warm))
    grey = t.hair_grey.clamp(0, 1)[..., None] * 0.9
    return hair * (1 - grey) + (hair.mean(-1, keepdim=True) * 0.5 + 0.3) * grey


def strands(head: Head, s: Surface) -> Tensor:
    """Streaks that follow the hair, about -1..1."""
    t = head.traits
    angle = torch.atan2(s.u, 0.3 - s.v)
    coarse = torch.sin(angle * (26 + 10 * t.seed(0)) + 3 * torch.sin(s.v * 5 + 3 * t.seed(1)))
    return 0.5 * coarse + 0.5 * torch.sin(angle * 47 + s.v * (6 + 5 * t.seed(2)))


def relief(head: Head, s: Surface) -> Tensor:
    """Height of everything that stands out of the ellipsoid."""
    t = head.traits
    upper, lower = lips(head, s)[:2]
    sockets = sum(torch.exp(-(((s.u - k * t.eye_x) / 0.17) ** 2 + ((s.v - t.eye_y + 0.01) / 0.10) ** 2)) for k in SIDES)
    chin = torch.exp(-((s.u / 0.16) ** 2 + ((s.v - t.mouth_y - 0.26) / 0.09) ** 2))
    height = head.nose_relief(s.u, s.v) - t.socket_depth * sockets + t.cheek_height * cheeks(head, s)
    return height + 0.035 * lower + 0.025 * upper + t.chin_height * chin - t.fold_depth * folds(head, s)


def cheeks(head: Head, s: Surface) -> Tensor:
    """Where the cheeks are, 0..1."""
    t = head.traits
    dv = ((s.v - t.nose_y + 0.04) / 0.15) ** 2
    return torch.exp(-(((s.u.abs() - t.eye_x - 0.08) / 0.17) ** 2 + dv))


def folds(head: Head, s: Surface) -> Tensor:
    """The folds from the nose to the corners of the mouth."""
    t = head.traits
    path = t.nose_width + 0.05 + 0.5 * (s.v - t.nose_y).clamp(0, 0.3)
    return ridge(s.u.abs() - path, 0.025) * soft(s.v - t.nose_y + 0.02, 0.02) * soft(t.mouth_y + 0.03 - s.v, 0.03)


def lips(head: Head, s: Surface) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Masks of upper lip, lower lip, mouth opening and closed line, and the height under the upper lip."""
    t = head.traits
    half, centre, top, bottom = head.mouth_shape()
    raw = s.v + head.drop * soft(s.v - t.mouth_y - 0.03, 0.05) - centre  # draw as if the jaw had not fallen
    across = (s.u - t.mouth_lean) / half
    curved = (across**2).clamp(max=1.5)
    bend = -head.wide(head.motion.smile) * 0.05 * curved + head.drop * 0.25 * curved
    y = raw - bend
    edge = (1 - across**2).clamp_min(0)
    top_line, bottom_line = top * edge**0.6, bottom * edge**0.6
    ends = soft(1 - across.abs(), 0.04)
    bow = t.lip_upper * edge**0.55 * (1 - 0.25 * ridge(s.u - t.mouth_lean, 0.03))
    upper = soft(y - (top_line - bow), 0.010) * soft(top_line + 0.004 - y, 0.008) * ends
    lower = soft(bottom_line + t.lip_lower * edge**0.6 - y, 0.012) * soft(y - bottom_line + 0.004, 0.008) * ends
    gap = bottom_line - top_line
    inner = soft(y - top_line, 0.007) * soft(bottom_line - y, 0.007) * ends * soft(gap - 0.016, 0.006)
    line = ridge(y, 0.011) * soft(1 - across.abs(), 0.05) * (1 - soft(gap - 0.026, 0.006))
    return upper, lower, inner, line, y - top_line


def paint_skin(head: Head, s: Surface, front: Tensor) -> Tensor:
    """Skin with grain, blush, bags, freckles, nostrils and folds."""
    t = head.traits
    grain: Tensor = torch.zeros_like(s.u)
    for k in range(6):
        fx, fy = (8 + 7 * t.seed(k)) * (1 + 0.5 * k), (8 + 7 * t.seed(k + 3)) * (1 + 0.5 * k)
        grain = grain + torch.sin(fx * s.u + fy * s.v * (-1) ** k + 27 * t.seed(k + 5)) / (1 + 0.4 * k)
    skin = skin_colour(head) * (1 + 0.05 * t.skin_grain * grain / 2.2)[..., None]
    blush = (cheeks(head, s) * t.blush)[..., None] * torch.tensor([0.1, 1.0, 0.9], device=s.u.device)
    bags = t.eye_bags * torch.exp(-(((s.u.abs() - t.eye_x) / 0.13) ** 2 + ((s.v - t.eye_y - 0.10) / 0.05) ** 2))
    spots = (torch.sin(s.u * 53 + 9 * t.seed(4)) * torch.sin(s.v * 47 + 9 * t.seed(1))).clamp_min(0.55) - 0.55
    marks = t.freckles.clamp_min(0) * spots * cheeks(head, s) * 0.6
    nostril = torch.exp(
        -(((s.u.abs() - t.nose_width * 0.55) / (t.nose_width * 0.30)) ** 2 + ((s.v - t.nose_y - 0.035) / 0.016) ** 2)
    )
    below = torch.exp(-((s.u / t.nose_width) ** 2 + ((s.v - t.nose_y - 0.045) / 0.02) ** 2)) * 0.3
    wing = torch.exp(-(((s.u.abs() - t.nose_width) / 0.02) ** 2 + ((s.v - t.nose_y) / 0.05) ** 2)) * 0.22
    dark = bags + marks + (0.6 * nostril + below + wing).clamp(0, 0.8) * front + t.fold_shade * folds(head, s)
    return skin * (1 - blush) * (1 - dark.clamp(0, 0.9))[..., None]


def paint_beard(head: Head, s: Surface, front: Tensor, picture: Tensor) -> Tensor:
    """Beard, moustache and stubble."""
    t = head.traits
    half, centre, _, _ = head.mouth_shape()
    rise = 0.30 * (1 - s.u.abs() / 0.75).clamp(0, 1)
    area = soft(s.v - (t.mouth_y - 0.16) - rise, 0.05)
    free = 1 - torch.exp(-((s.u / half / 1.05) ** 4 + ((s.v - centre) / 0.10) ** 4))
    lip_line = (t.mouth_y + t.nose_y + 0.05) / 2 - 0.01
    moustache = torch.exp(-((s.u / (t.mouth_width * 0.9)) ** 4 + ((s.v - lip_line) / 0.05) ** 4))
    full = torch.maximum(t.beard.clamp(0, 1) * area * free, t.moustache.clamp(0, 1) * moustache)
    shadow = t.stubble.clamp(0, 1) * torch.maximum(area * free, moustache) * 0.5
    hair = hair_colour(head) * (0.75 + 0.25 * strands(head, s))[..., None]
    return over(picture, hair, torch.maximum(full * 0.92, shadow) * front)


def paint_mouth(head: Head, s: Surface, front: Tensor, picture: Tensor) -> Tensor:
    """Lips, teeth, tongue and the dark inside."""
    t = head.traits
    upper, lower, inner, line, depth = lips(head, s)
    shade = colour(t.lip_red, t.lip_green, t.lip_green + 0.03)
    picture = over(picture, skin_colour(head) * shade, (upper + lower).clamp(0, 1) * front * t.lip_strength)
    picture = picture * (1 - line * front * 0.6)[..., None]
    half = head.mouth_shape()[0]
    gap = (head.mouth * 0.26).clamp_min(1e-3)
    arch = 0.02 * ((s.u - t.mouth_lean) / half) ** 2
    teeth = soft(0.045 - arch - depth, 0.008) * soft(t.seed(2) + 0.55, 0.25)  # some people hide theirs
    tongue = soft(depth - gap * 0.62, 0.02) * ridge(s.u, 0.14) * 0.8
    inside = colour(*(torch.full_like(t.lip_red, c) for c in (0.16, 0.05, 0.05)))
    inside = over(inside, torch.tensor([0.62, 0.28, 0.28], device=s.u.device), tongue)
    inside = over(inside, torch.tensor([0.84, 0.80, 0.74], device=s.u.device), teeth)
    return over(picture, inside, inner * front)


def paint_eye(head: Head, s: Surface, side: float, front: Tensor, picture: Tensor) -> Tensor:
    """One eye with lid, iris, lashes and brow; `side` is -1 (picture's left) or 1."""
    t, m = head.traits, head.motion
    smile, brow = head.wide(m.smile), head.wide(m.brow)
    eu = s.u - t.lean - side * t.eye_x
    ev = s.v - t.eye_y + t.eye_tilt * eu * side * 0.6
    across = eu / t.eye_width
    opening = 1 - 0.95 * head.wide(m.blink) - 0.18 * smile.clamp_min(0) + 0.12 * brow
    lid = t.eye_width * t.eye_aspect * (1 - across**2).clamp_min(0) ** 0.7
    top, bottom = -lid * opening, lid * 0.75 * (1 - 0.4 * smile.clamp_min(0))
    shown = soft(ev - top, 0.008) * soft(bottom - ev, 0.008) * soft(1 - across.abs(), 0.05) * soft(opening - 0.15, 0.04)
    gaze = eu - head.wide(m.gaze) * 0.045
    radius = torch.sqrt(gaze**2 + (ev + 0.008) ** 2)
    light = t.iris_light
    iris = colour(0.18 + 0.30 * light * (1 - t.iris_blue), 0.12 + 0.35 * light, 0.08 + 0.55 * light * t.iris_blue)
    ball = over(torch.full_like(iris, 0.88), iris, soft(t.eye_width * 0.50 - radius, 0.008))
    glint = torch.exp(-(((gaze + 0.018) / 0.012) ** 2 + ((ev + 0.028) / 0.012) ** 2))
    ball = ball * (1 - 0.92 * soft(t.eye_width * 0.24 - radius, 0.007))[..., None] + 0.6 * glint[..., None]
    ball = ball * (1 - 0.35 * ridge(ev - top, 0.02))[..., None]
    picture = over(picture, ball, shown * front)
    lash = ridge(ev - top, 0.013) * soft(1.08 - across.abs(), 0.05) * t.lashes
    crease = ridge(ev - top + 0.035, 0.012) * soft(1.1 - across.abs(), 0.08) * 0.25
    picture = picture * (1 - ((lash + crease) * front).clamp(0, 0.9))[..., None]
    along = eu * side / t.brow_length
    height = s.v - (t.eye_y - t.brow_y - 0.05 * brow) + t.brow_tilt * along * t.brow_length
    height = height + t.brow_arch * 0.06 * (1 - along**2)
    hairs = ridge(height, t.brow_thickness * (1 - 0.35 * along.clamp(-1, 1))) * soft(1 - along.abs(), 0.08)
    return over(picture, hair_colour(head) * 0.75, hairs * front * t.brow_strength)


def paint_glasses(head: Head, s: Surface, front: Tensor, picture: Tensor) -> Tensor:
    """Frames for the people who wear glasses."""
    t = head.traits
    power = t.glasses_round
    inside = ((s.u.abs() - t.eye_x).abs() / 0.205) ** power + ((s.v - t.eye_y - 0.015).abs() / 0.15) ** power
    rim = ridge(inside.clamp_min(1e-6) ** (1 / power) - 1, 0.09)
    bridge = ridge(s.v - t.eye_y + 0.02, 0.018) * soft(0.09 - s.u.abs(), 0.01)
    worn = (t.glasses > GLASSES_ABOVE).float()
    metal = colour(*(0.05 + 0.25 * t.seed(k).abs() for k in range(3)))
    return over(picture, metal, (rim + bridge).clamp(0, 1) * worn * front * 0.9)
