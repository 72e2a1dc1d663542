"""Chatrooms for many posts at once, and posts read from a file.

Streaming: memory does not grow with the number of posts. Doing it again is safe, and quick, since
posts that have their chatroom cost one lookup each.
"""

from __future__ import annotations

import contextlib
import csv
import enum
import functools
import itertools
import json
import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TextIO

from .errors import ChatixCommentsError, PostError, RegistryError
from .models import MAX_POST_ID_CHARS, Post, normalize_post_id
from .registry import RoomState
from .room_batches import PATIENCE_S, Made, make_rooms
from .rooms import RoomService

FileFormat = Literal["jsonl", "csv"]

logger = logging.getLogger(__name__)

# Posts that a dry run looks up at once.
_LOOK_AT = 200
# A dry run remembers so many posts, as numbers: some megabytes.
_MAX_REMEMBERED = 100_000
_TRUTHS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


class Outcome(enum.StrEnum):
    """What became of one post."""

    CREATED = "created"
    EXISTING = "existing"
    WOULD_CREATE = "would_create"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What became of one post.

    Attributes:
        post_id: Normalised; as given, shortened, when it cannot be used.
        error: Why it failed, for people; ``None`` otherwise.
    """

    post_id: str
    outcome: Outcome
    error: str | None = None


def backfill(
    rooms: RoomService,
    posts: Iterable[Post],
    *,
    concurrency: int = 8,
    dry_run: bool = False,
    patience_s: float = PATIENCE_S,
    pause: Callable[[float], object] | None = None,
) -> Generator[BackfillResult, None, None]:
    """Make the chatrooms that are missing; yield a result for each post as it is done.

    One post's failure does not stop the others. When *posts* itself raises, or the API does not come back, what was
    begun is finished and yielded first. Closing the iterator finishes what is begun and starts nothing more.

    Args:
        posts: Read as it goes, in this thread.
        concurrency: How many API calls at once, at least 1.
        dry_run: Only tell what would be done; the API is not called. A post that comes twice would be created once.
        patience_s: For how long to wait for an API that fails or wants to be left alone.
        pause: Waits meanwhile, in seconds.

    Raises:
        ApiError: It has failed for *patience_s*; the rest of the posts were not tried.
    """
    if concurrency < 1:
        raise ValueError("concurrency is at least 1")
    if dry_run:
        yield from _look(rooms, _normalized(posts))
        return
    wanted = _normalized(posts)
    with contextlib.closing(
        make_rooms(rooms, wanted, concurrency=concurrency, patience_s=patience_s, pause=pause)
    ) as results:
        yield from map(_result, results)


def _normalized(posts: Iterable[Post]) -> Iterator[Post | Made]:
    """Yield the posts with their IDs normalised, and what is wrong with those that cannot be used."""
    for post in posts:
        try:
            yield replace(post, id=normalize_post_id(post.id))
        except Exception as exc:
            yield Made(post, error=exc)


def _result(made: Made) -> BackfillResult:
    error = made.error
    if error is None:
        return BackfillResult(str(made.post.id), Outcome.CREATED if made.is_new else Outcome.EXISTING)
    if isinstance(error, ChatixCommentsError):
        return BackfillResult(_label(made.post), Outcome.FAILED, str(error))
    logger.error("The backfill of the post %r failed.", _label(made.post), exc_info=error)
    text = f"Unexpected {type(error).__name__}; the log has more."
    return BackfillResult(_label(made.post), Outcome.FAILED, text)


def _look(rooms: RoomService, posts: Iterable[Post | Made]) -> Iterator[BackfillResult]:
    """Tell what would be done."""
    seen: set[int] = set()
    source = iter(posts)
    while batch := list(itertools.islice(source, _LOOK_AT)):
        try:
            known = rooms.find_many([str(post.id) for post in batch if isinstance(post, Post)])
        except RegistryError as exc:
            yield from (_result(Made(post, error=exc) if isinstance(post, Post) else post) for post in batch)
            continue
        for post in batch:
            if isinstance(post, Made):
                yield _result(post)
                continue
            entry = known.get(str(post.id))
            is_missing = entry is None or entry.state is RoomState.CREATING
            yield _once(BackfillResult(str(post.id), Outcome.WOULD_CREATE if is_missing else Outcome.EXISTING), seen)


def _once(result: BackfillResult, seen: set[int]) -> BackfillResult:
    """Return *result*; what would have been created before, for the same post, exists by then."""
    if result.outcome is not Outcome.WOULD_CREATE:
        return result
    # The hash alone: two posts of one hash among so many are less likely than a wrong disk.
    key = hash(result.post_id)
    if key in seen:
        return replace(result, outcome=Outcome.EXISTING)
    if len(seen) < _MAX_REMEMBERED:
        seen.add(key)
    return result


def _label(post: Post) -> str:
    """Return the post's ID, or what stands in its place, so that it can be printed anywhere."""
    return str(getattr(post, "id", post))[:MAX_POST_ID_CHARS].encode(errors="backslashreplace").decode()


