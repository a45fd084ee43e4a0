"""Photos of the drawn birds: clean plates, and field photos with clutter, blur and low contrast."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fgvr.fieldguide.species import Species

Style = Literal["plate", "field"]

DRAWING = 1
"""Changes whenever the same species and seed would give other pixels."""

EVENING = (1.12, 0.96, 0.76)
"""Light of all field photos: factors of red, green and blue. A shift of domain that learned prompts can make up for."""

_SCALE = 3  # drawn this much larger, then reduced, so that edges are smooth
_RGB = {
    "red": (205, 45, 45), "orange": (240, 140, 30), "yellow": (240, 215, 60), "green": (70, 150, 65),
    "blue": (55, 95, 200), "violet": (140, 75, 165), "brown": (130, 85, 45), "grey": (140, 142, 148),
    "black": (40, 40, 45), "white": (248, 248, 245),
}  # fmt: skip
_LEGS, _BILL, _EDGE = (95, 70, 50), (70, 60, 50), (30, 30, 30)

_Colour = tuple[int, int, int]
_Point = tuple[float, float]
_Place = Callable[[float, float], _Point]
"""From how far forward along the body, and how far down from its middle, to a point."""


class Pose(NamedTuple):
    """How far birds turn, move and differ in size.

    Attributes:
        turn: Degrees to either side.
        shift: Share of the photo's side in any direction.
        smallest: Factor of the usual size.
        largest: The same.
    """

    turn: float
    shift: float
    smallest: float
    largest: float


PLATE_POSE = Pose(4.0, 0.02, 0.98, 1.08)
FIELD_POSE = Pose(14.0, 0.06, 0.78, 1.06)


class _Shape:
    """How a build holds itself, in units of the photo's side around its middle; the bird looks right."""

    def __init__(self, half_length: float, half_height: float, tilt: float, legs: float, neck: float) -> None:
        self.half_length = half_length
        self.half_height = half_height
        self.tilt = math.radians(tilt)
        self.legs = legs
        self.neck = neck


_SHAPES = {
    "bunting": _Shape(0.22, 0.17, 12, 0.09, 0.02),
    "shrike": _Shape(0.23, 0.115, 38, 0.09, 0.03),
    "plover": _Shape(0.20, 0.125, 8, 0.24, 0.06),
    "jay": _Shape(0.235, 0.13, 18, 0.11, 0.04),
}


def draw_image(species: Species, style: Style, draw: random.Random, size: int = 64) -> Image.Image:
    """A photo of one bird.

    Args:
        species: What is shown.
        style: ``plate`` is clean, as in a field guide, with hardly any change of pose. ``field`` has clutter behind and
            a little before the bird, changes of pose and size, evening light, low contrast, blur and noise.
        draw: Where everything that varies comes from: an equal one gives an equal photo.
        size: Side in pixels.

    Returns:
        RGB, ``size`` by ``size``.
    """
    canvas = size * _SCALE
    if style == "plate":
        image = Image.new("RGB", (canvas, canvas), _paper(draw))
        paint_bird(image, species, PLATE_POSE, draw)
        return image.resize((size, size), Image.Resampling.BOX)
    image = _thicket(canvas, draw)
    paint_bird(image, species, FIELD_POSE, draw)
    _leaves(image, draw, count=draw.randint(0, 3), longest=0.13)
    return exposed(image.resize((size, size), Image.Resampling.BOX), draw, EVENING)


def paint_bird(image: Image.Image, species: Species, pose: Pose, draw: random.Random) -> None:
    """Paint a bird onto a square picture."""
    _Bird(
        image,
        turn=math.radians(draw.uniform(-pose.turn, pose.turn)),
        size=draw.uniform(pose.smallest, pose.largest),
        middle=(0.5 + draw.uniform(-pose.shift, pose.shift), 0.5 + draw.uniform(-pose.shift, pose.shift)),
        mirrored=draw.random() < 0.5,
        draw=draw,
    ).paint(species)


