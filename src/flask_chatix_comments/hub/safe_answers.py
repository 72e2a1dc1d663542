"""What every answer of the hub says to browsers, whoever made it: no type but the one that is said, and of files more.

It is added around the whole application, since a refusal may come from the framework as well.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = {"X-Content-Type-Options": "nosniff"}
#: Whatever is in a file, it runs nowhere: not in the page that shows it, not on the hub's own origin.
FILE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    # The blog is another site than the hub, as far as browsers know.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    # What may be kept says so itself.
    "Cache-Control": "no-store",
}


class SafeAnswers:
    """Adds to HTTP answers what they do not say themselves.

    Args:
        files_path: What files are below, counted from the application's root.
    """

    def __init__(self, app: ASGIApp, *, files_path: str) -> None:
        self._app = app
        self._files_path = files_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; other kinds than HTTP pass unseen."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_file = scope["path"].removeprefix(scope.get("root_path", "")).startswith(self._files_path)
        headers = ALWAYS | FILE_HEADERS if is_file else ALWAYS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message.get("headers", ()))}
                answer = MutableHeaders(raw=message["headers"])
                for name, value in headers.items():
                    answer.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
