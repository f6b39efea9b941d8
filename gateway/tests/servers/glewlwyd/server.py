"""glewlwyd with its plugin for OpenID Connect, which is set up through the API of glewlwyd.

usage: server.py <port> <public_url> <folder>
"""

import os
import sqlite3
import sys
import time
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

CLIENTS = ("web", "orders-api", "billing-api", "gateway")
SCOPES = ("openid", "orders:read")

port, public_url, folder = sys.argv[1:]
root = Path(__file__).parent.parent / "debian/root"
library = root / "usr/lib/glewlwyd"
database = Path(folder) / "glewlwyd.sqlite3"
configuration = Path(folder) / "glewlwyd.conf"


def prepare():
    with sqlite3.connect(database) as connection:
        connection.executescript((root / "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3").read_text())
    configuration.write_text(f"""
port = {port}
bind_address = "127.0.0.1"
external_url = "{public_url}/"
login_url = "login.html"
api_prefix = "api"
static_files_path = "{root}/usr/share/glewlwyd/webapp/"
static_files_mime_types = ({{ extension = ".html" mime_type = "text/html" compress = 0 }})
log_mode = "console"
log_level = "WARNING"
cookie_secure = 0
session_expiration = 2419200
session_key = "GLEWLWYD2_SESSION_ID"
allow_multiple_user_per_session = true
login_api_enabled = true
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "{library}/user"
user_middleware_module_path = "{library}/user_middleware"
client_module_path = "{library}/client"
user_auth_scheme_module_path = "{library}/scheme"
plugin_module_path = "{library}/plugin"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3" path = "{database}" }};
""")


def pem():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "jwt-type": "rsa",
        "jwt-key-size": "256",
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "cert": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    }


def configure():
    admin = requests.Session()

    def post(path, document):
        answer = admin.post(f"http://127.0.0.1:{port}/api/{path}", json=document)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")

    while True:
        try:
            post("auth/", {"username": "admin", "password": "password"})
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    post("scope/", {"name": "orders:read", "display_name": "Read orders", "password_required": True})
    alice = {"username": "alice", "name": "alice", "password": "alice-password", "enabled": True, "scope": SCOPES}
    post("user/", {**alice, "email": "alice@users.example"})
    for client_id in CLIENTS:
        post(
            "client/",
            {
                "client_id": client_id,
                "name": client_id,
                "confidential": True,
                "enabled": True,
                "password": f"{client_id}-secret-0123456789abcdef",
                "redirect_uri": ["https://client.example/callback"],
                "authorization_type": ["code", "refresh_token"] if client_id == "web" else ["client_credentials"],
                "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
                "scope": SCOPES,
            },
        )
    post(
        "mod/plugin/",
        {
            "module": "oidc",
            "name": "oidc",
            "display_name": "OpenID Connect",
            "enabled": True,
            "parameters": {
                **pem(),
                "iss": f"{public_url}/api/oidc",
                "access-token-duration": 600,
                "refresh-token-duration": 3600,
                "code-duration": 60,
                "auth-type-code-enabled": True,
                "auth-type-client-enabled": True,
                "auth-type-refresh-enabled": True,
                "jwks-show": True,
                "pkce-allowed": True,
                "pkce-required": True,
                "introspection-revocation-allowed": True,
                "introspection-revocation-allow-target-client": True,
            },
        },
    )


prepare()
if os.fork() == 0:
    configure()
else:
    os.environ["LD_LIBRARY_PATH"] = f"{root}/usr/lib/x86_64-linux-gnu"
    os.execv(root / "usr/bin/glewlwyd", ["glewlwyd", "--config-file", configuration])
