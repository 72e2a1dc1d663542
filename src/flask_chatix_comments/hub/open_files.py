"""How many files the process may have open, of which each connection is one."""

from __future__ import annotations

import sys
from contextlib import suppress

#: So many are as good as any number of readers that one process serves.
ENOUGH_FILES = 65_536
#: Files for all but connections: those that come in one go, the databases, and the site in the same process.
RESERVED_FILES = 200


if sys.platform == "win32":

    def raise_limit() -> None:
        """Do nothing: there is no such limit."""

    def max_connections() -> int:
        """Return how many connections may be open at once."""
        return sys.maxsize

else:
    import resource

    def raise_limit() -> None:
        """Have as many as the system allows who asks for it: what it gives unasked is little, such as 1024."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            # Some systems have another bound beside it. What there is will do.
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def max_connections() -> int:
        """Return how many connections may be open at once: by far not as many as the process may have files."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return sys.maxsize if files == resource.RLIM_INFINITY else max(files - RESERVED_FILES, files // 2)
