//! Tokens and introspection answers as well-known servers write them, with `https://as.example` as the issuer.

use super::*;
use tower_token_exchange::records::ServerPreset::{self, *};

/// What a server vouches for.
#[derive(Clone)]
pub(super) enum Form {
    /// The header and the claims of a JWT with a key that the server publishes.
    Jwt(Value, Value),
    /// The answer about an opaque token.
    Opaque(Value),
    /// A JWT with a shared secret, and the answer about the JWT.
    Symmetric(Value, Value),
}

/// A token of a server.
pub(super) struct Sample {
    pub(super) name: &'static str,
    /// The preset for the server. `None` for a token that no preset may accept.
    pub(super) of: Option<ServerPreset>,
    pub(super) form: Form,
    /// Whether the token itself shows that `orders` may present the token.
    pub(super) is_for_orders: bool,
    /// A key that the first refusal names if the record has no settings.
    pub(super) key: &'static str,
}

const ORDERS: &str = "https://orders.example";

fn times() -> Value {
    json!({ "exp": NOW + 600, "iat": NOW, "nbf": NOW })
}

fn jwt(typ: Option<&str>, claims: Value) -> Form {
    let header = typ.map_or(json!({}), |typ| json!({ "typ": typ }));
    Form::Jwt(header, changed(changed(json!({ "iss": AS, "sub": "alice" }), times()), claims))
}

fn answer(claims: Value) -> Value {
    changed(changed(json!({ "active": true }), times()), claims)
}

fn sample(name: &'static str, of: ServerPreset, form: Form, is_for_orders: bool, key: &'static str) -> Sample {
    Sample { name, of: Some(of), form, is_for_orders, key }
}

pub(super) fn samples() -> Vec<Sample> {
    let (at, plain) = (Some("at+jwt"), Some("JWT"));
    let untyped = "issuer.tokens.allow_untyped";
    let opaque = |claims: Value| Form::Opaque(answer(claims));
    vec![
        sample(
            "oidc-provider JWT",
            OidcProvider,
            jwt(at, json!({ "aud": ORDERS, "client_id": "web", "scope": "read", "jti": "j" })),
            true,
            "",
        ),
        sample(
            "oidc-provider opaque",
            OidcProvider,
            opaque(json!({ "iss": AS, "sub": "alice", "client_id": "web", "scope": "read", "token_type": "Bearer" })),
            false,
            "issuer.tokens.absent_aud",
        ),
        sample(
            "better-auth",
            BetterAuth,
            jwt(
                at,
                json!({
                    "aud": [ORDERS, "https://as.example/oauth2/userinfo"], "client_id": "web", "azp": "web",
                    "scope": "openid read", "sid": "s", "jti": "j",
                }),
            ),
            true,
            "issuer.tokens.ignored_audiences",
        ),
        sample(
            "Auth0",
            Auth0,
            jwt(
                plain,
                json!({ "aud": [ORDERS, "https://as.example/userinfo"], "azp": "web", "scope": "openid read", "gty": "x" }),
            ),
            true,
            untyped,
        ),
        sample(
            "Keycloak for account",
            Keycloak,
            jwt(plain, json!({ "typ": "Bearer", "aud": "account", "azp": "web", "scope": "openid read", "sid": "s" })),
            false,
            untyped,
        ),
        sample(
            "Keycloak for nobody",
            Keycloak,
            jwt(plain, json!({ "typ": "Bearer", "azp": "web", "scope": "openid read", "sid": "s" })),
            false,
            untyped,
        ),
        sample(
            "Keycloak for account and orders",
            Keycloak,
            jwt(plain, json!({ "typ": "Bearer", "aud": [ORDERS, "account"], "azp": "web", "scope": "openid read" })),
            true,
            untyped,
        ),
        sample(
            "Okta",
            Okta,
            jwt(None, json!({ "aud": ORDERS, "cid": "web", "scp": ["read"], "ver": 1, "uid": "u" })),
            true,
            untyped,
        ),
        sample(
            "Entra ID v2",
            EntraId,
            jwt(plain, json!({ "aud": ORDERS, "azp": "web", "scp": "read", "ver": "2.0", "tid": "t" })),
            true,
            untyped,
        ),
        sample(
            "Entra ID v1",
            EntraIdV1,
            jwt(plain, json!({ "aud": ORDERS, "appid": "web", "scp": "read", "ver": "1.0", "tid": "t" })),
            true,
            untyped,
        ),
        sample(
            "Amazon Cognito",
            Cognito,
            jwt(
                None,
                json!({ "client_id": "web", "token_use": "access", "scope": "read", "version": 2, "username": "a" }),
            ),
            false,
            untyped,
        ),
        sample(
            "Ory Hydra JWT",
            Hydra,
            jwt(plain, json!({ "aud": [], "client_id": "web", "scp": ["read"], "ext": {}, "jti": "j" })),
            false,
            untyped,
        ),
        sample(
            "Ory Hydra opaque",
            Hydra,
            opaque(json!({
                "iss": AS, "sub": "alice", "aud": [], "client_id": "web", "scope": "read", "token_type": "Bearer",
                "token_use": "access_token",
            })),
            false,
            "issuer.tokens.empty_aud",
        ),
        sample(
            "Laravel Passport",
            LaravelPassport,
            jwt(plain, json!({ "iss": null, "aud": "web", "scopes": ["read"], "jti": "j" })),
            false,
            "issuer.tokens.allow_absent_iss",
        ),
        sample("Spring", Spring, jwt(None, json!({ "aud": "web", "scope": ["read"], "jti": "j" })), false, untyped),
        sample(
            "IdentityServer",
            IdentityServer,
            jwt(at, json!({ "client_id": "web", "scope": ["read"], "idp": "local", "amr": ["pwd"], "jti": "j" })),
            false,
            "issuer.tokens.scope_claim",
        ),
        sample(
            "LemonLDAP JWT",
            LemonLdap,
            jwt(plain, json!({ "aud": [ORDERS], "client_id": "web", "scope": "read", "jti": "j", "sid": "s" })),
            true,
            untyped,
        ),
        sample(
            "LemonLDAP opaque",
            LemonLdap,
            opaque(json!({ "iss": AS, "sub": "alice", "client_id": "web", "scope": "read" })),
            false,
            "issuer.introspection.allow_missing_token_type",
        ),
        sample(
            "glewlwyd",
            Glewlwyd,
            jwt(
                at,
                json!({ "aud": "read openid", "client_id": "web", "scope": "read openid", "type": "access_token" }),
            ),
            false,
            "issuer.tokens.presenters",
        ),
        sample(
            "Authlib",
            Authlib,
            opaque(json!({
                "iss": AS, "sub": "alice", "aud": "web", "client_id": "web", "username": "alice", "scope": "read",
                "token_type": "Bearer",
            })),
            false,
            "issuer.tokens.presenters",
        ),
        sample(
            "idpyoidc JWT",
            Idpyoidc,
            jwt(plain, json!({ "aud": [ORDERS], "client_id": "web", "scope": ["read"], "ttype": "T", "jti": "j" })),
            true,
            untyped,
        ),
        sample(
            "idpyoidc opaque",
            Idpyoidc,
            opaque(json!({
                "iss": AS, "sub": "alice", "aud": [ORDERS], "client_id": "web", "scope": "read", "token_type": "Bearer",
            })),
            true,
            "",
        ),
        sample(
            "django-oauth-toolkit",
            DjangoOauthToolkit,
            opaque(json!({ "client_id": "web", "username": "alice", "scope": "read" })),
            false,
            "issuer.introspection.allow_missing_token_type",
        ),
        sample(
            "Doorkeeper with a name",
            Doorkeeper,
            opaque(json!({ "client_id": "web", "username": "alice", "scope": "read", "token_type": "Bearer" })),
            false,
            "issuer.tokens.subject_claim",
        ),
        sample(
            "jmondi",
            Jmondi,
            Form::Symmetric(
                json!({ "sub": "alice", "cid": "web", "scope": "read", "exp": NOW + 600, "jti": "j" }),
                answer(json!({
                    "sub": "alice", "cid": "web", "client_id": "web", "scope": "read", "token_type": "access_token",
                    "jti": "j",
                })),
            ),
            false,
            "issuer.introspection.introspect",
        ),
    ]
}

