"""Starlette, the base of FastAPI, with python-multipart: the router of paths, and the forms of a request."""

import logging
from importlib.metadata import version
from urllib.parse import unquote

from protocol import answer, is_grant, json_has_grant, split
from starlette.requests import Request
from starlette.routing import Match, Mount, Route

# The parser writes about each malformed body.
logging.disable()


async def endpoint(request):
    raise NotImplementedError


ROUTES = [Route("/token", endpoint, methods=["GET", "POST"]), Mount("/token", endpoint)]


def has_grant(request):
    method, target, headers, body = split(request)
    raw_path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(raw_path),
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }
    if all(route.matches(scope)[0] == Match.NONE for route in ROUTES):
        return False

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request(scope, receive)
    found = request.query_params.getlist("grant_type")
    try:
        # No part of these futures waits.
        request.form().__await__().send(None)
    except StopIteration as form:
        found += form.value.getlist("grant_type")
    except Exception:
        return False
    return is_grant(found) or json_has_grant(body)


answer(f"Starlette {version('starlette')} with python-multipart {version('python-multipart')}", has_grant)
