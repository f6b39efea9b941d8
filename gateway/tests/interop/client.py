"""An OAuth client and a resource server, each a command that prints one line of JSON."""

import json
import sys

import jwt
from google.auth.exceptions import OAuthError
from google.auth.transport.requests import Request
from google.oauth2 import sts, utils

USAGE = """usage: client.py <command> <args>
  exchange <token_endpoint> <client_id> <secret> <subject_token> <audience> [scope]
  verify <jwks_uri> <issuer> <audience> <token>"""

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(token_endpoint, client_id, secret, subject_token, audience, scope=None):
    authentication = utils.ClientAuthentication(
        utils.ClientAuthType.basic, client_id, secret
    )
    client = sts.Client(token_endpoint, authentication)
    try:
        return client.exchange_token(
            Request(),
            TOKEN_EXCHANGE,
            subject_token,
            ACCESS_TOKEN,
            audience=audience,
            scopes=scope.split() if scope else None,
        )
    except OAuthError as failure:
        return refusal(failure)


def refusal(failure):
    """The body of an OAuth error, or else the error of the library."""
    message, *body = failure.args
    try:
        answer = json.loads(body[0])
        error = {"error": answer["error"]}
    except (IndexError, KeyError, TypeError, ValueError):
        return {"error": message}
    if "error_description" in answer:
        error["error_description"] = answer["error_description"]
    return error


def verify(jwks_uri, issuer, audience, token):
    key = jwt.PyJWKClient(jwks_uri).get_signing_key_from_jwt(token)
    payload = jwt.decode(
        token,
        key,
        algorithms=["ES256", "EdDSA", "RS256"],
        audience=audience,
        issuer=issuer,
    )
    return {"payload": payload}


def main():
    command, *args = sys.argv[1:] or [""]
    commands = {"exchange": (exchange, 5, 6), "verify": (verify, 4, 4)}
    run, least, most = commands.get(command, (None, 0, -1))
    if not least <= len(args) <= most:
        sys.exit(USAGE)
    print(json.dumps(run(*args)))


main()
