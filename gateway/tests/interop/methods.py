"""The clients `requests-oauth2client` and `authlib`, each with each of its methods of authentication."""

import json
import sys
from pathlib import Path

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from jwskate import Jwk
from requests_oauth2client import ClientSecretBasic, ClientSecretPost, OAuth2Client, PrivateKeyJwt

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
USAGE = "usage: methods.py <library> <method> <issuer> <client_id> <secret> <folder> <subject_token> <audience>"


def requests_oauth2client(method, endpoint, session, client_id, secret, pem, subject_token, audience):
    key = {**Jwk.from_pem(pem), "kid": "client-1", "alg": "ES256"}
    credentials = {
        "client_secret_basic": lambda: ClientSecretBasic(client_id, secret),
        "client_secret_post": lambda: ClientSecretPost(client_id, secret),
        "private_key_jwt": lambda: PrivateKeyJwt(client_id, key),
        "dpop": lambda: PrivateKeyJwt(client_id, key),
    }
    client = OAuth2Client(endpoint, auth=credentials[method](), session=session)
    token = client.token_exchange(
        subject_token=subject_token,
        subject_token_type=ACCESS_TOKEN,
        audience=audience,
        dpop=method == "dpop",
    )
    return {"access_token": token.access_token, "token_type": token.token_type}


def authlib(method, endpoint, session, client_id, secret, pem, subject_token, audience):
    credentials = ECKey.import_key(pem) if method == "private_key_jwt" else secret
    client = OAuth2Session(client_id, credentials, token_endpoint_auth_method=method)
    client.register_client_auth_method(PrivateKeyJWT(endpoint, alg="ES256"))
    client.session.trust_env, client.session.verify = False, session.verify
    return client.fetch_token(
        endpoint,
        grant_type=TOKEN_EXCHANGE,
        subject_token=subject_token,
        subject_token_type=ACCESS_TOKEN,
        audience=audience,
    )


def main():
    if len(sys.argv) != 9:
        sys.exit(USAGE)
    library, method, issuer, client_id, secret, folder, subject_token, audience = sys.argv[1:]
    folder = Path(folder)
    session = requests.Session()
    # A variable of the environment would replace the authority.
    session.trust_env = False
    session.verify = str(folder / "ca.crt")
    metadata = session.get(f"{issuer}/.well-known/openid-configuration").json()
    pem = (folder / "assertion.pem").read_text()
    libraries = {"requests-oauth2client": requests_oauth2client, "authlib": authlib}
    answer = libraries[library](
        method, metadata["token_endpoint"], session, client_id, secret, pem, subject_token, audience
    )
    print(json.dumps({name: answer[name] for name in ("access_token", "token_type")}))


main()
