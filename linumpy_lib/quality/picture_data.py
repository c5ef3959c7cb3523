"""Pictures as data of a page, made small enough to fit together into one file."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIDES_PX = (1600, 1280, 960, 720, 540, 400, 300, 220)
"""Longest side of a picture, from the best quality down."""

_JPEG_QUALITY = 85
_SAMPLE = 24
"""Pictures, spread over all of them, that the size of all is told from."""


@dataclass(frozen=True)
class PictureData:
    """A picture inside a page: its source for an ``img``, and its size."""

    source: str
    width: int
    height: int


def picture_data(
    paths: Sequence[Path], budget_bytes: int, damaged: list[tuple[Path, str]]
) -> tuple[dict[Path, PictureData], int]:
    """Read pictures and shrink them until all together fit a budget.

    Parameters
    ----------
    paths : sequence of Path
        PNG files.
    budget_bytes : int
        Size of all of them in the page.
    damaged : list of (Path, str)
        Receives the files that are no pictures, and why.

    Returns
    -------
    pictures : dict of Path to PictureData
        JPEG, or the file's own bytes where it is small enough as it is.
    side_px : int
        Longest side that any of them may have.
    """
    usable = list(paths)
    last = len(usable) - 1
    sample = [usable[k] for k in sorted({round(j * last / (_SAMPLE - 1)) for j in range(_SAMPLE)})] if usable else []
    side = SIDES_PX[-1]
    for candidate in SIDES_PX:
        sizes = [len(encoded.source) for path in sample if (encoded := _encoded(path, candidate, [])) is not None]
        if not sizes or sum(sizes) / len(sizes) * len(usable) <= budget_bytes:
            side = candidate
            break
    pictures = {}
    for path in usable:
        encoded = _encoded(path, side, damaged)
        if encoded is not None:
            pictures[path] = encoded
    return pictures, side


def _encoded(path: Path, side: int, damaged: list[tuple[Path, str]]) -> PictureData | None:
    from PIL import Image, UnidentifiedImageError

    try:
        original = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(original), formats=("PNG",)) as image:
                image.load()
                width, height = image.size
                shown = _eight_bits(image)
    except UnidentifiedImageError:
        damaged.append((path, "is no PNG picture"))
        return None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        damaged.append((path, f"cannot be read as a picture ({error})"))
        return None
    if max(width, height) > side:
        scale = side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        shown = shown.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
        original = b""
    buffer = io.BytesIO()
    shown.save(buffer, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
    small = buffer.getvalue()
    kind, data = ("png", original) if original and len(original) <= len(small) else ("jpeg", small)
    return PictureData(f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", width, height)


def _eight_bits(image: Image) -> Image:
    """Grey or colour of 8 bits, transparency on white."""
    from PIL import Image as Images

    if image.mode.startswith("I") or image.mode == "F":
        import numpy as np

        values = np.asarray(image, dtype=np.float64)
        scale = 257.0 if values.max(initial=0.0) > 255 else 1.0
        return Images.fromarray(np.clip(values / scale, 0, 255).astype(np.uint8))
    if image.mode in ("L", "RGB"):
        return image.copy()
    coloured = image.convert("RGBA")
    page = Images.new("RGBA", coloured.size, "white")
    page.alpha_composite(coloured)
    return page.convert("RGB")
