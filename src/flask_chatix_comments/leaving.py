"""Take a visitor out of chatrooms that no tab shows any more.

What one request can cost is bounded: by calls for each chatroom, and by time for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from .errors import ApiStatusError, ApiTimeoutError
from .state import AppState

# The sweep gives up after 5 s.
DEADLINE_S = 4.0
CALL_TIMEOUT_S = 2.0
MAX_CONNECTIONS_OF_ROOM = 10
# The chatroom or the visitor is no more: who asks to be out of it is.
_GONE_STATUSES = frozenset({400, 404, 410})

Leave = tuple[str, str | None]


def withdraw(state: AppState, visitor_id: str, leaves: Iterable[Leave]) -> None:
    """Withdraw from what is ours: the same visitor's support chat is none of our business.

    Args:
        leaves: Chatroom and connection; ``None`` takes the visitor out whatever other connections it has.

    Raises:
        ApiError: The API failed or was too slow; what has been left by then may be left again.
    """
    deadline = state.monotonic() + DEADLINE_S
    for chatroom_id, connection_ids in _by_room(leaves).items():
        if state.registry.find_chatroom(chatroom_id) is None:
            continue
        for connection_id in connection_ids:
            _disconnect(state, chatroom_id, visitor_id, connection_id, time_left_s=deadline - state.monotonic())


def _by_room(leaves: Iterable[Leave]) -> dict[str, list[str | None]]:
    """Group by chatroom, each connection once.

    Each call also withdraws what closed connections of the visitor held. So the ones beyond the
    limit, which can only be of tabs that crashed, go with the ones before.
    """
    rooms: dict[str, list[str | None]] = {}
    for chatroom_id, connection_id in dict.fromkeys(leaves):
        rooms.setdefault(chatroom_id, []).append(connection_id)
    return {chatroom_id: connection_ids[:MAX_CONNECTIONS_OF_ROOM] for chatroom_id, connection_ids in rooms.items()}


def _disconnect(
    state: AppState, chatroom_id: str, visitor_id: str, connection_id: str | None, *, time_left_s: float
) -> None:
    if time_left_s <= 0:
        raise ApiTimeoutError(
            f"The API took more than {DEADLINE_S:g} s for the chatrooms that one page leaves.",
            operation="disconnect_visitor",
            timeout_s=DEADLINE_S,
        )
    api = state.api().within(min(CALL_TIMEOUT_S, time_left_s))
    try:
        api.disconnect_visitor(chatroom_id, visitor_id, connection_id=connection_id)
    except ApiStatusError as exc:
        if exc.status_code not in _GONE_STATUSES:
            raise
