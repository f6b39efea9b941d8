"""LemonLDAP::NG with its demonstration users and OpenID Connect, in starman.

usage: server.py <port> <public_url> <folder>
"""

import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

port, public_url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
root = Path(__file__).parent.parent / "debian/root"
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def client(client_id, **more):
    return {
        "oidcRPMetaDataOptionsClientID": client_id,
        "oidcRPMetaDataOptionsClientSecret": f"{client_id}-secret-0123456789abcdef",
        "oidcRPMetaDataOptionsDisplayName": client_id,
        "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256",
        "oidcRPMetaDataOptionsUserIDAttr": "uid",
        "oidcRPMetaDataOptionsRedirectUris": "https://client.example/callback",
        "oidcRPMetaDataOptionsRequirePKCE": 1,
        "oidcRPMetaDataOptionsRefreshToken": 1,
        **more,
    }


jwt = {"oidcRPMetaDataOptionsAccessTokenJWT": 1, "oidcRPMetaDataOptionsAccessTokenSignAlg": "RS256"}
clients = {
    "web": client("web"),
    "webjwt": client("web-jwt", **jwt),
    "orders": client("orders-api"),
    "billing": client("billing-api"),
    "gateway": client("gateway"),
}
configuration = json.loads((root / "var/lib/lemonldap-ng/conf/lmConf-1.json").read_text())
storage = {"Directory": f"{folder}/sessions", "LockDirectory": f"{folder}/sessions/lock"}
configuration |= {
    "portal": f"{public_url}/",
    "domain": "127.0.0.1",
    "globalStorageOptions": {**configuration["globalStorageOptions"], **storage},
    "persistentStorageOptions": {"Directory": f"{folder}/psessions", "LockDirectory": f"{folder}/psessions/lock"},
    "localSessionStorageOptions": {**configuration["localSessionStorageOptions"], "cache_root": f"{folder}/cache"},
    "notification": 0,
    "issuerDBOpenIDConnectActivation": 1,
    "oidcServicePrivateKeySig": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    "oidcServicePublicKeySig": key.public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode(),
    "oidcServiceKeyIdSig": "lemonldap",
    "oidcRPMetaDataOptions": clients,
    "oidcRPMetaDataExportedVars": {name: {"name": "cn"} for name in clients},
}
for name in ("conf", "cache", "sessions/lock", "psessions/lock", "perl/Image"):
    (folder / name).mkdir(parents=True)
(folder / "conf/lmConf-1.json").write_text(json.dumps(configuration))
# The portal loads this module for captchas, which are not used.
(folder / "perl/Image/Magick.pm").write_text("package Image::Magick; 1;\n")
(folder / "lemonldap-ng.ini").write_text(f"""
[all]
logLevel = warn
[configuration]
type = File
dirName = {folder}/conf
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'lemonldap-ng-config', 'cache_root' => '{folder}/cache' }}
[portal]
staticPrefix = /static
templateDir = {root}/usr/share/lemonldap-ng/portal/templates
languages = en
""")
(folder / "portal.psgi").write_text("""
use Plack::Builder;
use Lemonldap::NG::Portal::Main;
builder { enable 'ReverseProxy'; Lemonldap::NG::Portal::Main->run({}) };
""")
modules = [folder / "perl", root / "usr/share/perl5", *root.glob("usr/lib/*/perl5/*")]
os.environ["PERL5LIB"] = ":".join(map(str, modules))
os.environ["LD_LIBRARY_PATH"] = ":".join(map(str, root.glob("usr/lib/*-linux-*")))
os.environ["LLNG_DEFAULTCONFFILE"] = str(folder / "lemonldap-ng.ini")
listen = ["--listen", f"127.0.0.1:{port}", "--workers", "2", "--env", "deployment"]
os.execvp("perl", ["perl", root / "usr/bin/starman", *listen, folder / "portal.psgi"])
