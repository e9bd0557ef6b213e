"""The files of the page, sent as they were built, under a policy that allows no other script."""

import contextlib
import mimetypes
from collections.abc import Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from kscope.server.http.response_compression import accepts

STATIC = (Path(__file__).parents[1] / "static").resolve()

_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
# speedscope writes its own style sheet into the document, and reads one format by WebAssembly.
# Nothing else is allowed for that.
_SPEEDSCOPE_POLICY = (
    f"{_POLICY}; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:"
)
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
_NOT_BUILT = (
    "the page has not been built into this installation: run `npm ci && npm run build` in web/,"
    " or install with `pip install .`, which does it"
)


def _file(name: str) -> Path:
    # A name with a NUL, or one that is too long, raises.
    with contextlib.suppress(OSError, ValueError):
        path = (STATIC / name).resolve()
        if path.is_relative_to(STATIC) and path.is_file():
            return path
    raise HTTPException(404, f"there is no {name[:200]!r} here")


def _send(request: Request, path: Path, cache: str, policy: str = _POLICY) -> Response:
    """Send the first compressed form that the browser accepts; the build made them."""
    headers = {
        "Cache-Control": cache,
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    for encoding, ending in _ENCODINGS.items():
        compressed = path.with_name(path.name + ending)
        if accepts(request.headers, encoding) and compressed.is_file():
            headers["Content-Encoding"] = encoding
            return FileResponse(compressed, headers=headers, media_type=media_type)
    return FileResponse(path, headers=headers, media_type=media_type)


def _index(request: Request) -> Response:
    if not (STATIC / "index.html").is_file():
        raise HTTPException(503, _NOT_BUILT)
    return _send(request, STATIC / "index.html", "no-cache")


def _sent(template: str, cache: str, policy: str = _POLICY) -> Callable[[Request], Response]:
    """Return an endpoint for the files whose names have the form of the template."""

    def endpoint(request: Request) -> Response:
        return _send(request, _file(template.format(**request.path_params)), cache, policy)

    return endpoint


_icon = _sent("icon.svg", "public, max-age=86400")
# An asset's name contains the hash of its content, so the content never changes.
_asset = _sent("assets/{name}", "public, max-age=31536000, immutable")
_speedscope = _sent("speedscope/{name}", "public, max-age=3600", _SPEEDSCOPE_POLICY)

routes = [
    Route("/", _index, methods=["GET"]),
    Route("/new", _index, methods=["GET"]),
    Route("/icon.svg", _icon, methods=["GET"]),
    Route("/favicon.ico", _icon, methods=["GET"]),
    Route("/assets/{name}", _asset, methods=["GET"]),
    Route("/speedscope/{name}", _speedscope, methods=["GET"]),
]
