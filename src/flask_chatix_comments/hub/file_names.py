"""Names of files: as people gave them, made harmless; and how a response says them."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from ..models import drop_stacked_marks, is_visible, may_be_in_name

MAX_CHARS = 100
MAX_EXTENSION_CHARS = 16
#: What names an image of each type; the first one is put where none of them is.
IMAGE_EXTENSIONS = {"image/jpeg": (".jpg", ".jpeg", ".jfif", ".pjpeg", ".pjp"), "image/png": (".png",)}
#: The same for other files, where only some types are taken: systems go by the name when they open them.
EXTENSIONS = IMAGE_EXTENSIONS | {
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    "application/zip": (".zip",),
    "text/plain": (".txt", ".text", ".log"),
    "text/csv": (".csv",),
}

# What Windows keeps out of names, the separators of all systems among it.
_RESERVED = str.maketrans(dict.fromkeys('<>:"/\\|?*', "_"))
# attr-char of RFC 8187, section 3.2.1.
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"


def clean_file_name(text: str, *, image_type: str | None, only_type: str | None = None) -> str:
    """Return a name that can be shown and stored anywhere: one line, no path, no marks that turn text around.

    Args:
        image_type: What kind of image it is, if it is one: the name will end as the names of that kind do.
        only_type: What kind of another file it has to be, if not all are taken; likewise, where we know how such
            names end.
    """
    # Only so much: composing takes a time that grows with the square of the marks in a row.
    name = unicodedata.normalize("NFC", text[-4 * MAX_CHARS :]).replace("\\", "/").rpartition("/")[2]
    # So do browsers write a quotation mark (HTML, "Multipart form data").
    name = name.replace("%22", '"').translate(_RESERVED)
    name = "".join(" " if character.isspace() else character for character in name)
    name = drop_stacked_marks("".join(filter(may_be_in_name, name)))
    name = " ".join(name.split()).strip(". ")
    extensions = EXTENSIONS.get(image_type or only_type or "", ())
    if not is_visible(name):
        name = "image" if image_type is not None else "file"
    if extensions and not name.casefold().endswith(extensions):
        name += extensions[0]
    return _shorten(name)


def _shorten(name: str) -> str:
    if len(name) <= MAX_CHARS:
        return name
    extension = PurePosixPath(name).suffix
    if len(extension) > MAX_EXTENSION_CHARS:
        extension = ""
    return name[: MAX_CHARS - 1 - len(extension)].rstrip() + "…" + extension


def content_disposition(name: str, *, is_attachment: bool) -> str:
    """Return the header's value (RFC 6266): for old clients in ASCII, for all others as it is."""
    kind = "attachment" if is_attachment else "inline"
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    # Wide and small forms have become what a name may not hold.
    plain = letters.encode("ascii", "replace").decode().translate(_RESERVED).replace("%", "_").strip(". ") or "file"
    exact = quote(name, safe=_ATTRIBUTE_CHARACTERS)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"
