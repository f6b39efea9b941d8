use super::{Issuer, SubjectMapping, TokenRules};
use crate::{jose::Algorithm, protocol::TokenType};

/// Records for issuers whose tokens are documented by their vendors. Each is a start: whatever is said after it counts.
///
/// All but the last take their keys by discovery, take `jwt` (or `id_token`) only, and put the identifier in front of
/// foreign subjects, which is safe and long: [`Issuer::map_subjects`] makes them shorter. None lets any client present a
/// token, nor maps the name of one.
///
/// Where a vendor's tokens for a service look like those for a user, as with Keycloak and Auth0, so they do here: rules
/// that name users or groups tell them apart.
impl Issuer {
    /// A realm of Keycloak: `base` is `https://host`, before the `/realms/`.
    ///
    /// Access tokens are `jwt`, told from ID, refresh and logout tokens by their claim `typ`, which is `Bearer`; `azp`
    /// names the client. That `aud` names us takes an audience mapper in the realm.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let realm = Issuer::keycloak("https://login.example", "staff").map_client("web-frontend", "web");
    /// # let _ = realm;
    /// ```
    pub fn keycloak(base: &str, realm: &str) -> Self {
        Self::preset(format!("{}/realms/{realm}", base.trim_end_matches('/'))).accept(
            TokenRules::new(TokenType::JWT)
                .typ(["JWT", "at+jwt"])
                .require_value("typ", "Bearer")
                .presenter_claim("azp"),
        )
    }

    /// One tenant of Microsoft Entra ID, by its GUID: access tokens of version 2.0 for an API of ours.
    ///
    /// They are bare `JWT`, told from ID tokens by `scp`, which only tokens for a user have; `azp` names the client and
    /// `tid` must be the tenant. A `sub` is another for each API; for one that is the same everywhere, map by the claim
    /// `oid` ([`SubjectMapping::Claim`]).
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let entra = Issuer::entra_id("6babcaad-604b-40ac-a9d7-9fd97c0b779f")
    ///     .accepted_audiences(["6e74172b-be56-4843-9ff4-e66a39bb12e3"]); // the application id of our API
    /// # let _ = entra;
    /// ```
    pub fn entra_id(tenant: &str) -> Self {
        Self::preset(format!("https://login.microsoftonline.com/{tenant}/v2.0"))
            .algorithms([Algorithm::RS256])
            .accept_tenants("tid", [tenant])
            .accept(
                TokenRules::new(TokenType::JWT)
                    .require_value("ver", "2.0")
                    .require("azp")
                    .require("scp")
                    .forbid("nonce")
                    .presenter_claim("azp")
                    .scope_claim("scp"),
            )
    }

    /// A custom authorization server of Okta: `https://{domain}/oauth2/{server}`. Access tokens of the organization's own
    /// server (`https://{domain}` alone) are for Okta itself.
    ///
    /// They are told from ID tokens by `cid`, which names the client; the scope is an array, `scp`.
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let okta = Issuer::okta("https://acme.okta.com/oauth2/default").accepted_audiences(["api://exchange"]);
    /// # let _ = okta;
    /// ```
    pub fn okta(issuer: impl Into<String>) -> Self {
        Self::preset(issuer).algorithms([Algorithm::RS256]).accept(
            TokenRules::new(TokenType::JWT).require("cid").forbid("nonce").presenter_claim("cid").scope_claim("scp"),
        )
    }

    /// A tenant of Auth0, by its domain: the identifier has a slash at its end.
    ///
    /// `azp` names the client. A token that is good for `/userinfo` too has two audiences, which the record of the client
    /// that presents it must allow ([`Client::allow_several_audiences`](super::Client::allow_several_audiences)).
    ///
    /// ```
    /// # use tower_token_exchange::Issuer;
    /// let auth0 = Issuer::auth0("acme.eu.auth0.com").accepted_audiences(["https://exchange.acme.example"]);
    /// # let _ = auth0;
    /// ```
    pub fn auth0(domain: &str) -> Self {
        Self::preset(format!("https://{domain}/")).algorithms([Algorithm::RS256, Algorithm::PS256]).accept(
            TokenRules::new(TokenType::JWT)
                .typ(["JWT", "at+jwt"])
                .require("azp")
                .require("scope")
                .forbid("nonce")
                .presenter_claim("azp"),
        )
    }

    /// Google accounts: ID tokens, since its access tokens are opaque to others. `client_name` says which of our clients
    /// an `aud` means.
    ///
    /// Tokens of organizations name theirs in `hd`: [`Issuer::accept_tenants`] limits them to yours.
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
            .algorithms([Algorithm::RS256])
            .accept(TokenRules::new(TokenType::ID_TOKEN).require("iat"))
    }

    /// A Kubernetes cluster: the projected tokens of its service accounts, which name `audience`, the one that was asked
    /// for in the projection. Tokens for the API server itself are not taken.
    ///
    /// The keys of a cluster stand behind its API server, in a private network as a rule
    /// ([`HttpFetchBuilder`](crate::fetch::HttpFetchBuilder)). A signature cannot show that the pod or the account is gone;
    /// a [`StatusCheck`](crate::status::StatusCheck) can ask the TokenReview API.
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

    /// A trust domain of SPIFFE, such as `example.org`, whose bundle is at this URL: JWT-SVIDs of its workloads.
    ///
    /// A JWT-SVID is its trust domain's by its `sub`, which is one of its SPIFFE IDs, and need not have an `iss`; one that
    /// has must say `spiffe://<trust domain>`. For a server that writes another `iss`, use [`Issuer::new`] with that. Of the bundle, only
    /// keys for `jwt-svid` count.
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

/// The trust domain of a SPIFFE ID, as an issuer's identifier (SPIFFE ID section 2).
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
