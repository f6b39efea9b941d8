use super::{IntrospectedTokens, Introspection, Issuer, TokenRules, facts};
use crate::{protocol::TokenType, records::IssuerId};
use serde::Deserialize;
use std::fmt;

/// A well-known authorization server behind the layer: the documented properties of its access tokens, and of the answers
/// of its introspection endpoint.
///
/// A preset states what the claims of the server mean and which claims are missing. A preset never says who may present
/// a token: where the tokens do not name the service that they are for, add [`TokenRules::presenters`] or
/// [`TokenRules::absent_aud`] with [`Issuer::refine`].
///
/// For the tokens of a foreign issuer, use the presets of [`Issuer`], such as [`Issuer::keycloak`].
///
/// ```
/// use tower_token_exchange::{TokenType, records::{ServerPreset, TokenRules}};
///
/// let server = ServerPreset::Cognito
///     .record("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE")
///     .jwks_uri("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE/.well-known/jwks.json")
///     .refine(TokenRules::new(TokenType::ACCESS_TOKEN).presenters(["orders"]));
/// # let _ = server;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ServerPreset {
    /// Keycloak: `azp` names the client, and the audience `account` names no service.
    Keycloak,
    /// Auth0: `azp` names the client, and the audience `/userinfo` names no service.
    Auth0,
    /// Okta: `cid` names the client, and `scp` is an array.
    Okta,
    /// Microsoft Entra ID, tokens of version 2.0: `azp` names the client, and `scp` has the scope.
    #[serde(rename = "entra_id")]
    EntraId,
    /// Microsoft Entra ID, tokens of version 1.0: `appid` names the client, and `scp` has the scope.
    #[serde(rename = "entra_id_v1")]
    EntraIdV1,
    /// Amazon Cognito: no `aud`, and `token_use` is `access`.
    Cognito,
    /// Ory Hydra: an empty `aud`, and `scp` is an array in JWTs.
    Hydra,
    /// Spring Authorization Server: no `typ`, `scope` is an array, and `aud` is the id of the client.
    Spring,
    /// IdentityServer: `scope` is an array, and tokens for scopes alone have no `aud`.
    #[serde(rename = "identityserver")]
    IdentityServer,
    /// django-oauth-toolkit: opaque tokens. Answers have `username` instead of `sub`, no `token_type`, and often no `aud`.
    DjangoOauthToolkit,
    /// Doorkeeper: opaque tokens. Answers have no `aud`, and no `sub` unless `custom_introspection_response` writes `sub`
    /// or `username`.
    Doorkeeper,
    /// LemonLDAP::NG: `typ: JWT`, or opaque tokens. Answers have no `token_type` and no `aud`.
    #[serde(rename = "lemonldap")]
    LemonLdap,
    /// glewlwyd: `aud` is the list of scopes unless the client asked for a resource.
    Glewlwyd,
    /// A server made with Authlib: opaque tokens, whose `aud` is the id of the client.
    Authlib,
    /// Laravel Passport: no `iss`, `scopes` is an array, and `aud` is the id of the client.
    LaravelPassport,
    /// oidc-provider: RFC 9068 for resources, and otherwise opaque tokens without `aud`.
    OidcProvider,
    /// better-auth with its OAuth provider: `aud` has the address of `/oauth2/userinfo` beside the service.
    BetterAuth,
    /// idpyoidc: `typ: JWT`, or opaque tokens.
    Idpyoidc,
    /// @jmondi/oauth2-server: JWTs with a shared secret. The `token_type` in answers is `access_token`, without `aud`.
    Jmondi,
}

