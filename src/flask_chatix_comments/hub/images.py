"""Images: looked at, written anew, and made small. It takes time and memory, so a thread of its own calls it.

What is served is what was written here from the pixels: no EXIF, no place, no second picture or text behind
the end is left, and the image stands upright.
"""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.ExifTags import Base as ExifTag
from PIL.JpegImagePlugin import MARKER, JpegImageFile, get_sampling
from PIL.PngImagePlugin import PngImageFile

from ..errors import RequestRefusedError

logger = logging.getLogger(__name__)

#: Pillow has a pointer to each row, and again in each copy: the number of pixels alone would not bound its memory.
MAX_SIDE_PX = 32_768
#: Progressive images have about ten. Each is a pass over all pixels, and a hundred bytes are enough to ask for one.
MAX_JPEG_SCANS = 100
#: Wide colours need some hundred bytes; more is something else.
MAX_PROFILE_BYTES = 65_536
THUMB_QUALITY = 80
#: Where the original says nothing of use.
JPEG_QUALITY = 90
#: On photographs half the time of the usual 6, and a tenth more bytes.
PNG_COMPRESSION = 4
#: For what becomes too large by that. The highest, 9, takes minutes over what is made to keep it busy.
PNG_RETRY_COMPRESSION = 6

# Pieces of 16 MB, its own choice, Pillow gets from a heap that keeps them. Larger ones the system takes back.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined]  # Pillow, "Block allocator"

#: Of one small image. A noisy one takes 90 KB, and a profile of colours comes on top.
MAX_THUMB_BYTES = 512 * 1024

#: Those below this size cost their number: each is taken up by itself. An image in motion has two for each picture.
SMALL_CHUNK_BYTES = 1024
MAX_SMALL_CHUNKS = 5000
#: Segments in front of a JPEG's picture, and bytes that stand between them.
MAX_JPEG_STEPS = 50_000

# At DEBUG it writes what cameras have noted: places, names, serial numbers.
logging.getLogger("PIL").setLevel(logging.INFO)

_DAMAGED = "This image is damaged."
_PIECE_BYTES = 1024 * 1024
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG_MODES = frozenset({"L", "RGB"})


class _OverflowError(Exception):
    """More was to be written than may be."""