class _Bird:
    """Paints parts of a bird that are given in its own coordinates."""

    def __init__(
        self, image: Image.Image, turn: float, size: float, middle: _Point, mirrored: bool, draw: random.Random
    ) -> None:
        self.pen = ImageDraw.Draw(image)
        self.canvas = image.width
        self.size = size
        self.middle = middle
        self.cos, self.sin = math.cos(turn), math.sin(turn)
        self.side = -1 if mirrored else 1
        self.draw = draw

    def paint(self, bird: Species) -> None:
        """Tail, legs, body, breast, wing, head, bill, in this order."""
        shape = _SHAPES[bird.build]
        body, wing, crown = (self._shade(getattr(bird, part)) for part in ("body", "wing", "crown"))
        along = (math.cos(shape.tilt), -math.sin(shape.tilt))  # from tail to head
        across = (math.sin(shape.tilt), math.cos(shape.tilt))  # from back to belly

        def at(forward: float, down: float) -> _Point:
            return forward * along[0] + down * across[0], forward * along[1] + down * across[1] - shape.legs / 2

        self._tail(bird.tail, at, shape, wing)
        hip, foot = at(-0.02, shape.half_height * 0.8), shape.legs
        for offset in (-0.035, 0.035):
            start = (hip[0] + offset, hip[1])
            self._line([start, (start[0], start[1] + foot), (start[0] + 0.035, start[1] + foot)], 0.016, _LEGS)
        self._ellipse(at(0, 0), shape.half_length, shape.half_height, -shape.tilt, body)
        self._breast(bird.breast, at, shape, body)
        self._ellipse(at(-0.055, -0.02), shape.half_length * 0.62, shape.half_height * 0.56, -shape.tilt + 0.12, wing)
        self._line([at(-0.02, 0.02), at(-shape.half_length * 0.95, 0.015)], 0.008, _darker(wing))

        radius = 0.095
        head = at(shape.half_length * 0.86, -shape.half_height * 0.55 - shape.neck)
        if shape.neck > 0.05:
            self._line([at(shape.half_length * 0.6, -0.02), head], 0.09, body)
        self._ellipse(head, radius, radius, 0, body)
        if bird.build == "jay":
            tip = (head[0] - 0.15, head[1] - 0.15)
            self._polygon([(head[0] + 0.045, head[1] - 0.08), tip, (head[0] - 0.09, head[1] - 0.01)], crown)
        cap = [
            _around(head, radius * 1.04, radius * 1.04, 0, math.pi + 2 * math.pi * 0.53 * i / 14) for i in range(-1, 15)
        ]
        self._polygon(cap, crown)
        self._bill(bird.bill, (head[0] + radius * 0.85, head[1] + 0.018))
        eye = (head[0] + 0.035, head[1] + 0.002)
        self._ellipse(eye, 0.024, 0.024, 0, (250, 250, 245), edged=False)
        self._ellipse(eye, 0.015, 0.015, 0, (15, 15, 15), edged=False)

    def _tail(self, tail: str, at: _Place, shape: _Shape, colour: _Colour) -> None:
        root = -shape.half_length * 0.85
        length = 0.27 if tail == "long" else 0.15
        width = 0.035
        end = root - length
        if tail == "fork":
            for spread in (-1, 1):
                self._polygon(
                    [at(root, -0.03), at(root, 0.03), at(end - 0.03, spread * 0.085), at(end - 0.02, spread * 0.035)],
                    colour,
                )
        elif tail == "fan":
            arc = [at(root - 0.19 * math.cos(a), 0.19 * math.sin(a)) for a in np.linspace(-0.75, 0.75, 9)]
            self._polygon([at(root + 0.03, 0), *arc], colour)
        else:
            self._polygon([at(root, -width), at(root, width), at(end, width), at(end, -width)], colour)

    def _breast(self, breast: str, at: _Place, shape: _Shape, body: _Colour) -> None:
        mark = (60, 45, 40) if sum(body) > 330 else (235, 230, 215)
        front = shape.half_length
        low = shape.half_height
        if breast == "collared":
            self._line([at(front * 0.72, -low * 0.62), at(front * 0.5, 0), at(front * 0.52, low * 0.72)], 0.034, mark)
        if breast == "barred":
            for down in (0.2, 0.46, 0.72):
                self._line([at(front * (0.78 - 0.35 * down), low * down), at(-front * 0.25, low * down)], 0.016, mark)
        if breast == "streaked":
            for forward in (0.62, 0.46, 0.3, 0.14, -0.02):
                self._line([at(front * forward, low * 0.12), at(front * (forward - 0.06), low * 0.78)], 0.014, mark)
        if breast == "spotted":
            for row, down in enumerate((0.18, 0.44, 0.7)):
                for forward in (0.58, 0.36, 0.14, -0.08):
                    place = at(front * (forward + 0.11 * (row % 2) - 0.1 * down), low * down)
                    self._ellipse(place, 0.0145, 0.0145, 0, mark, edged=False)

    def _bill(self, bill: str, root: _Point) -> None:
        x, y = root
        if bill == "plain":
            self._polygon([(x, y - 0.026), (x + 0.062, y + 0.004), (x, y + 0.026)], _BILL)
        elif bill == "long":
            self._polygon([(x, y - 0.022), (x + 0.17, y + 0.002), (x, y + 0.02)], _BILL)
        elif bill == "hook":
            hook = [(x, y - 0.036), (x + 0.075, y - 0.02), (x + 0.088, y + 0.052), (x + 0.05, y + 0.02), (x, y + 0.034)]
            self._polygon(hook, _BILL)
        else:
            upper = [(x + 0.15 * t, y - 0.024 + 0.115 * t * t) for t in np.linspace(0, 1, 7)]
            lower = [(x + 0.15 * t, y + 0.016 + 0.082 * t * t) for t in np.linspace(1, 0, 7)]
            self._polygon([*upper, *lower], _BILL)

    def _shade(self, colour: str) -> _Colour:
        light = self.draw.uniform(0.93, 1.05)
        red, green, blue = (min(255, int(light * part + self.draw.uniform(-6, 6))) for part in _RGB[colour])
        return max(red, 0), max(green, 0), max(blue, 0)

    def _map(self, points: Sequence[_Point]) -> list[_Point]:
        mapped = []
        for x, y in points:
            x, y = self.side * x * self.size, y * self.size
            mapped.append(
                (
                    (self.middle[0] + x * self.cos - y * self.sin) * self.canvas,
                    (self.middle[1] + x * self.sin + y * self.cos) * self.canvas,
                )
            )
        return mapped

    def _polygon(self, points: Sequence[_Point], colour: _Colour, edged: bool = True) -> None:
        mapped = self._map(points)
        self.pen.polygon(mapped, fill=colour)
        if edged:
            self.pen.line([*mapped, mapped[0]], fill=_EDGE, width=max(1, self.canvas // 96))

    def _line(self, points: Sequence[_Point], width: float, colour: _Colour) -> None:
        self.pen.line(
            self._map(points), fill=colour, width=max(1, round(width * self.size * self.canvas)), joint="curve"
        )

    def _ellipse(self, middle: _Point, a: float, b: float, turn: float, colour: _Colour, edged: bool = True) -> None:
        self._polygon([_around(middle, a, b, turn, 2 * math.pi * i / 24) for i in range(24)], colour, edged)


def _around(middle: _Point, a: float, b: float, turn: float, angle: float) -> _Point:
    """A point of an ellipse with half axes ``a`` and ``b``, turned by ``turn``."""
    x, y = a * math.cos(angle), b * math.sin(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    return middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos


def _darker(colour: _Colour) -> _Colour:
    return colour[0] * 2 // 3, colour[1] * 2 // 3, colour[2] * 2 // 3


def _paper(draw: random.Random) -> _Colour:
    light = draw.randint(-6, 4)
    return 246 + light, 240 + light, 224 + light


def _thicket(canvas: int, draw: random.Random) -> Image.Image:
    """Sky or foliage that fades from top to bottom, with twigs and leaves."""
    top = np.array([draw.randint(90, 215), draw.randint(110, 220), draw.randint(80, 225)])
    bottom = np.array([draw.randint(60, 170), draw.randint(80, 180), draw.randint(40, 140)])
    fade = np.linspace(0, 1, canvas)[:, None, None]
    image = Image.fromarray(np.broadcast_to(top * (1 - fade) + bottom * fade, (canvas, canvas, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(draw.randint(2, 6)):
        start, end = ((draw.uniform(-0.1, 1.1) * canvas, draw.uniform(-0.1, 1.1) * canvas) for _ in range(2))
        shade = draw.randint(40, 130)
        pen.line([start, end], fill=(shade + 25, shade, shade * 2 // 3), width=draw.randint(1, canvas // 24))
    _leaves(image, draw, count=draw.randint(6, 26), longest=0.2)
    return image.filter(ImageFilter.GaussianBlur(draw.uniform(0.5, 2.0) * _SCALE))


def _leaves(image: Image.Image, draw: random.Random, count: int, longest: float) -> None:
    pen, canvas = ImageDraw.Draw(image), image.width
    for _ in range(count):
        middle = draw.uniform(0, 1), draw.uniform(0, 1)
        long, turn = draw.uniform(0.03, longest) / 2, draw.uniform(0, math.pi)
        leaf = [_around(middle, long, long * 0.4, turn, 2 * math.pi * i / 10) for i in range(10)]
        colour = (draw.randint(40, 190), draw.randint(80, 190), draw.randint(30, 110))
        pen.polygon([(x * canvas, y * canvas) for x, y in leaf], fill=colour)


def exposed(
    image: Image.Image, draw: random.Random, light: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Image.Image:
    """As a small camera in poor light takes it: blurred, low in contrast, tinted and noisy.

    Args:
        image: RGB.
        draw: Where everything that varies comes from.
        light: Colour of the light: factors of red, green and blue.
    """
    image = image.filter(ImageFilter.GaussianBlur(draw.uniform(0.1, 0.8)))
    pixels = np.asarray(image, dtype=np.float64)
    contrast, brightness = draw.uniform(0.6, 1.0), draw.uniform(-20, 20)
    tint = np.array([factor * draw.uniform(0.9, 1.1) for factor in light])
    noise = np.random.default_rng(draw.getrandbits(32)).normal(0, draw.uniform(1, 7), pixels.shape)
    pixels = ((pixels - 128) * contrast + 128 + brightness) * tint + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
