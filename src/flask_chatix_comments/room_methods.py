"""What ``ChatixComments`` does to chatrooms and comments by hand: the commands' counterparts in Python."""

from __future__ import annotations

from collections.abc import Iterator

from .models import Message, PostIdLike, normalize_post_id
from .room_keeper import RoomChange, RoomKeeper
from .room_messages import DeletedMessage, delete_message, thread_of
from .state import get_state
from .sweep import GRACE_S, LIMIT, TIME_LIMIT_S, Sweeper, SweepResult


class RoomMethods:
    """Changes chatrooms that exist, of the current application.

    A ``RoomChange`` says what has become of the chatroom and whether that is a change: to do the same again is no
    error. All of them raise, unless they say otherwise:

    ``PostError``
        There can be no such post.
    ``PostNotRegisteredError``
        The post has no chatroom.
    ``RoomMissingError``
        The chat service does not have the chatroom.
    ``RoomError``
        It cannot be done for another reason, which the message tells.
    ``ApiError``, ``RegistryError``
        The service or the database failed; what was asked for may be asked for again.
    """

    def link(self, post_id: PostIdLike, chatroom_id: str) -> RoomChange:
        """Make a chatroom that exists that of a post that has none; take over its title, privacy and state.

        Raises:
            ChatroomTakenError: It is another post's.
            RoomError: The post has another chatroom.
        """
        return _keeper().link(normalize_post_id(post_id), chatroom_id)

    def unlink(self, post_id: PostIdLike) -> RoomChange:
        """Forget which chatroom a post has; the chatroom stays, and ``link`` brings it back."""
        return _keeper().unlink(normalize_post_id(post_id))

    def close(self, post_id: PostIdLike) -> RoomChange:
        """Make a post's thread read-only, in the registry and at the service.

        On a service that does not know read-only chatrooms the form is hidden only; the ``note`` says so.
        """
        return _keeper().close(normalize_post_id(post_id))

    def reopen(self, post_id: PostIdLike) -> RoomChange:
        """Let a closed thread be written in again."""
        return _keeper().reopen(normalize_post_id(post_id))

    def delete(self, post_id: PostIdLike) -> RoomChange:
        """Take a post's chatroom away from everybody, until it is restored."""
        return _keeper().delete(normalize_post_id(post_id))

    def restore(self, post_id: PostIdLike) -> RoomChange:
        """Bring a deleted chatroom back, with all its comments; one that lives stays as it is."""
        return _keeper().restore(normalize_post_id(post_id))

    def make_private(self, post_id: PostIdLike, *, title: str | None = None) -> RoomChange:
        """Make a post's chatroom private, with its comments, and take out whom ``access_loader`` does not let in.

        A post without a chatroom gets a private one. So call this when a private post is saved: no page that says
        otherwise can make a public one then.

        Args:
            title: Of a chatroom that is made; by default the post's ID.
        """
        return get_state().private_rooms.make_private(normalize_post_id(post_id), title=title)

    def make_public(self, post_id: PostIdLike) -> RoomChange:
        """Open a private chatroom to everybody, with its comments."""
        return get_state().private_rooms.make_public(normalize_post_id(post_id))

    def messages(self, post_id: PostIdLike, *, limit: int | None = None) -> Iterator[Message]:
        """Yield a post's comments, oldest first, however many there are, in flat memory.

        Args:
            limit: Only the newest ones, at most so many.
        """
        state = get_state()
        return thread_of(
            state.registry,
            state.api(),
            normalize_post_id(post_id),
            limit=limit,
            is_hosted=state.config.is_hosted,
        )

    def delete_message(self, message_id: str, *, post_id: PostIdLike | None = None) -> DeletedMessage:
        """Delete one comment for everybody, for good.

        Args:
            post_id: Where it is. May be left out where our hub is used, which can tell.

        Raises:
            RoomError: There is no such comment under a post of the registry.
        """
        state = get_state()
        deleted = delete_message(
            state.registry,
            state.api(),
            message_id,
            post_id=None if post_id is None else normalize_post_id(post_id),
            is_hosted=state.config.is_hosted,
        )
        state.forget_post(deleted.post_id)
        return deleted

    def sweep(self, *, limit: int = LIMIT, grace_s: float = GRACE_S, time_limit_s: float = TIME_LIMIT_S) -> SweepResult:
        """Take visitors who are offline out of the posts' chatrooms; sleeps *grace_s* if there are any.

        Before that it takes out of private ones whom ``access_loader`` does not let in any more.

        Args:
            limit: How many seats are freed at most.
            grace_s: Who is back within this time stays, in seconds.
            time_limit_s: How long it may take without the grace time.

        Raises:
            ApiError: The service does not even list chatrooms; later failures are in the result.
        """
        state = get_state()
        return Sweeper(
            state.registry,
            state.api(),
            is_hosted=state.config.is_hosted,
            strangers_in=state.private_rooms.find_strangers,
            limit=limit,
            grace_s=grace_s,
            time_limit_s=time_limit_s,
        ).run()


def _keeper() -> RoomKeeper:
    return get_state().room_keeper
