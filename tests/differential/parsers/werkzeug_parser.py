"""Werkzeug, the base of Flask: the map of paths, and the forms of a request."""

import io
from importlib.metadata import version
from urllib.parse import unquote_to_bytes

from protocol import answer, is_grant, json_has_grant, split
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

RULES = [Rule("/token", endpoint="token"), Rule("/token/<path:rest>", endpoint="token")]
STRICT = Map(RULES)
LENIENT = Map([rule.empty() for rule in RULES], strict_slashes=False)


def is_found(environ):
    for rules in (STRICT, LENIENT):
        try:
            rules.bind_to_environ(environ).match(method="POST")
            return True
        except HTTPException:
            pass
    return False


def has_grant(request):
    method, target, headers, body = split(request)
    raw_path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "as.example",
        "SERVER_NAME": "as.example",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    if not is_found(environ):
        return False
    request = Request(environ)
    try:
        found = request.form.getlist("grant_type") + request.args.getlist("grant_type")
    except HTTPException:
        return False
    return is_grant(found) or json_has_grant(body)


answer(f"Werkzeug {version('werkzeug')}", has_grant)
