"""The exceptions of this package: one root, one family per layer.

::

    ChatixCommentsError
    ├── ConfigError (key)                      also a ValueError
    ├── PostError                              also a ValueError
    ├── RegistryError (post_id)
    │   ├── PostNotRegisteredError             also a LookupError
    │   ├── ChatroomTakenError (owner)         the chatroom is another post's
    │   ├── TransferError (problems)           what is to be imported is not right, or contradicts what is there
    │   └── SchemaError                        the registry's tables cannot be brought up to date here
    ├── RoomError (post_id)                    what somebody wants of a post's chatroom cannot be done
    │   ├── RoomMissingError                   the service does not have the chatroom; also a LookupError
    │   └── RoomNotReadyError (retry_after_s)  the chatroom is being made
    ├── TokenError
    │   ├── TokenInvalidError
    │   └── TokenExpiredError (issued_at)
    ├── ApiError (operation)
    │   ├── ApiConnectionError (may_have_arrived)  no answer: may be tried again
    │   │   ├── ApiTimeoutError (timeout_s)
    │   │   └── ApiPausedError (retry_after_s) not even asked: the API is left alone for a while
    │   ├── ApiStatusError (status_code, retry_after_s)
    │   └── ApiPayloadError                    an answer that is not what the API promises
    └── HubError
        ├── HubStartError                      the built-in hub could not be started here
        │   ├── HubLockedError                 another process runs it: readers can use that one
        │   ├── HubMissingError                the site's server starts none, and none is configured
        │   └── HubPortError (port)            something else listens there
        ├── BackupError                        the hub's data cannot be copied, or put back
        ├── ProtocolError                      the peer broke the protocol: the connection closes
        │   ├── HandshakeError
        │   └── MessageTooLargeError (size_bytes, limit_bytes)
        ├── RequestRefusedError (status_code, retry_after_s)  an HTTP request to the hub is refused
        ├── InvocationError                    its message goes to the caller
        │   ├── UnknownMethodError
        │   ├── InvalidArgumentError
        │   ├── NameTakenError
        │   ├── NotAllowedError
        │   ├── TooOftenError (retry_after_s)
        │   └── NotFoundError
        │       └── ChatroomNotFoundError
        └── StoreError
            └── StoreFullError                 there is no room for what was to be stored

Messages are for people: they say what is wrong and what to do. They never hold a secret, a token or
the text of a comment.
"""

from __future__ import annotations


class ChatixCommentsError(Exception):
    """Catch this to catch everything that the package raises on purpose."""


class ConfigError(ChatixCommentsError, ValueError):
    """A setting is missing, malformed or contradicts another.

    Attributes:
        key: The setting to change, for example ``CHATIX_API_KEY``.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key


class PostError(ChatixCommentsError, ValueError):
    """A post's ID or title cannot be used; the message says why."""


class RegistryError(ChatixCommentsError):
    """The room registry could not be read or written.

    Attributes:
        post_id: The post that was asked for; ``None`` when the question was not about one post.
    """

    def __init__(self, message: str, *, post_id: str | None = None) -> None:
        super().__init__(message)
        self.post_id = post_id


class PostNotRegisteredError(RegistryError, LookupError):
    """The registry has no chatroom for this post."""


class ChatroomTakenError(RegistryError):
    """The chatroom is registered for another post; two posts never share one.

    Attributes:
        owner: The ID of that post.
    """

    def __init__(self, message: str, *, post_id: str, owner: str) -> None:
        super().__init__(message, post_id=post_id)
        self.owner = owner


