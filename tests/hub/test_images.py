"""Images: upright, small ones beside, nothing left that is not a pixel, and none that could fill the memory."""

from __future__ import annotations

import errno
import logging
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin
from PIL.ExifTags import GPS, IFD
from PIL.ExifTags import Base as ExifTag
from PIL.JpegImagePlugin import get_sampling

from flask_chatix_comments.errors import RequestRefusedError
from flask_chatix_comments.hub import images
from flask_chatix_comments.hub.images import (
    MAX_JPEG_SCANS,
    MAX_JPEG_STEPS,
    MAX_SIDE_PX,
    MAX_SMALL_CHUNKS,
    Size,
    rewrite_image,
)

JPEG, PNG = "image/jpeg", "image/png"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SECRETS = [b"Exif", b"http://ns.adobe.com", b"52.5200", b"a secret comment", b"<script>", b"Camera"]


def corners(width: int = 80, height: int = 40) -> Image.Image:
    """Return an image that shows how it is turned: red, green / blue, white."""
    image = Image.new("RGB", (width, height), RED)
    half = (width // 2, height // 2)
    image.paste(GREEN, (half[0], 0, width, half[1]))
    image.paste(BLUE, (0, half[1], half[0], height))
    image.paste(WHITE, (half[0], half[1], width, height))
    return image


def encode(image: Image.Image, media_type: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG" if media_type == JPEG else "PNG", **options)
    return buffer.getvalue()


class Rewritten:
    """What was made of an image."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.size = (size.width_px, size.height_px)
        self.data = (folder / "original").read_bytes()
        self.original = Image.open(folder / "original")
        self.original.load()
        self.thumbs = {side: Image.open(folder / f"t{side}") for side in (100, 300)}
        for thumb in self.thumbs.values():
            thumb.load()

    def all_bytes(self) -> bytes:
        return self.data + b"".join(str(thumb.info).encode() for thumb in self.thumbs.values())


Rewrite = Callable[..., Any]


@pytest.fixture
def rewrite(tmp_path: Path) -> Rewrite:
    def rewrite(
        data: bytes, media_type: str, *, max_pixels: int = 1_000_000, max_bytes: int = 10_000_000
    ) -> Rewritten | None:
        (tmp_path / "raw").write_bytes(data)
        thumbs = {side: tmp_path / f"t{side}" for side in (100, 300)}
        size = rewrite_image(
            *(tmp_path / "raw", tmp_path / "original", thumbs),
            media_type=media_type,
            max_pixels=max_pixels,
            max_bytes=max_bytes,
        )
        return Rewritten(tmp_path, size) if size is not None else None

    return rewrite


def refusal(rewrite: Rewrite, data: bytes, media_type: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(RequestRefusedError) as caught:
        rewrite(data, media_type, **options)
    return caught.value.status_code, str(caught.value)


def looks_like(image: Image.Image, expected: Image.Image) -> bool:
    """Whether the middles of the four quarters have the same colours."""
    shown, wanted = image.convert("RGB"), expected.convert("RGB")
    if shown.size != wanted.size:
        return False
    width, height = wanted.size
    points = [(x, y) for x in (width // 4, 3 * width // 4) for y in (height // 4, 3 * height // 4)]
    return all(_is_near(shown.getpixel(point), wanted.getpixel(point)) for point in points)


def _is_near(one: Any, other: Any) -> bool:
    return all(abs(a - b) < 24 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("media_type", [JPEG, PNG])
def test_an_image_stays_what_it_is_and_gets_small_ones(rewrite: Rewrite, media_type: str) -> None:
    image = corners(800, 600)
    made = rewrite(encode(image, media_type), media_type)
    assert made.size == made.original.size == (800, 600)
    assert made.original.get_format_mimetype() == media_type
    assert looks_like(made.original, image)
    assert {side: thumb.size for side, thumb in made.thumbs.items()} == {100: (100, 75), 300: (300, 225)}
    assert {thumb.format for thumb in made.thumbs.values()} == {"WEBP"}
    assert looks_like(made.thumbs[300], image.resize((300, 225)))


def test_the_pixels_of_a_png_do_not_change(rewrite: Rewrite) -> None:
    image = Image.effect_noise((120, 90), 80)
    assert rewrite(encode(image, PNG), PNG).original.tobytes() == image.tobytes()


def test_a_jpeg_is_written_with_its_own_tables(rewrite: Rewrite) -> None:
    for quality, subsampling in ((35, 2), (95, 0)):
        data = encode(corners(), JPEG, quality=quality, subsampling=subsampling)
        made = rewrite(data, JPEG)
        before = Image.open(BytesIO(data))
        assert made.original.quantization == before.quantization  # type: ignore[attr-defined]  # of a JPEG
        assert get_sampling(made.original) == subsampling


@pytest.mark.parametrize("media_type", [JPEG, PNG])
def test_small_images_are_not_blown_up(rewrite: Rewrite, media_type: str) -> None:
    made = rewrite(encode(corners(20, 8), media_type), media_type)
    assert [thumb.size for thumb in made.thumbs.values()] == [(20, 8), (20, 8)]
    line = rewrite(encode(Image.new("RGB", (900, 1)), media_type), media_type)
    assert [thumb.size for thumb in line.thumbs.values()] == [(100, 1), (300, 1)]


@pytest.mark.parametrize("media_type", [JPEG, PNG])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_and_gone(rewrite: Rewrite, orientation: int, media_type: str) -> None:
    seen = corners(80, 48)
    # What a camera stores, so that *orientation* turns it into what was seen (Exif 2.3, tag 274).
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = seen if undo is None else seen.transpose(undo)
    exif = Image.Exif()
    exif[ExifTag.Orientation] = orientation
    made = rewrite(encode(stored, media_type, exif=exif), media_type)
    assert made.size == (80, 48)
    assert looks_like(made.original, seen)
    assert made.thumbs[100].size == (80, 48)
    assert looks_like(made.thumbs[100], seen)
    assert not made.original.getexif()


def test_nothing_of_a_jpeg_is_left_but_the_picture(rewrite: Rewrite) -> None:
    exif = Image.Exif()
    exif[ExifTag.Make] = "Camera"
    exif[ExifTag.ImageDescription] = "52.5200"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    data = encode(corners(), JPEG, exif=exif, comment=b"a secret comment", xmp=b"<x:xmpmeta http://ns.adobe.com/>")
    data += b"<script>alert(1)</script>" + encode(corners(), JPEG, comment=b"a secret comment")
    assert all(secret in data for secret in SECRETS)
    made = rewrite(data, JPEG)
    assert [secret for secret in SECRETS if secret in made.all_bytes()] == []
    assert set(made.original.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_nothing_of_a_png_is_left_but_the_picture(rewrite: Rewrite) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "a secret comment")
    texts.add_itxt("XML:com.adobe.xmp", "<x http://ns.adobe.com/>")
    texts.add_text("Software", "Camera", zip=False)
    exif = Image.Exif()
    exif[ExifTag.Make] = "52.5200"
    data = encode(corners(), PNG, pnginfo=texts, exif=exif, dpi=(72, 72)) + b"<script>alert(1)</script>"
    assert b"a secret comment" in data and b"eXIf" in data
    made = rewrite(data, PNG)
    assert [secret for secret in [*SECRETS, b"eXIf", b"tEXt", b"pHYs"] if secret in made.all_bytes()] == []
    assert made.original.info == {}


def test_colours_are_kept(rewrite: Rewrite) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for media_type in (JPEG, PNG):
        made = rewrite(encode(corners(), media_type, icc_profile=profile), media_type)
        assert made.original.info["icc_profile"] == made.thumbs[300].info["icc_profile"] == profile
        huge = rewrite(encode(corners(), media_type, icc_profile=b"x" * 70_000), media_type)
        assert "icc_profile" not in huge.original.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png(rewrite: Rewrite, mode: str) -> None:
    image = corners(400, 300)
    stored = image.convert("L").convert("I").point(lambda value: value * 257).convert(mode) if mode == "I;16" else None
    made = rewrite(encode(stored or image.convert(mode), PNG), PNG)
    assert made.original.mode == mode
    grey = image.convert("L") if mode in ("L", "LA", "I;16") else image
    assert mode == "1" or looks_like(made.thumbs[100], grey.resize((100, 75)))


def test_what_is_transparent_stays_so(rewrite: Rewrite) -> None:
    image = corners(400, 300).convert("RGBA")
    image.putalpha(Image.new("L", (400, 300), 0))
    made = rewrite(encode(image, PNG), PNG)
    assert made.thumbs[300].getpixel((10, 10))[3] == 0
    palette = corners(400, 300).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    made = rewrite(encode(palette, PNG, transparency=palette.getpixel((10, 10))), PNG)
    assert made.original.convert("RGBA").getpixel((10, 10))[3] == 0
    assert made.thumbs[300].convert("RGBA").getpixel((10, 10))[3] == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg(rewrite: Rewrite, mode: str) -> None:
    image = corners(400, 300)
    made = rewrite(encode(image.convert(mode), JPEG), JPEG)
    assert made.original.mode == ("L" if mode == "L" else "RGB")
    assert looks_like(made.original, image.convert(mode))


def test_a_progressive_jpeg(rewrite: Rewrite) -> None:
    image = corners(400, 300)
    assert looks_like(rewrite(encode(image, JPEG, progressive=True), JPEG).original, image)


def test_of_what_moves_the_first_picture_is_kept(rewrite: Rewrite) -> None:
    frames = [corners(), Image.new("RGB", (80, 40), BLUE), Image.new("RGB", (80, 40), WHITE)]
    data = encode(frames[0], PNG, save_all=True, append_images=frames[1:], duration=100)
    assert b"acTL" in data
    made = rewrite(data, PNG)
    assert b"acTL" not in made.data
    assert looks_like(made.original, frames[0])
    buffer = BytesIO()
    frames[0].save(buffer, "MPO", save_all=True, append_images=frames[1:])
    assert looks_like(rewrite(buffer.getvalue(), JPEG).original, frames[0])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))


def png_of(width: int, height: int, *, rows: bytes = b"") -> bytes:
    """Return a PNG that says it is so large, and holds next to nothing."""

    header = struct.pack("!IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_too_many_pixels_are_refused_before_they_are_unpacked(rewrite: Rewrite) -> None:
    says = "An image has at most 1 million pixels, this one has 1.01 million."
    assert refusal(rewrite, encode(corners(1010, 1000), JPEG), JPEG) == (422, says)
    assert refusal(rewrite, encode(corners(1010, 1000), PNG), PNG) == (422, says)
    rewrite(encode(corners(1000, 1000), JPEG), JPEG)
    # Pillow's own limit, which is of the whole process, plays no part.
    limit = Image.MAX_IMAGE_PIXELS
    says = "An image has at most 40 million pixels, this one has 4e+09 million."
    assert refusal(rewrite, png_of(60_000, 60_000), PNG, max_pixels=40_000_000)[0] == 422
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("turned", [False, True])
def test_long_sides_are_refused_before_they_are_unpacked(rewrite: Rewrite, turned: bool) -> None:
    def sides(length: int) -> tuple[int, int]:
        return (1, length) if turned else (length, 1)

    says = "An image is at most 32,768 pixels wide and high, this one is {} × {}."
    for length in (MAX_SIDE_PX + 1, 40_000_000):
        # There is nothing in it: only what it says of itself has been read.
        data = png_of(*sides(length))
        assert refusal(rewrite, data, PNG, max_pixels=40_000_000) == (
            422,
            says.format(*map("{:,}".format, sides(length))),
        )
    assert refusal(rewrite, encode(Image.new("L", sides(MAX_SIDE_PX + 1)), JPEG), JPEG)[0] == 422
    for media_type in (JPEG, PNG):
        made = rewrite(encode(Image.new("L", sides(MAX_SIDE_PX)), media_type), media_type)
        assert made.size == sides(MAX_SIDE_PX)


def test_a_small_limit_is_said_exactly(rewrite: Rewrite) -> None:
    says = "An image has at most 100 pixels, this one has 3200."
    assert refusal(rewrite, encode(corners(), PNG), PNG, max_pixels=100) == (422, says)


def test_a_jpeg_of_endless_scans_is_refused(rewrite: Rewrite) -> None:
    data = encode(corners(), JPEG, progressive=True)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 2)
    scan = data[start:end]
    rewrite(data, JPEG)
    assert refusal(rewrite, data[:start] + scan * (MAX_JPEG_SCANS + 1) + data[start:], JPEG)[0] == 422


@pytest.mark.parametrize("media_type", [JPEG, PNG])
def test_damaged_images_are_refused(rewrite: Rewrite, media_type: str) -> None:
    data = encode(Image.effect_noise((200, 100), 80).convert("RGB"), media_type)
    says = (422, "This image is damaged.")
    for broken in (data[:3], data[:30], data[: len(data) // 2], data[:20] + b"\x00" * 200, b"", b"<html>" * 20):
        assert refusal(rewrite, broken, media_type) == says, broken[:40]


def test_an_image_of_the_other_kind_is_damaged(rewrite: Rewrite) -> None:
    assert refusal(rewrite, encode(corners(), PNG), JPEG) == (422, "This image is damaged.")
    assert refusal(rewrite, encode(corners(), JPEG), PNG) == (422, "This image is damaged.")


def test_what_grows_is_refused_before_it_is_written(rewrite: Rewrite, tmp_path: Path) -> None:
    noise = encode(Image.effect_noise((600, 400), 90), PNG, compress_level=9)
    assert rewrite(noise, PNG, max_bytes=len(noise) // 2) is None
    assert (tmp_path / "original").stat().st_size <= len(noise) // 2
    photo = encode(Image.effect_noise((600, 400), 90), JPEG, quality=80)
    assert rewrite(photo, JPEG, max_bytes=len(photo) // 2) is None
    assert (tmp_path / "original").stat().st_size <= len(photo) // 2


def test_what_grows_a_little_is_packed_better(rewrite: Rewrite) -> None:
    image = corners(600, 400)
    image.paste(Image.effect_noise((300, 300), 20).convert("RGB").resize((600, 400)))
    sizes = {level: len(encode(image, PNG, compress_level=level)) for level in (4, 6)}
    assert sizes[6] < sizes[4]
    made = rewrite(encode(image, PNG), PNG, max_bytes=sizes[6])
    assert len(made.data) == sizes[6]
    assert rewrite(encode(image, PNG), PNG, max_bytes=sizes[6] - 1) is None


def test_a_png_of_crumbs_is_refused_before_it_is_opened(rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = encode(corners(), PNG)
    rewrite(plain[:33] + chunk(b"tEXt", b"k\0v") * 1000 + plain[33:], PNG)
    monkeypatch.setattr(images, "PngImageFile", None)
    for name in (b"tEXt", b"IDAT"):
        crumbs = plain[:33] + chunk(name, b"k\0v") * (MAX_SMALL_CHUNKS + 1) + plain[33:]
        assert refusal(rewrite, crumbs, PNG) == (422, "This image is damaged.")
    profiles = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000)))
    assert refusal(rewrite, plain[:33] + profiles * 2 + plain[33:], PNG) == (422, "This image is damaged.")


@pytest.mark.parametrize("crumb", [b"\xff", b"\x00", b"\xff\xd8", b"\xff\xfe\x00\x02", b"\xff\xf0\x00\x04\xff\xff"])
def test_a_jpeg_of_crumbs_is_refused_before_it_is_opened(
    rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch, crumb: bytes
) -> None:
    plain = encode(corners(), JPEG)
    monkeypatch.setattr(images, "JpegImageFile", None)
    crumbs = plain[:2] + crumb * (MAX_JPEG_STEPS + 1) + plain[2:]
    assert refusal(rewrite, crumbs, JPEG) == (422, "This image is damaged.")


@pytest.mark.parametrize("crumb", [b"\xff", b"\xff\xfe\x00\x02"])
def test_a_jpeg_may_have_some_crumbs(rewrite: Rewrite, crumb: bytes) -> None:
    plain = encode(corners(), JPEG)
    assert looks_like(rewrite(plain[:2] + crumb * 1000 + plain[2:], JPEG).original, corners())


def test_what_a_camera_noted_is_not_written_to_the_log(rewrite: Rewrite, caplog: pytest.LogCaptureFixture) -> None:
    exif = Image.Exif()
    exif[ExifTag.Make] = "Camera of Ada"
    caplog.set_level(logging.DEBUG)
    for media_type in (JPEG, PNG):
        data = encode(corners(), media_type, exif=exif)
        caplog.clear()
        rewrite(data, media_type)
        assert "Camera of Ada" not in caplog.text


@pytest.mark.parametrize("exif", [b"", b"MM\x00*\x00\x00\xff\xff", b"II*\x00", b"\xff" * 60])
@pytest.mark.parametrize("media_type", [JPEG, PNG])
def test_damaged_exif_says_nothing(rewrite: Rewrite, media_type: str, exif: bytes) -> None:
    image = corners()
    data = encode(image, media_type, exif=b"Exif\x00\x00" + exif)
    assert looks_like(rewrite(data, media_type).original, image)


def test_a_full_disk_is_not_the_images_fault(rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    data = encode(corners(), PNG)
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        rewrite(data, PNG)
