use super::{Issuer, SubjectMapping, TokenRules, facts};
use crate::{jose::Algorithm, protocol::TokenType};

/// Presets: records for the tokens of well-known vendors. Later calls on the record change or replace the values of the
/// preset.
///
/// Every preset but [`Issuer::spiffe`] finds the keys by discovery, accepts only `jwt` or only `id_token`, and names the
/// issuer's subjects `<identifier>|<sub>`. [`Issuer::map_subjects`] sets shorter names. No preset allows a presenter or
/// maps the name of a client.
///
/// The tokens of some vendors, such as Keycloak and Auth0, look alike for a user and for a service. Rules that name users
/// or groups distinguish them.
impl Issuer {
    /// A realm of Keycloak. `base` is the URL before `/realms/`, such as `https://login.example`.
    ///
    /// The record accepts access tokens as `jwt`. The claim `typ` distinguishes an access token (`Bearer`) from ID
    /// tokens, refresh tokens and logout tokens. `azp` names the client. The realm needs an audience mapper that adds
    /// this authorization server to `aud`.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let realm = Issuer::keycloak("https://login.example", "staff").map_client("web-frontend", "web");
    /// # let _ = realm;
    /// ```
    pub fn keycloak(base: &str, realm: &str) -> Self {
        Self::preset(format!("{}/realms/{realm}", base.trim_end_matches('/'))).accept(facts::keycloak(TokenType::JWT))
    }

    /// A tenant of Microsoft Entra ID, by its GUID. The record accepts access tokens of version 2.0 for an API.
    ///
    /// The header of such a token has `typ: JWT`. The claim `scp`, which only tokens for users have, distinguishes the
    /// token from an ID token. `azp` names the client, and `tid` has to be the tenant.
    ///
    /// The `sub` of a user differs between APIs. The claim `oid` is the same for all APIs of a tenant
    /// ([`SubjectMapping::Claim`]).
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let entra = Issuer::entra_id("6babcaad-604b-40ac-a9d7-9fd97c0b779f")
    ///     .accepted_audiences(["6e74172b-be56-4843-9ff4-e66a39bb12e3"]); // the application id of the API
    /// # let _ = entra;
    /// ```
    pub fn entra_id(tenant: &str) -> Self {
        Self::preset(format!("https://login.microsoftonline.com/{tenant}/v2.0"))
            .algorithms([Algorithm::RS256])
            .accept_tenants("tid", [tenant])
            .accept(facts::entra_id(TokenType::JWT, "2.0", "azp"))
    }

    /// A custom authorization server of Okta: `https://{domain}/oauth2/{server}`.
    ///
    /// The claim `cid` names the client and distinguishes an access token from an ID token. `scp` is an array with the
    /// scope. The access tokens of the organization's own server (`https://{domain}`) are for Okta itself, so this preset
    /// does not fit that server.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let okta = Issuer::okta("https://acme.okta.com/oauth2/default").accepted_audiences(["api://exchange"]);
    /// # let _ = okta;
    /// ```
    pub fn okta(issuer: impl Into<String>) -> Self {
        Self::preset(issuer).algorithms([Algorithm::RS256]).accept(facts::okta(TokenType::JWT))
    }

    /// A tenant of Auth0, by its domain. The issuer identifier ends with a slash.
    ///
    /// `azp` names the client. A token that is also valid for `/userinfo` has two audiences, which the record of its
    /// presenter has to permit ([`Client::allow_several_audiences`](crate::Client::allow_several_audiences)).
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let auth0 = Issuer::auth0("acme.eu.auth0.com").accepted_audiences(["https://exchange.acme.example"]);
    /// # let _ = auth0;
    /// ```
    pub fn auth0(domain: &str) -> Self {
        Self::preset(format!("https://{domain}/"))
            .algorithms([Algorithm::RS256, Algorithm::PS256])
            .accept(facts::auth0(TokenType::JWT))
    }

