"""django-oauth-toolkit under /o/, with OpenID Connect, as its documentation sets it up.

usage: server.py <port> <public_url> <folder>
"""

import sys
from pathlib import Path

import django
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

port, public_url, folder = sys.argv[1:]
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(folder) / "django.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    LOGIN_URL="/admin/login/",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "SCOPES": {"openid": "Login", "orders:read": "Read orders", "introspection": "Introspect tokens"},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="a-secret-key-for-tests-only",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    USE_TZ=True,
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from gunicorn.app.base import BaseApplication  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402

urlpatterns = [path("admin/", admin.site.urls), path("o/", include("oauth2_provider.urls"))]


def fill():
    call_command("migrate", verbosity=0)
    alice = User.objects.create_superuser("alice", "alice@users.example", "alice-password")
    for client_id in ("web", "orders-api", "billing-api", "gateway"):
        web = client_id == "web"
        Application.objects.create(
            name=client_id,
            client_id=client_id,
            client_secret=f"{client_id}-secret-0123456789abcdef",
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type="authorization-code" if web else "client-credentials",
            redirect_uris="https://client.example/callback" if web else "",
            algorithm=Application.RS256_ALGORITHM,
            user=alice if web else None,
        )


class Server(BaseApplication):
    def load_config(self):
        settings = {"bind": f"127.0.0.1:{port}", "workers": 1, "threads": 4, "control_socket_disable": True}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self):
        return get_wsgi_application()


fill()
sys.argv = sys.argv[:1]
Server().run()
