"""What readers see in words in pages that the site makes. English, as the section's own in ``i18n.ts``."""

from __future__ import annotations

import functools
from datetime import datetime

WORDS = {
    "region": "Comments",
    "empty": "No comments yet. Yours could be the first.",
    "empty_and_closed": "There are no comments.",
    "show_earlier": "Show earlier comments",
    "title": "Comments",
    "name": "Name",
    "write": "Write a comment",
    "post": "Post comment",
    "commenting_as": "Commenting as",
    "show": "Show the comments",
    "show_newest": "Show the newest comments",
    "back": "Back to the post",
    "loading": "The comments are loading.",
    "private": "These comments are for some readers only.",
    "gone": "These comments are not available.",
    "closed": "Comments are closed.",
    "confirm": "This comment did not come from a page of this site. Is it yours, and do you want to post it?",
    "empty_text": "Write something first.",
    "bad_text": "This comment holds characters that cannot be shown.",
    "bad_name": "This name cannot be used here. Please choose another.",
    "not_taken": "This comment was not taken. It may have been removed, or comments may be closed by now.",
    "too_often": "You have posted a lot just now. Please wait a moment, and try again.",
    "needs_script": "To post a comment here needs JavaScript.",
    "out_of_date": "This page is out of date. Please go back, reload it, and try again.",
    "unreachable": "Your comment was not posted: the comments cannot be reached. What you wrote is still here."
    " Please try again in a moment.",
    "unavailable": "The comments cannot be reached at the moment. Please try again in a moment.",
    "no_hub": "Comments are not available on this site yet.",
    "anonymous": "Guest",
    "manager": "Team",
    "edited": "edited",
    "image": "Image",
    "attachment": "Attachment",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_BYTE_UNITS = ("B", "kB", "MB", "GB")


@functools.lru_cache(1024)
def count_of_comments(count: int) -> str:
    """Return a number of comments in words."""
    return "1 comment" if count == 1 else f"{count:,} comments"


def too_long(most: int, length: int) -> str:
    """Return what is said of a text that is too long."""
    return f"A comment has at most {most:,} characters; this one has {length:,}."


def comment_by(author: str) -> str:
    """Return what screen readers call a comment."""
    return f"Comment by {author}"


def short_date(moment: datetime) -> str:
    """Return a day, with its year: a page may be read whenever it likes."""
    return f"{_MONTHS[moment.month - 1][:3]} {moment.day}, {moment.year}"


def full_date(moment: datetime) -> str:
    """Return a moment, in UTC, as it is told to those who want to know exactly."""
    hour, half = moment.hour % 12 or 12, "AM" if moment.hour < 12 else "PM"
    day = f"{_DAYS[moment.weekday()]}, {_MONTHS[moment.month - 1]} {moment.day}, {moment.year}"
    return f"{day} at {hour}:{moment.minute:02} {half} UTC"


def byte_count(count: int) -> str:
    """Return a size: "1.5 MB". As file managers count, a kilobyte has 1024 bytes."""
    power = min(max(count, 1).bit_length() - 1, 39) // 10
    number = f"{count / 1024**power:,.1f}".removesuffix(".0")
    return f"{number} {_BYTE_UNITS[power]}"