    /// Google accounts. The record accepts ID tokens, because the access tokens of Google are opaque.
    ///
    /// [`map_client`](Self::map_client) says which client an `aud` means. A token of a user in an organization names the
    /// organization in `hd`: [`accept_tenants`](Self::accept_tenants) limits the record to your organizations.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let google = Issuer::google()
    ///     .accept_tenants("hd", ["acme.example"])
    ///     .map_client("32555940559.apps.googleusercontent.com", "web");
    /// # let _ = google;
    /// ```
    pub fn google() -> Self {
        Self::preset("https://accounts.google.com")
            .key_origins(["https://www.googleapis.com"])
            .algorithms([Algorithm::RS256])
            .accept(TokenRules::new(TokenType::ID_TOKEN).require("iat"))
    }

    /// A Kubernetes cluster. The record accepts projected tokens of service accounts that were requested for `audience`.
    ///
    /// The metadata of many clusters names the address of the API server instead of its name:
    /// [`key_origins`](Self::key_origins) permits that origin.
    ///
    /// The keys of a cluster are usually in a private network, which the HTTP service of the layer has to permit
    /// (`HttpFetchBuilder` of the feature `fetch`). A signature does not show that a pod or an account was deleted; a
    /// [`StatusCheck`](crate::status::StatusCheck) can ask the TokenReview API.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let cluster = Issuer::kubernetes("https://kubernetes.default.svc.cluster.local", "https://as.example");
    /// # let _ = cluster;
    /// ```
    pub fn kubernetes(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self::preset(issuer).algorithms([Algorithm::RS256, Algorithm::ES256]).accept(
            TokenRules::new(TokenType::JWT)
                .audiences([audience.into()])
                .require("kubernetes.io")
                .require("iat")
                .require("nbf"),
        )
    }

    /// A trust domain of SPIFFE, such as `example.org`, with the URL of its bundle. The record accepts JWT-SVIDs of its
    /// workloads.
    ///
    /// The `sub` of a JWT-SVID is a SPIFFE ID in the trust domain. A JWT-SVID needs no `iss`; an `iss` has to be
    /// `spiffe://<trust domain>`. For a server that writes another `iss`, use [`Issuer::new`] with that identifier. Only
    /// keys of the bundle for `jwt-svid` count. The authorities of the bundle, whose `use` is `x509-svid`, verify the
    /// certificates of clients with [`Client::spiffe_id`](crate::Client::spiffe_id). The bundle is fetched again after its
    /// `spiffe_refresh_hint`, or earlier if the HTTP headers say so.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let workloads = Issuer::spiffe("example.org", "https://spire.example.org/bundle").allow_actor_tokens();
    /// # let _ = workloads;
    /// ```
    pub fn spiffe(trust_domain: &str, bundle_uri: impl Into<String>) -> Self {
        use Algorithm::*;
        let id = format!("spiffe://{trust_domain}");
        let mut issuer = Self::new(&id)
            .jwks_uri(bundle_uri)
            .algorithms([ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512])
            .map_subjects(SubjectMapping::Prefix(format!("{id}|")))
            .accept(TokenRules::new(TokenType::JWT));
        (issuer.is_trust_domain, issuer.keys_are_preset) = (true, true);
        issuer
    }

    fn preset(id: impl Into<String>) -> Self {
        let id = id.into();
        let prefix = SubjectMapping::Prefix(format!("{id}|"));
        let mut issuer = Self::new(id).discovery().map_subjects(prefix);
        issuer.keys_are_preset = true;
        issuer
    }
}

/// The trust domain of a SPIFFE ID, written as an issuer identifier (SPIFFE ID section 2).
pub(crate) fn trust_domain(sub: &str) -> Option<&str> {
    let (domain, path) = sub.strip_prefix("spiffe://")?.split_once('/')?;
    let is_name = |text: &str, upper: bool| {
        let fits = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c) || (upper && c.is_ascii_uppercase())
        };
        !text.is_empty() && text.chars().all(fits)
    };
    let segments_fit = path.split('/').all(|segment| is_name(segment, true) && segment != "." && segment != "..");
    (is_name(domain, false) && segments_fit).then(|| &sub[..sub.len() - path.len() - 1])
}