class _BoundedFile:
    """What Pillow writes to: as it has no descriptor, nothing passes it by."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._left_bytes = max_bytes

    def write(self, data: bytes) -> int:
        """Write, as long as there is room."""
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise _OverflowError
        return self._file.write(data)


@dataclass(frozen=True, slots=True)
class Size:
    """The size of an image as it is shown."""

    width_px: int
    height_px: int


def rewrite_image(
    source: Path, target: Path, thumbs: dict[int, Path], *, media_type: str, max_pixels: int, max_bytes: int
) -> Size | None:
    """Write the image of *source* to *target*, and small ones of it, as WebP, beside.

    Args:
        thumbs: Where each goes, by the length of its longer side; an image that is smaller stays as it is.
        media_type: What *source* is: ``image/jpeg`` or ``image/png``, and so will be *target*.
        max_bytes: Of *target*; a small image has up to ``MAX_THUMB_BYTES``.

    Returns:
        The size; ``None`` when the image does not fit into *max_bytes*, however well it was packed before.

    Raises:
        RequestRefusedError: It is too large, or cannot be read.
    """
    # It says nothing then, and is of no use in the log. For good: to take it back would be for all threads.
    warnings.filterwarnings("ignore", "(possibly )?corrupt EXIF data", UserWarning)
    try:
        return _rewrite(source, target, thumbs, media_type=media_type, max_pixels=max_pixels, max_bytes=max_bytes)
    except _OverflowError:
        return None
    except (RequestRefusedError, MemoryError):
        raise
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            # The disk's, not the image's.
            raise
        # Pillow raises nearly anything over what strangers have made.
        logger.info("An image cannot be read: %s: %s", type(exc).__name__, exc)
        raise RequestRefusedError(422, _DAMAGED) from exc


def _rewrite(
    source: Path, target: Path, thumbs: dict[int, Path], *, media_type: str, max_pixels: int, max_bytes: int
) -> Size:
    if media_type == "image/png":
        _check_chunks(source)
    else:
        _check_segments(source)
    # Not Image.open: its limit of pixels belongs to the whole process, and what a JPEG may be else is of no use here.
    with PngImageFile(source) if media_type == "image/png" else JpegImageFile(source) as opened:
        _check_size(opened, max_pixels)
        options: dict[str, Any] = {}
        if isinstance(opened, JpegImageFile):
            _check_scans(source)
            options = _jpeg_options(opened)
        opened.load()
        profile = opened.info.get("icc_profile") or b""
        kept = {"icc_profile": profile} if len(profile) <= MAX_PROFILE_BYTES else {}
        image = _upright(opened)
    # The encoders take more from there than is good: comments, and texts.
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}
    if media_type == "image/jpeg" and image.mode not in _JPEG_MODES:
        image, kept = image.convert("RGB"), {}
    if media_type == "image/png":
        try:
            _save(image, target, "PNG", max_bytes, compress_level=PNG_COMPRESSION, **kept)
        except _OverflowError:
            _save(image, target, "PNG", max_bytes, compress_level=PNG_RETRY_COMPRESSION, **kept)
    else:
        _save(image, target, "JPEG", max_bytes, **options, **kept)
    for side_px, path in thumbs.items():
        _write_thumb(image, path, side_px, kept)
    return Size(*image.size)


def _save(image: Image.Image, path: Path, kind: str, max_bytes: int, **options: Any) -> None:
    with path.open("wb") as file:
        image.save(_BoundedFile(file, max_bytes), kind, **options)  # type: ignore[arg-type]  # it only writes


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if max(image.size) > MAX_SIDE_PX:
        message = (
            f"An image is at most {MAX_SIDE_PX:,} pixels wide and high, this one is {image.width:,} × {image.height:,}."
        )
        raise RequestRefusedError(422, message)
    pixels = image.width * image.height
    if pixels > max_pixels:
        message = f"An image has at most {_millions(max_pixels)} pixels, this one has {_millions(pixels)}."
        raise RequestRefusedError(422, message)


def _millions(number: int) -> str:
    return f"{number / 1_000_000:.3g} million" if number >= 100_000 else str(number)


def _check_chunks(source: Path) -> None:
    """Refuse an image that is made of crumbs, or unpacks its colours over and over (PNG, sections 5.3 and 5.6)."""
    small, profiles = 0, 0
    with source.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and not head.endswith(b"IEND"):
            length = int.from_bytes(head[:4])
            small += length < SMALL_CHUNK_BYTES
            profiles += head.endswith(b"iCCP")
            if small > MAX_SMALL_CHUNKS or profiles > 1:
                raise RequestRefusedError(422, _DAMAGED)
            file.seek(length + 4, os.SEEK_CUR)


def _check_segments(source: Path) -> None:
    """Refuse an image whose picture is long in coming (ITU-T T.81, section B.1.1), read as Pillow reads it."""
    with source.open("rb") as file:
        file.seek(2)
        for _ in range(MAX_JPEG_STEPS):
            head = file.read(4)
            if len(head) < 4 or head.startswith(b"\xff\xda"):
                return
            if head[0] != 0xFF or head[1] == 0xFF:
                step = 1
            else:
                _, _, has_content = MARKER.get(0xFF00 | head[1], ("", "", None))
                step = 2 + int.from_bytes(head[2:]) if has_content else 2
            file.seek(step - 4, os.SEEK_CUR)
    raise RequestRefusedError(422, _DAMAGED)


def _check_scans(source: Path) -> None:
    """Refuse an image that would keep the machine busy for hours."""
    count, last = 0, b""
    with source.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            count += (last + piece).count(b"\xff\xda")
            last = piece[-1:]
    if count > MAX_JPEG_SCANS:
        raise RequestRefusedError(422, _DAMAGED)


def _jpeg_options(image: JpegImageFile) -> dict[str, Any]:
    """Return how to write the image with as little loss as can be: with its own tables."""
    if image.mode not in _JPEG_MODES:
        return {"quality": JPEG_QUALITY}
    sampling = get_sampling(image)
    return {"qtables": image.quantization} | ({"subsampling": sampling} if sampling >= 0 else {})


def _upright(image: Image.Image) -> Image.Image:
    """Return the image as its orientation says it should be seen."""
    try:
        orientation = image.getexif().get(ExifTag.Orientation)
    except Exception:
        # It is damaged, and so it says nothing.
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _write_thumb(image: Image.Image, path: Path, side_px: int, kept: dict[str, bytes]) -> None:
    scale = min(1.0, side_px / max(image.size))
    size = tuple(max(1, round(length * scale)) for length in image.size)
    if image.mode.startswith("I;16"):
        # Converted as they are, all but the darkest greys would be white.
        image = image.point(lambda value: value * (1 / 257))
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    small = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if has_alpha else "RGB")
    small = small.resize((size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)
    _save(small, path, "WEBP", MAX_THUMB_BYTES, quality=THUMB_QUALITY, **kept)