def read_posts(
    stream: TextIO,
    *,
    format: FileFormat | None = None,
    on_error: Callable[[PostError], None] | None = None,
) -> Iterator[Post]:
    """Read posts from JSON lines or from CSV with a header; the keys are ``id``, ``title``, ``is_private``.

    Only ``id`` must be there; other keys and columns are ignored, and so are empty lines.

    Args:
        stream: Text as UTF-8; for CSV opened with ``newline=""``.
        format: ``None``: JSON lines when the first character is a brace, else CSV.
        on_error: Gets what is wrong with a line, which is then left out. Without it the first such
            line ends the reading.

    Raises:
        PostError: A line is wrong; the message has its number.
    """
    lines = _lines(stream)
    head = list(_through_first_text(lines))
    if not head or not head[-1].strip():
        return
    if format != "csv" and head[-1].lstrip().startswith("["):
        raise PostError(f"Line {len(head)}: this is a JSON array; one object per line is needed.")
    if format is None:
        format = "jsonl" if head[-1].lstrip().startswith("{") else "csv"
    lines = itertools.chain(head, lines)
    for number, read in (_read_jsonl if format == "jsonl" else _read_csv)(lines):
        try:
            post = read()
        except PostError as exc:
            error = PostError(f"Line {number}: {exc}")
            if on_error is None:
                raise error from exc
            on_error(error)
        else:
            yield post


def _lines(stream: TextIO) -> Iterator[str]:
    count = 0
    try:
        for line in stream:
            count += 1
            yield line.removeprefix("\ufeff") if count == 1 else line
    except UnicodeDecodeError as exc:
        # The decoder reads blocks, and gave none of this one: its good lines are not in the count.
        number = count + 1 + len(re.findall(rb"\r\n?|\n", exc.object[: exc.start]))
        raise PostError(f"Line {number}: it is not UTF-8. Save the file as UTF-8.") from exc


def _through_first_text(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines up to the first that is not empty, inclusive."""
    for line in lines:
        yield line
        if line.strip():
            return


def _read_jsonl(lines: Iterator[str]) -> Iterator[tuple[int, Callable[[], Post]]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, functools.partial(_post_from_json, line)


def _post_from_json(line: str) -> Post:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise PostError("It is not JSON.") from exc
    if not isinstance(data, dict):
        raise PostError('It is not an object such as {"id": "my-post", "title": "My post"}.')
    title, is_private = data.get("title"), data.get("is_private", False)
    if title is not None and not isinstance(title, str):
        raise PostError("'title' is not a text.")
    if not isinstance(is_private, bool):
        raise PostError("'is_private' is not true or false.")
    if "id" not in data:
        raise PostError("There is no 'id'.")
    return Post(normalize_post_id(data["id"]), title, is_private)


def _read_csv(lines: Iterator[str]) -> Iterator[tuple[int, Callable[[], Post]]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        header = reader.fieldnames or ()
        if "id" not in header:
            hint = " Columns are separated by commas." if re.search(r"[;\t]", "".join(header)) else ""
            raise PostError(f"Line 1: the header has no column 'id'.{hint}")
        for row in reader:
            yield reader.line_num, functools.partial(_post_from_csv, row)
    except csv.Error as exc:
        raise PostError(f"Line {reader.reader.line_num}: it is not CSV: {exc}.") from exc


def _post_from_csv(row: dict[str | Any, str | Any]) -> Post:
    if None in row:
        raise PostError("It has more values than the header has columns. Is a comma not in quotes?")
    is_private = (row.get("is_private") or "").strip().lower()
    if is_private not in _TRUTHS:
        raise PostError("'is_private' is not true or false.")
    return Post(normalize_post_id(row["id"] or ""), row.get("title") or None, _TRUTHS[is_private])