impl fmt::Display for ServerPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ServerPreset {
    /// Every preset.
    pub const ALL: &'static [Self] = &[
        Self::Keycloak,
        Self::Auth0,
        Self::Okta,
        Self::EntraId,
        Self::EntraIdV1,
        Self::Cognito,
        Self::Hydra,
        Self::Spring,
        Self::IdentityServer,
        Self::DjangoOauthToolkit,
        Self::Doorkeeper,
        Self::LemonLdap,
        Self::Glewlwyd,
        Self::Authlib,
        Self::LaravelPassport,
        Self::OidcProvider,
        Self::BetterAuth,
        Self::Idpyoidc,
        Self::Jmondi,
    ];

    /// The name of the preset, as a document spells the name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keycloak => "keycloak",
            Self::Auth0 => "auth0",
            Self::Okta => "okta",
            Self::EntraId => "entra_id",
            Self::EntraIdV1 => "entra_id_v1",
            Self::Cognito => "cognito",
            Self::Hydra => "hydra",
            Self::Spring => "spring",
            Self::IdentityServer => "identityserver",
            Self::DjangoOauthToolkit => "django-oauth-toolkit",
            Self::Doorkeeper => "doorkeeper",
            Self::LemonLdap => "lemonldap",
            Self::Glewlwyd => "glewlwyd",
            Self::Authlib => "authlib",
            Self::LaravelPassport => "laravel-passport",
            Self::OidcProvider => "oidc-provider",
            Self::BetterAuth => "better-auth",
            Self::Idpyoidc => "idpyoidc",
            Self::Jmondi => "jmondi",
        }
    }

    /// Creates the record of our own issuer for the tokens of this server. The record names no keys yet.
    pub fn record(self, issuer: impl Into<IssuerId>) -> Issuer {
        let issuer = issuer.into();
        let rules = self.rules(issuer.as_str());
        Issuer::new(issuer).of_another_server().accept(rules)
    }

    /// Adds what is known about the answers of the introspection endpoint of this server.
    pub fn introspection(self, record: Introspection) -> Introspection {
        match self {
            Self::DjangoOauthToolkit | Self::LemonLdap => record.allow_missing_token_type(),
            Self::Jmondi => record.introspect(IntrospectedTokens::Unverifiable).token_types(["access_token"]),
            _ => record,
        }
    }

    fn rules(self, issuer: &str) -> TokenRules {
        let access_token = || TokenRules::new(TokenType::ACCESS_TOKEN);
        match self {
            Self::Keycloak => {
                let rules = facts::keycloak(TokenType::ACCESS_TOKEN).allow_untyped().allow_absent_aud();
                rules.ignored_audiences(["account"])
            }
            Self::Auth0 => {
                let userinfo = format!("{}/userinfo", issuer.trim_end_matches('/'));
                facts::auth0(TokenType::ACCESS_TOKEN).allow_untyped().ignored_audiences([userinfo])
            }
            Self::Okta => facts::okta(TokenType::ACCESS_TOKEN).allow_untyped(),
            Self::EntraId => facts::entra_id(TokenType::ACCESS_TOKEN, "2.0", "azp").allow_untyped(),
            Self::EntraIdV1 => facts::entra_id(TokenType::ACCESS_TOKEN, "1.0", "appid").allow_untyped(),
            Self::Cognito => access_token().allow_untyped().require_value("token_use", "access").allow_absent_aud(),
            Self::Hydra => access_token().allow_untyped().scope_claims(["scp", "scope"]).allow_empty_aud(),
            Self::Spring => access_token().allow_untyped().scope_claim("scope").presenter_claims(["client_id", "aud"]),
            Self::IdentityServer => access_token().scope_claim("scope").allow_absent_aud(),
            Self::DjangoOauthToolkit | Self::Doorkeeper => access_token().subject_claim("username").allow_absent_aud(),
            Self::LemonLdap => access_token().allow_untyped().allow_absent_aud(),
            Self::Glewlwyd | Self::Authlib => access_token(),
            Self::LaravelPassport => {
                access_token().allow_untyped().allow_absent_iss().scope_claim("scopes").presenter_claim("aud")
            }
            Self::OidcProvider => access_token().allow_absent_aud(),
            Self::BetterAuth => {
                access_token().ignored_audiences([format!("{}/oauth2/userinfo", issuer.trim_end_matches('/'))])
            }
            Self::Idpyoidc => access_token().allow_untyped().scope_claim("scope"),
            Self::Jmondi => access_token().allow_untyped().presenter_claims(["client_id", "cid"]).allow_absent_aud(),
        }
    }
}
