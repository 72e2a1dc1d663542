"""Python's collector of garbage, in a process that is a hub and nothing else.

It looks for cycles among all objects that live: what the program is made of, 80,000 objects, and some 115 for each
connection, which live for hours. That takes time in which nobody is served.
"""

from __future__ import annotations

import gc

#: So many new objects are looked at in one go; Python's own number is 700.
YOUNG_OBJECTS = 10_000


def settle() -> None:
    """Leave out what is there for good, and look at the rest less often. The whole process is concerned."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