/// Other tokens of the same servers, which are no access tokens or do not name a user.
pub(super) fn neighbours() -> Vec<Sample> {
    let plain = Some("JWT");
    let neighbour = |name, form| Sample { name, of: None, form, is_for_orders: false, key: "" };
    let opaque = |claims: Value| Form::Opaque(answer(claims));
    vec![
        neighbour("an ID token of OpenID Connect", jwt(plain, json!({ "aud": "web", "azp": "web", "nonce": "n" }))),
        neighbour("an ID token with a hash", jwt(None, json!({ "aud": ORDERS, "at_hash": "h", "scope": "read" }))),
        neighbour("an ID token of Keycloak", jwt(plain, json!({ "typ": "ID", "aud": ORDERS, "azp": "web" }))),
        neighbour(
            "a refresh token of Keycloak",
            jwt(plain, json!({ "typ": "Refresh", "aud": AS, "azp": "web", "scope": "openid read" })),
        ),
        neighbour(
            "an ID token of Cognito",
            jwt(None, json!({ "aud": "web", "token_use": "id", "cognito:username": "alice" })),
        ),
        neighbour(
            "an ID token of Okta",
            jwt(None, json!({ "aud": "web", "ver": 1, "auth_time": NOW, "amr": ["pwd"] })),
        ),
        neighbour(
            "an ID token of Entra ID",
            jwt(plain, json!({ "aud": "web", "ver": "2.0", "tid": "t", "nonce": "n", "name": "Alice" })),
        ),
        neighbour(
            "a logout token",
            jwt(Some("logout+jwt"), json!({ "aud": "web", "scope": "read", "client_id": "web", "events": {} })),
        ),
        neighbour(
            "an answer about a token of Doorkeeper",
            opaque(json!({ "client_id": "web", "scope": "read", "token_type": "Bearer" })),
        ),
        neighbour(
            "an answer about a refresh token",
            opaque(
                json!({ "sub": "alice", "aud": ORDERS, "client_id": "web", "scope": "read", "token_type": "refresh_token" }),
            ),
        ),
        neighbour("an answer about a client's token", opaque(json!({ "client_id": "web", "scope": "read" }))),
        neighbour("an answer about a revoked token", Form::Opaque(json!({ "active": false }))),
    ]
}
