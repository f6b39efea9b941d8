"""An OAuth client and a resource server, each a command that prints one line of JSON.

usage: client.py <endpoints.json> <command> <args>
  login <client_id> <scope> [resource]
  refresh <client_id> <refresh_token>
  exchange <client_id> <secret> <subject_token> <audience>
  introspect <client_id> <token>
  revoke <client_id> <token>
  verify <token> <audience>
  spellings <client_id> <subject_token> <audience>

The commands that take no secret use the right one. The file has the metadata of the server, and `auth` with the
authentication method of each client that does not use client_secret_basic.
"""

import json
import sys
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import jwt
from browser import browse
from requests_oauth2client import ClientSecretBasic, ClientSecretPost, OAuth2Client, OAuth2Error

CALLBACK = "https://client.example/callback"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ALICE = {"name": "alice", "password": "alice-password", "email": "alice@users.example"}

endpoints = json.loads(Path(sys.argv[1]).read_text())


def client(client_id, secret=None):
    posts = endpoints["auth"].get(client_id) == "client_secret_post"
    authentication = ClientSecretPost if posts else ClientSecretBasic
    return OAuth2Client(
        endpoints["token_endpoint"],
        authorization_endpoint=endpoints["authorization_endpoint"],
        introspection_endpoint=endpoints["introspection_endpoint"],
        revocation_endpoint=endpoints["revocation_endpoint"],
        redirect_uri=CALLBACK,
        auth=authentication(client_id, secret or f"{client_id}-secret-0123456789abcdef"),
        testing=True,
    )


def login(client_id, scope, resource=None):
    more = {"resource": resource} if resource else {}
    oauth = client(client_id)
    request = oauth.authorization_request(scope=scope, **more)
    back = browse(request.uri, CALLBACK, endpoints.get("user", ALICE))
    return oauth.authorization_code(request.validate_callback(back), validate=False, **more).as_dict()


def refresh(client_id, token):
    return client(client_id).refresh_token(token).as_dict()


def exchange(client_id, secret, token, audience):
    answer = client(client_id, secret).token_exchange(
        subject_token=token, subject_token_type=ACCESS_TOKEN, audience=audience
    )
    return answer.as_dict()


def introspect(client_id, token):
    return client(client_id).introspect_token(token)


def revoke(client_id, token):
    return {"revoked": client(client_id).revoke_token(token)}


def spellings(client_id, subject, audience):
    """Revokes issued tokens at other spellings of the path. Returns the status, and whether the token is still good."""
    url = urlsplit(endpoints["revocation_endpoint"])
    path = url.path.replace("//", "/")
    folder, name = path.rsplit("/", 1) if not path.endswith("/") else path[:-1].rsplit("/", 1)
    escaped = f"%{ord(name[0]):02X}{name[1:]}"
    oauth = client(client_id)
    credentials = b64encode(f"{client_id}:{client_id}-secret-0123456789abcdef".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
    found = {}
    for spelled in (
        path,
        f"/{path}",
        path[:-1] if path.endswith("/") else f"{path}/",
        f"{folder}//{name}",
        f"{folder}/./{name}",
        f"{folder}/x/../{name}",
        f"{folder}/{escaped}",
        f"{folder}%2F{name}",
        path.upper(),
        f"{path};v=1",
    ):
        token = exchange(client_id, None, subject, audience)["access_token"]
        connection = HTTPConnection(url.hostname, url.port)
        connection.request("POST", spelled, urlencode({"token": token}), headers)
        found[spelled] = [connection.getresponse().status, oauth.introspect_token(token)["active"]]
    return found


def verify(token, audience):
    key = jwt.PyJWKClient(endpoints["jwks_uri"]).get_signing_key_from_jwt(token)
    algorithms = ["ES256", "EdDSA", "RS256"]
    return jwt.decode(token, key, algorithms=algorithms, audience=audience, issuer=endpoints["issuer"])


commands = {run.__name__: run for run in (login, refresh, exchange, introspect, revoke, verify, spellings)}
try:
    print(json.dumps(commands[sys.argv[2]](*sys.argv[3:]), default=str))
except OAuth2Error as failure:
    response = failure.response
    print(json.dumps({**response.json(), "status": response.status_code}))
