"""How many tokens a picture costs: what is expected, and the most that it may be.

Providers change this from model to model. Estimates rest on what is known of each family; the hard budget rests on the
most expensive scheme of the provider where the family is not known.
"""

import math
import re

_PATCH = 32
_DEAREST_PATCH = 2.46
_GEMINI_TILE = 258

# model ids beginning with -> tokens of every picture, and of each tile
_TILES = [
    ("gpt-4o-mini", (2833, 5667)),
    ("gpt-4o", (85, 170)),
    ("chatgpt-4o", (85, 170)),
    ("gpt-4.1-mini", None),
    ("gpt-4.1-nano", None),
    ("gpt-4", (85, 170)),
    ("o4-mini", None),
    ("o1", (75, 150)),
    ("o3", (75, 150)),
    ("gpt-5-mini", None),
    ("gpt-5-nano", None),
    ("gpt-5-chat", (70, 140)),
    ("gpt-5-2", (70, 140)),  # gpt-5-2025-08-07
]
# the same -> tokens of a patch of 32 x 32 pixels
_PATCHES = [
    ("gpt-4.1-mini", 1.62),
    ("gpt-4.1-nano", 2.46),
    ("o4-mini", 1.72),
    ("gpt-5-mini", 1.62),
    ("gpt-5-nano", 2.46),
]
_NEW_PATCH = 1.2  # measured with gpt-6.1-sol


def openai_image_tokens(model: str, detail: str, width: int, height: int) -> tuple[float, float]:
    """Expected tokens, and the most, of one picture for a model of OpenAI.

    Args:
        model: Model id.
        detail: ``"low"``, ``"high"``, ``"auto"`` or ``"original"``.
        width: In pixels.
        height: In pixels.

    Example:
        >>> openai_image_tokens("gpt-4o-2024-11-20", "high", 1024, 1024)[0]
        765.0
        >>> openai_image_tokens("gpt-4o-2024-11-20", "low", 1024, 1024)
        (85.0, 85.0)
    """
    name = model.rpartition("/")[2].removeprefix("ft:")  # "openai/gpt-4o", "ft:gpt-4o-2024-08-06:..."
    tiles = next((tokens for prefix, tokens in _TILES if name.startswith(prefix)), None)
    if name == "gpt-5":
        tiles = (70, 140)
    if tiles is not None:
        base, each = tiles
        if detail == "low":
            return float(base), float(base)
        # servers make the short side 768 pixels long; whether they enlarge small pictures is not documented
        expected = _tiles(*_fitted(width, height, enlarge=False))
        most = max(expected, _tiles(*_fitted(width, height, enlarge=True)))
        return float(base + each * expected), float(base + each * most)
    patches = math.ceil(width / _PATCH) * math.ceil(height / _PATCH)
    each_patch = next((tokens for prefix, tokens in _PATCHES if name.startswith(prefix)), _NEW_PATCH)
    dearest_tiles = 85 + 170 * _tiles(*_fitted(width, height, enlarge=True))
    return patches * each_patch, max(patches * _DEAREST_PATCH, float(dearest_tiles))


def gemini_image_tokens(model: str, resolution: str | None, width: int, height: int) -> tuple[float, float]:
    """Expected tokens, and the most, of one picture for a Gemini model.

    Args:
        model: Model id.
        resolution: ``"low"``, ``"medium"``, ``"high"``, or ``None`` for the model's own choice.
        width: In pixels.
        height: In pixels.

    Example:
        >>> gemini_image_tokens("gemini-3.8-flash", None, 1024, 683)
        (1120.0, 1548.0)
    """
    tiled = _GEMINI_TILE * _gemini_tiles(width, height)
    most = float(max(1120, tiled))
    if re.match(r"(models/)?gemini-(pro-|flash-)?[12](\.|$|-)", model):
        return float({"low": 64, "medium": 256}.get(resolution or "", tiled)), most
    return float({"low": 280, "medium": 560}.get(resolution or "", 1120)), most


def _fitted(width: int, height: int, enlarge: bool) -> tuple[float, float]:
    """Size in a square of 2048 pixels, with a short side of 768 pixels."""
    scale = min(1.0, 2048 / max(width, height))
    short = 768 / (min(width, height) * scale)
    short = min(short, 2048 / (max(width, height) * scale) if enlarge else 1.0)
    return width * scale * short, height * scale * short


def _tiles(width: float, height: float) -> int:
    # rounding must not make a tile of a millionth of a pixel
    return math.ceil(round(width, 3) / 512) * math.ceil(round(height, 3) / 512)


def _gemini_tiles(width: int, height: int) -> int:
    if max(width, height) <= 384:
        return 1
    side = min(768, max(256, math.floor(min(width, height) / 1.5)))
    return math.ceil(width / side) * math.ceil(height / side)
