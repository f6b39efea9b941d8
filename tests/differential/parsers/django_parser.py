"""Django: the resolver of paths, and the forms, files and cookies of a request."""

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.urls import Resolver404, path, re_path, resolve
from protocol import answer, is_grant, json_has_grant, wsgi_environment

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False)
django.setup()


def view(request):
    return None


urlpatterns = [path("token", view), path("token/", view), re_path("^token/.*$", view)]


def has_grant(request):
    environ, body = wsgi_environment(request)
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
