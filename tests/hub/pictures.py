"""Pictures that are made to be trouble."""

from __future__ import annotations

import random
from io import BytesIO

from PIL import Image


def growing_image() -> bytes:
    """Return a PNG that becomes several times as large when it is packed with less patience."""
    rows = random.Random(1).choices([0, 85, 170, 255], k=1900 * 4 * 4)
    buffer = BytesIO()
    # Of what Pillow packs at its best, each run of four rows is a reference to the one before.
    Image.frombytes("RGBA", (1900, 400), bytes(rows) * 100).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()
