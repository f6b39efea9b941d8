"""Django: the resolver of paths, and the forms, files and cookies of a request."""

import io

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.urls import Resolver404, path, re_path, resolve
from protocol import answer, is_grant, json_has_grant, split
from urllib.parse import unquote_to_bytes

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
django.setup()


def view(request):
    return None


urlpatterns = [path("token", view), path("token/", view), re_path("^token/.*$", view)]


def has_grant(request):
    method, target, headers, body = split(request)
    raw_path, _, query = target.partition("?")
    # As WSGI servers do (PEP 3333).
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(raw_path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "as.example",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    request = WSGIRequest(environ)
    try:
        resolve(request.path_info)
    except Resolver404:
        return False
    try:
        # Reads the body for `JSON` below, before the form consumes the body.
        request.body
        found = request.POST.getlist("grant_type") + request.GET.getlist("grant_type")
    except Exception:
        # The server answers 400.
        return False
    return is_grant(found) or json_has_grant(body)


answer(f"Django {django.get_version()}", has_grant)