class TransferError(RegistryError):
    """What is to be imported into the registry is not right, or contradicts what is there.

    Attributes:
        problems: What is wrong, line by line, as far as it fits; empty while a single line is read.
    """

    def __init__(self, message: str, *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class SchemaError(RegistryError):
    """The registry's tables cannot be brought up to date here; the message says why."""


class RoomError(ChatixCommentsError):
    """What somebody wants of a post's chatroom cannot be done; the message says why, and what can be.

    Attributes:
        post_id: ``None`` when the question was not about one post.
    """

    def __init__(self, message: str, *, post_id: str | None = None) -> None:
        super().__init__(message)
        self.post_id = post_id


class RoomMissingError(RoomError, LookupError):
    """The chat service does not have the chatroom that the registry or the caller names."""


class RoomNotReadyError(RoomError):
    """The chatroom is being made, or waits to be: nothing is wrong.

    Attributes:
        retry_after_s: When it is worth another try, in seconds from now.
    """

    def __init__(self, message: str, *, post_id: str, retry_after_s: float) -> None:
        super().__init__(message, post_id=post_id)
        self.retry_after_s = retry_after_s


class TokenError(ChatixCommentsError):
    """A signed token cannot be accepted."""


class TokenInvalidError(TokenError):
    """The signature or the content is not ours, or the token is for another site or purpose."""


class TokenExpiredError(TokenError):
    """The signature is right, the time is over.

    Attributes:
        issued_at: When it was signed, seconds since 1970.
    """

    def __init__(self, message: str, *, issued_at: float) -> None:
        super().__init__(message)
        self.issued_at = issued_at


class ApiError(ChatixCommentsError):
    """A call of the REST API failed.

    Attributes:
        operation: The row of the table of operations, for example ``create_chatroom``.
    """

    def __init__(self, message: str, *, operation: str) -> None:
        super().__init__(message)
        self.operation = operation


class ApiConnectionError(ApiError):
    """There was no answer.

    Attributes:
        may_have_arrived: Whether the call may have taken effect all the same; ``False``: it was never sent.
    """

    def __init__(self, message: str, *, operation: str, may_have_arrived: bool = True) -> None:
        super().__init__(message, operation=operation)
        self.may_have_arrived = may_have_arrived


class ApiTimeoutError(ApiConnectionError):
    """There was no answer in time.

    Attributes:
        timeout_s: How long was waited, in seconds.
    """

    def __init__(self, message: str, *, operation: str, timeout_s: float, may_have_arrived: bool = True) -> None:
        super().__init__(message, operation=operation, may_have_arrived=may_have_arrived)
        self.timeout_s = timeout_s


class ApiPausedError(ApiConnectionError):
    """The API was not asked: it has failed again and again, wants to be left alone, or has enough to do.

    Attributes:
        retry_after_s: When it is worth another try, in seconds from now.
    """

    def __init__(self, message: str, *, operation: str, retry_after_s: float) -> None:
        super().__init__(message, operation=operation, may_have_arrived=False)
        self.retry_after_s = retry_after_s


class ApiStatusError(ApiError):
    """The API answered, and refused.

    Attributes:
        status_code: The HTTP status.
        retry_after_s: What the answer's ``Retry-After`` asked for, in seconds; ``None`` without one.
    """

    def __init__(self, message: str, *, operation: str, status_code: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, operation=operation)
        self.status_code = status_code
        self.retry_after_s = retry_after_s


class ApiPayloadError(ApiError):
    """The API answered with something that it does not promise: HTML, half a JSON, a missing key."""


class HubError(ChatixCommentsError):
    """Anything that the built-in hub raises on purpose."""


class HubStartError(HubError):
    """The hub cannot start here; the message names the cause and the remedy.

    Attributes:
        is_locked: Whether another process runs the hub of this database.
    """

    is_locked: bool = False


class HubLockedError(HubStartError):
    """Another process runs the hub of this database."""

    is_locked = True


class HubMissingError(HubStartError):
    """The site's server starts no hub, and the settings name none."""


class HubPortError(HubStartError):
    """The hub cannot listen on its port.

    Attributes:
        port: The port that was asked for.
    """

    def __init__(self, message: str, *, port: int) -> None:
        super().__init__(message)
        self.port = port


class BackupError(HubError):
    """The hub's data cannot be copied, or put back; the message says why."""


class ProtocolError(HubError):
    """The peer broke the SignalR protocol; its connection is closed with this text."""


class HandshakeError(ProtocolError):
    """The first record is not a handshake that the hub can accept."""


class MessageTooLargeError(ProtocolError):
    """A record is larger than the hub accepts.

    Attributes:
        size_bytes: How much had come when it was refused.
        limit_bytes: How much is allowed.
    """

    def __init__(self, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"The message is larger than the {limit_bytes} bytes allowed.")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class RequestRefusedError(HubError):
    """An HTTP request to the hub is refused; the message goes to the client, so it tells no secret.

    Attributes:
        status_code: The HTTP status that says so.
        retry_after_s: When it is worth another try, if that is known, in seconds from now.
    """

    def __init__(self, status_code: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retry_after_s = retry_after_s


class InvocationError(HubError):
    """A hub method or REST call is refused; the message goes to the caller, so it tells no secret."""


class UnknownMethodError(InvocationError):
    """There is no hub method of this name."""


class InvalidArgumentError(InvocationError):
    """An argument has the wrong type, size or number."""


class NameTakenError(InvocationError):
    """A guest wants a name that passes for that of somebody whom the site has named."""


class NotAllowedError(InvocationError):
    """The caller may not do this."""


class TooOftenError(InvocationError):
    """The caller has done this too often; the message says when it may again.

    Attributes:
        retry_after_s: In seconds from now.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFoundError(InvocationError):
    """No such thing, or none that this visitor may know of: both read the same."""


class ChatroomNotFoundError(NotFoundError):
    """No such chatroom, or none that this visitor may know of: both read the same."""


class StoreError(HubError):
    """The hub's database could not be read or written."""


class StoreFullError(StoreError):
    """The disk has no room for what the hub's database was to store; reading goes on."""

    #: What people are told.
    FOR_PEOPLE = "There is no room left on the server for this. Please tell its owner."
