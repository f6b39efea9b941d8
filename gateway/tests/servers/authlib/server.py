"""The authorization server of Authlib in Flask, without metadata and without a key set.

usage: server.py <port> <public_url> <folder>
"""

import secrets
import sys
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask, redirect, request, session
from werkzeug.middleware.proxy_fix import ProxyFix

port, public_url, _ = sys.argv[1:]


class User:
    name = "alice"
    password = "alice-password"

    def get_user_id(self):
        return self.name


class Client(ClientMixin):
    def __init__(self, client_id, *grant_types):
        self.client_id = client_id
        self.client_secret = f"{client_id}-secret-0123456789abcdef"
        self.grant_types = grant_types

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return "https://client.example/callback"

    def get_allowed_scope(self, scope):
        return " ".join(name for name in (scope or "").split() if name == "orders:read")

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == self.get_default_redirect_uri()

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in self.grant_types


class Code(AuthorizationCodeMixin):
    def __init__(self, code, request):
        self.code = code
        self.client_id = request.client.client_id
        self.redirect_uri = request.payload.redirect_uri
        self.scope = request.payload.scope
        self.code_challenge = request.payload.data.get("code_challenge")
        self.code_challenge_method = request.payload.data.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


class Token(TokenMixin):
    def __init__(self, client_id, access_token, token_type, expires_in, scope="", refresh_token=None):
        self.client_id = client_id
        self.access_token = access_token
        self.token_type = token_type
        self.expires_in = expires_in
        self.scope = scope
        self.refresh_token = refresh_token
        self.issued_at = int(time.time())
        self.revoked = False

    def check_client(self, client):
        return self.client_id == client.client_id

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_in

    def is_expired(self):
        return time.time() > self.issued_at + self.expires_in

    def is_revoked(self):
        return self.revoked

    def get_user(self):
        return User()

    def get_client(self):
        return CLIENTS[self.client_id]


CLIENTS = {
    client.client_id: client
    for client in (
        Client("web", "authorization_code", "refresh_token"),
        Client("orders-api"),
        Client("billing-api"),
        Client("gateway"),
    )
}
CODES = {}
TOKENS = []


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def save_authorization_code(self, code, request):
        CODES[code] = Code(code, request)

    def query_authorization_code(self, code, client):
        found = CODES.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code):
        del CODES[authorization_code.code]

    def authenticate_user(self, authorization_code):
        return User()


class RefreshTokenGrant(grants.RefreshTokenGrant):
    def authenticate_refresh_token(self, refresh_token):
        return next((it for it in TOKENS if it.refresh_token == refresh_token and not it.revoked), None)

    def authenticate_user(self, refresh_token):
        return User()

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True


class Queries:
    def query_token(self, token, token_type_hint):
        return next((it for it in TOKENS if token in (it.access_token, it.refresh_token)), None)


class Introspection(Queries, IntrospectionEndpoint):
    def check_permission(self, token, client, request):
        return True

    # The example in the documentation of Authlib.
    def introspect_token(self, token):
        return {
            "active": not token.is_revoked() and not token.is_expired(),
            "client_id": token.client_id,
            "token_type": token.token_type,
            "username": User.name,
            "scope": token.get_scope(),
            "sub": User.name,
            "aud": token.client_id,
            "iss": public_url,
            "exp": token.issued_at + token.expires_in,
            "iat": token.issued_at,
        }


class Revocation(Queries, RevocationEndpoint):
    def revoke_token(self, token, request):
        token.revoked = True


app = Flask(__name__)
app.secret_key = "a-secret-key-for-tests-only"
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
server = AuthorizationServer(
    app,
    query_client=CLIENTS.get,
    save_token=lambda token, request: TOKENS.append(Token(request.client.client_id, **token)),
)
server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
server.register_grant(RefreshTokenGrant)
server.register_endpoint(Introspection)
server.register_endpoint(Revocation)


@app.get("/")
def home():
    return "An ordinary page"


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST" and request.form["password"] == User.password:
        session["user"] = request.form["username"]
        return redirect(session.pop("next"))
    return '<form method="post"><input name="username"><input name="password" type="password"></form>'


@app.route("/oauth/authorize", methods=["GET", "POST"])
def authorize():
    if session.get("user") != User.name:
        session["next"] = request.full_path
        return redirect("/login")
    if request.method == "POST":
        grant = server.get_consent_grant(end_user=User())
        return server.create_authorization_response(grant_user=User(), grant=grant)
    return '<form method="post"><button name="confirm" value="yes">Allow</button></form>'


@app.post("/oauth/token")
def token():
    return server.create_token_response()


@app.post("/oauth/introspect")
def introspect():
    return server.create_endpoint_response("introspection")


@app.post("/oauth/revoke")
def revoke():
    return server.create_endpoint_response("revocation")


app.run(port=int(port))
