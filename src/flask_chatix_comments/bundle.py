"""The files of the browser bundle, by the hashed names that the build gave them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

STATIC_FOLDER = Path(__file__).parent / "static" / "chatix_comments"
# What is in a page from its start, and for those who have no script what the script would load.
NAMED = ("comments.js", "comments.css", "section.css", "more.css")

logger = logging.getLogger(__name__)


class Manifest:
    """Which files of the browser bundle templates name, by their hashed names."""

    def __init__(self, folder: Path = STATIC_FOLDER) -> None:
        self._path = folder / "manifest.json"
        self._names: Mapping[str, str] = {}
        self._is_logged = False

    def names(self) -> Mapping[str, str]:
        """Return the hashed names; empty, with one error in the log, while the bundle has not been built."""
        if not self._names:
            self._read()
        return self._names

    def urls(self, endpoint: str) -> dict[str, str]:
        """Return the addresses for templates; empty while there is no bundle."""
        names = self.names()
        if not names:
            return {}
        return {
            "stylesheet_url": f"{endpoint}/static/{names['comments.css']}",
            "form_stylesheet_url": f"{endpoint}/static/{names['section.css']}",
            "fault_stylesheet_url": f"{endpoint}/static/{names['more.css']}",
            "script_url": f"{endpoint}/static/{names['comments.js']}",
        }

    def _read(self) -> None:
        try:
            names = json.loads(self._path.read_text("utf-8"))
            self._names = {name: str(names[name]) for name in NAMED}
        except (OSError, ValueError, LookupError, TypeError) as exc:
            if not self._is_logged:
                self._is_logged = True
                message = "The comment section has no script: %s cannot be used (%s). Run: node browser/build.mjs"
                logger.error(message, self._path, exc)
