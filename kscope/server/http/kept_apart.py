"""Headers that keep answers from pages of other sites, whatever their browser takes them for."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True)
class KeptApart:
    """Middleware: each answer has these headers, unless a route has set others."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                further = [each for each in _HEADERS if each[0] not in names]
                message = {**message, "headers": [*message["headers"], *further]}
            await send(message)

        await self.app(scope, receive, sent)
