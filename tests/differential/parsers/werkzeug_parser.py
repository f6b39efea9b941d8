"""Werkzeug, the base of Flask: the map of paths, and the forms of a request."""

from importlib.metadata import version

from protocol import answer, is_grant, json_has_grant, wsgi_environment
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
    environ, body = wsgi_environment(request)
    if not is_found(environ):
        return False
    request = Request(environ)
    try:
        found = request.form.getlist("grant_type") + request.args.getlist("grant_type")
    except HTTPException:
        return False
    return is_grant(found) or json_has_grant(body)


answer(f"Werkzeug {version('werkzeug')}", has_grant)
