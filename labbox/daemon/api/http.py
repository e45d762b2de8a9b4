"""HTTP as the API speaks it: what cannot even be read as a request is refused as JSON, too."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from labbox.errors import LabboxError
from labbox.protocol import ErrorBody
from labbox.wire import encode

log = logging.getLogger("labbox.api")

LINE_LIMIT: Final = 8190  # bytes of the request line, and of a header


class HttpProtocol(web.RequestHandler):
    """One connection. Its own refusals come before any route, and before a request that could be trusted."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A sentence for what is not HTTP, in place of a text with the parser's insides."""
        if status >= 500:
            log.error("request failed: %s %s", request.method, request.path, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        response = refusal(_in_words(status, exc))
        response.force_close()
        return response


def refusal(error: LabboxError) -> web.Response:
    """The answer that carries an error."""
    body = ErrorBody(code=error.code, message=error.message, hint=error.hint)
    return web.Response(body=encode(body), content_type="application/json", status=error.http_status)


def _in_words(status: int, fault: BaseException | None) -> LabboxError:
    if isinstance(fault, LineTooLong):
        return LabboxError(
            "usage",
            f"cannot read the request: its first line or a header is longer than {LINE_LIMIT:,} bytes",
            "what is long belongs into the body",
        )
    if status >= 500:
        return LabboxError("internal", "cannot answer: a fault in labbox", "the daemon's log has the details")
    return LabboxError(
        "usage", "cannot read the request: it is not HTTP/1.1", "docs/api.md shows requests that work"
    )
