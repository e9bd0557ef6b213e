"""Acts of administrators over HTTP, which need a token of the scope `admin`.

Each is in the audit log, and so are those that a token was refused. Without tokens all may do them,
as all may read.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.config import ADMIN, Token
from kscope.query.answers.question import BASE
from kscope.server.http.audit import Audit
from kscope.server.http.auth import NoScopeProblem, tokens_of
from kscope.server.http.problems import HttpProblem
from kscope.server.http.tokens import Tokens
from kscope.server.openapi.components import TokenInfo, TokenList
from kscope.server.read.category_routes import refuse_foreign_page
from kscope.server.read.links import Links
from kscope.server.read.routes import json_response

_NEEDED = f"this needs a token of the scope '{ADMIN}': `kscope token --scope {ADMIN}` makes one"


Act = Callable[[Request], Awaitable[Response]]


def _admin(act: Act) -> Act:
    """Return an endpoint that checks the token, and logs the act."""

    async def endpoint(request: Request) -> Response:
        audit: Audit = request.app.state.acts
        try:
            _check(request)
            answer = await act(request)
        except HttpProblem as refusal:
            audit.refused(request.scope, refusal.status, refusal.detail)
            raise
        audit.done(request.scope, answer.status_code)
        return answer

    return endpoint


def _check(request: Request) -> None:
    refuse_foreign_page(request.headers)
    passed = tokens_of(request.scope)
    if passed and not any(token.may(ADMIN) for token in passed):
        raise NoScopeProblem(403, _NEEDED)


async def _tokens(request: Request) -> Response:
    tokens: Tokens = request.app.state.tokens
    return json_response(TokenList([_info(each) for each in tokens.declared]))


def _info(token: Token) -> TokenInfo:
    expires = None if token.expires is None else round(token.expires * 1_000_000)
    quotas = token.rows_per_minute, token.bytes_per_minute
    return TokenInfo(token.name, [*token.scopes], [*token.hosts], expires, *quotas)


async def _remove_link(request: Request) -> Response:
    links: Links = request.app.state.links
    if not await links.remove(request.path_params["id"]):
        raise HttpProblem(404, "there is no such link here")
    return Response(status_code=204)


routes = [
    Route(f"{BASE}/tokens", _admin(_tokens), methods=["GET"]),
    Route(
        f"{BASE}/links/{{id}}", _admin(_remove_link), methods=["DELETE"], include_in_schema=False
    ),
]
