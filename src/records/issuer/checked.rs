use super::{
    AUDIENCES, CLIENTS, Introspection, Issuer, KEYS, KeySource, Kind, PRESENTERS, SUBJECTS, SubjectMapping, TENANTS,
    TOKENS, Tenants, TokenRules, is_other_kind, presets::trust_domain,
};
use crate::{
    fetch::web_uri,
    jose::Algorithm,
    protocol::TokenType,
    records::{ClientId, ConfigError, ConfigErrorKind, IssuerId, Place, Problems, names::Names},
};
use http::Uri;
use std::{fs, io, path::Path, time::Duration};

/// The separator between a tenant and a name within the tenant.
pub(crate) const TENANT_SEPARATOR: char = '|';

const MAX_LEEWAY: Duration = Duration::from_secs(60);
const SAML: &str = "urn:ietf:params:oauth:token-type:saml";
#[cfg(feature = "introspection-cache")]
const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// An issuer whose record was checked.
#[derive(Debug)]
pub(crate) struct IssuerRecord {
    pub(crate) id: IssuerId,
    /// Whether the issuer is this authorization server.
    pub(crate) own: bool,
    pub(crate) keys: Option<KeySource>,
    /// The origins that may have discovered keys, beside the origin of the issuer.
    pub(crate) key_origins: Vec<String>,
    pub(crate) introspection: Option<Introspection>,
    pub(crate) algorithms: Vec<Algorithm>,
    tokens: Vec<TokenRules>,
    pub(crate) untyped_access_tokens: bool,
    pub(crate) leeway: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) one_time_subject_tokens: bool,
    pub(crate) tenants: Option<Tenants>,
    /// Whether the issuer is a trust domain of SPIFFE.
    pub(crate) spiffe: bool,
    pub(crate) accepted_audiences: Vec<String>,
    /// `None` for our own issuer, whose subjects need no mapping.
    pub(crate) subjects: Option<SubjectMapping>,
    clients: Vec<(String, ClientId)>,
    presenters: Vec<ClientId>,
    pub(crate) actor_tokens: bool,
    pub(crate) act: bool,
    pub(crate) may_act: bool,
    acr: Vec<(String, String)>,
    pub(crate) claims: Vec<String>,
}

impl IssuerRecord {
    /// Whether the record accepts a declared type of tokens.
    pub(crate) fn accepts(&self, declared: &TokenType) -> bool {
        self.rules_for(declared).is_some()
    }

    pub(crate) fn rules_for(&self, declared: &TokenType) -> Option<&TokenRules> {
        self.tokens.iter().find(|rules| rules.token_type == *declared)
    }

    pub(crate) fn accepted_types(&self) -> impl Iterator<Item = &TokenType> {
        self.tokens.iter().map(|rules| &rules.token_type)
    }

    /// The claims with the scope that the record names.
    pub(crate) fn scope_claims(&self, declared: &TokenType) -> &[String] {
        self.rules_for(declared).map_or(&[], |rules| &rules.scope_claims)
    }

    /// Whether the record accepts JWTs of a declared type without `iss`.
    pub(crate) fn accepts_without_iss(&self, declared: &TokenType) -> bool {
        self.rules_for(declared).is_some_and(|rules| rules.without_iss == Some(true))
    }

    /// Whether the record lists a client as a presenter of every token of a declared type.
    pub(crate) fn lists_presenter(&self, declared: &TokenType, client: &ClientId) -> bool {
        let of_type = self.rules_for(declared).is_some_and(|rules| rules.presenters.contains(client));
        of_type || self.presenters.contains(client)
    }

    /// Our client that the issuer calls by this name, by the record's map.
    pub(crate) fn client_named(&self, theirs: &str) -> Option<&ClientId> {
        self.clients.iter().find(|(name, _)| name == theirs).map(|(_, ours)| ours)
    }

    /// The names that the issuer uses for clients of ours.
    pub(in crate::records) fn client_names(&self) -> impl Iterator<Item = (&str, &ClientId)> {
        self.clients.iter().map(|(theirs, ours)| (theirs.as_str(), ours))
    }

    /// Our name of an `acr` value of a foreign issuer.
    pub(crate) fn acr_named(&self, theirs: &str) -> Option<&str> {
        self.acr.iter().find(|(value, _)| value == theirs).map(|(_, ours)| ours.as_str())
    }

    /// Whether names are unique only within one of several tenants.
    pub(crate) fn has_several_tenants(&self) -> bool {
        self.tenants.as_ref().is_some_and(Tenants::are_several)
    }

    /// The tenant of a party of the issuer, by the name that the party has here.
    pub(crate) fn tenant_of<'a>(&'a self, sub: &'a str) -> Option<&'a str> {
        match self.tenants.as_ref()?.accepted.as_slice() {
            [only] => Some(only),
            _ => sub.split_once(TENANT_SEPARATOR).map(|(tenant, _)| tenant),
        }
    }

    /// Whether the issuer may issue tokens for a subject. A trust domain names only its own workloads (SPIFFE JWT-SVID
    /// section 3).
    pub(crate) fn can_name(&self, sub: &str) -> bool {
        !self.spiffe || trust_domain(sub) == Some(self.id.as_str())
    }

    /// The URLs that the layer's HTTP service has to reach, with the field that names each.
    pub(crate) fn fetched_urls(&self) -> impl Iterator<Item = (&'static str, &str)> {
        super::fetched_urls(&self.id, self.keys.as_ref(), self.introspection.as_ref())
    }
}

impl Tenants {
    fn are_several(&self) -> bool {
        self.accepted.len() > 1
    }
}

/// Whether a text is a URI with a scheme.
pub(crate) fn is_absolute(uri: &str) -> bool {
    uri.parse().is_ok_and(|uri: Uri| matches!(uri.scheme_str(), Some("http" | "https")))
}

/// What the checks of one record need.
struct Check<'a> {
    record: &'a Issuer,
    own: bool,
    /// The rules of the record, or the rules that apply by default.
    tokens: &'a [TokenRules],
    /// The audiences of the record, or the audience that applies by default.
    accepted_audiences: &'a [String],
    place: Place<'a>,
    names: &'a Names,
    /// The token types with a verifier of their own.
    plugged: &'a [TokenType],
}

/// The result of a check that finds at most one mistake.
type Checked = Result<(), ConfigError>;

impl Issuer {
    pub(crate) fn place(&self, position: usize) -> Place<'_> {
        Place::new("issuer", position, self.id.as_str(), self.wording)
    }

    pub(in crate::records) fn has_untyped_access_tokens(&self) -> bool {
        self.untyped_access_tokens || self.tokens.iter().any(|rules| rules.untyped == Some(true))
    }

    /// The file with the credentials for introspection, until the file is read.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.introspection.as_ref()?.file()
    }

    /// Reads the file with the credentials for introspection. A relative path starts in the folder.
    pub(crate) fn read_files(&mut self, position: usize, folder: &Path) -> Checked {
        let read = |path: &Path| {
            let path = folder.join(path);
            fs::read_to_string(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        let result = self.introspection.as_mut().map_or(Ok(()), |introspection| introspection.read_file(read));
        result.map_err(|error| {
            self.place(position).wrong_at("introspection", &format!("introspection.{}", error.key), error.problem)
        })
    }

    /// Whether the record describes no tokens that the layer issued.
    pub(in crate::records) fn excludes_issued_tokens(&self) -> bool {
        self.is_of_another_server || self.keys.is_some()
    }

    pub(in crate::records) fn accepts_tokens_without_iss(&self) -> bool {
        self.tokens.iter().any(|rules| rules.without_iss == Some(true))
    }

    /// Whether both records name the same key set, as far as the records show.
    pub(in crate::records) fn shares_keys(&self, other: &Self) -> bool {
        match (&self.keys, &other.keys) {
            (Some(KeySource::Fixed(one)), Some(KeySource::Fixed(other))) => one.overlaps(other),
            (Some(KeySource::Remote(one)), Some(KeySource::Remote(other))) => one == other,
            _ => false,
        }
    }

    /// Fills in the defaults, and checks the record alone and against the names of the other records.
    pub(in crate::records) fn check(
        &self,
        position: usize,
        names: &Names,
        plugged: &[TokenType],
        problems: &mut Problems,
    ) -> IssuerRecord {
        let own = names.is_own(&self.id);
        let tokens = match self.tokens.as_slice() {
            _ if self.for_clients_only => Vec::new(),
            [] if own => vec![TokenRules::new(TokenType::ACCESS_TOKEN)],
            [] => vec![TokenRules::new(TokenType::JWT)],
            given => given.to_vec(),
        };
        let accepted_audiences = match self.accepted_audiences.as_slice() {
            [] if !own => vec![names.own_issuer().to_string()],
            given => given.to_vec(),
        };
        let place = self.place(position);
        let check = Check {
            record: self,
            own,
            tokens: &tokens,
            accepted_audiences: &accepted_audiences,
            place,
            names,
            plugged,
        };
        check.run(problems);
        IssuerRecord {
            id: self.id.clone(),
            own,
            keys: self.keys.clone(),
            key_origins: self.key_origins.clone(),
            introspection: self.introspection.clone(),
            algorithms: self.algorithms.clone(),
            tokens,
            untyped_access_tokens: self.has_untyped_access_tokens(),
            leeway: self.leeway,
            max_age: self.max_age,
            one_time_subject_tokens: self.one_time_subject_tokens,
            tenants: self.tenants.clone(),
            spiffe: self.is_trust_domain,
            accepted_audiences,
            subjects: self.subjects.clone(),
            clients: self.clients.clone(),
            presenters: self.presenters.clone(),
            actor_tokens: own || self.actor_tokens,
            act: own || self.trusts_act,
            may_act: own || self.trusts_may_act,
            acr: self.acr.clone(),
            claims: self.claims.clone(),
        }
    }
}

impl Check<'_> {
    fn run(&self, problems: &mut Problems) {
        problems.check(self.keys());
        problems.check(self.key_origins());
        problems.check(self.introspection());
        problems.check(self.algorithms());
        for (index, rules) in self.tokens.iter().enumerate() {
            problems.check(self.rules(index, rules));
        }
        problems.check(self.untyped_access_tokens());
        problems.check(self.leeway());
        problems.check(self.max_age());
        problems.check(self.tenants());
        problems.check(self.needless_mappings());
        self.clients(problems);
        problems.check(self.audiences_apart_from_clients());
        self.presenters(problems);
        for (index, rules) in self.tokens.iter().enumerate() {
            self.absent_claims(index, rules, problems);
        }
    }

    fn keys(&self) -> Checked {
        let Issuer { id, keys, introspection, .. } = self.record;
        let id = id.as_str();
        let place = &self.place;
        if self.record.has_several_key_sources {
            let field = match place.word(KEYS) {
                "jwks" => "jwks, jwks_uri or discovery",
                _ => "keys, jwks_uri or discovery",
            };
            return Err(place
                .wrong(field, "more than one source of keys: keep one")
                .of_kind(ConfigErrorKind::Conflict));
        }
        match keys {
            Some(KeySource::Fixed(keys)) if keys.is_empty() => {
                let help = "no usable key in the set: give an RSA key of at least 2048 bits, P-256, P-384 or Ed25519";
                Err(place.wrong(KEYS, help))
            }
            Some(KeySource::Remote(uri)) if uri.contains('@') => {
                Err(place.wrong("jwks_uri", "has user information: give an HTTP service that adds credentials"))
            }
            Some(KeySource::Remote(uri)) if !is_absolute(uri) => {
                Err(place.wrong("jwks_uri", format!("`{uri}` is not an `http` or `https` URL: give the URL in full")))
            }
            Some(KeySource::Discovered) if id.contains('?') || web_uri(id).is_none() => {
                let help = format!(
                    "the identifier is not an absolute URL without query, fragment and user information: give \
                     `{}` or `jwks_uri`",
                    place.word(KEYS)
                );
                Err(place.wrong("discovery", help).of_kind(ConfigErrorKind::Conflict))
            }
            None if self.record.for_clients_only => {
                let help = format!("no source of keys: give `{}`, `jwks_uri` or `discovery`", place.word(KEYS));
                Err(place.wrong(KEYS, help).of_kind(ConfigErrorKind::Missing))
            }
            None if !self.own
                && introspection.is_none()
                && !self.tokens.iter().all(|rules| self.plugged.contains(&rules.token_type)) =>
            {
                let help = format!(
                    "no source of keys: give `{}`, `jwks_uri`, `discovery` or `introspection`",
                    place.word(KEYS)
                );
                Err(place.wrong(KEYS, help).of_kind(ConfigErrorKind::Missing))
            }
            _ => Ok(()),
        }
    }

    fn key_origins(&self) -> Checked {
        let Issuer { keys, key_origins, .. } = self.record;
        if !key_origins.is_empty() && !matches!(keys, Some(KeySource::Discovered)) {
            let help = "only keys that `discovery` finds have an origin to check: leave `key_origins` out";
            return Err(self.place.wrong("key_origins", help).of_kind(ConfigErrorKind::Conflict));
        }
        let is_origin = |text: &str| web_uri(text).is_some_and(|uri| uri.path() == "/" && uri.query().is_none());
        match key_origins.iter().position(|text| !is_origin(text)) {
            Some(index) => {
                let help = "not an origin: give scheme and host without a path, such as `https://keys.example`";
                Err(self.place.wrong_member("key_origins", index, help))
            }
            None => Ok(()),
        }
    }

    fn algorithms(&self) -> Checked {
        let Issuer { keys, algorithms, .. } = self.record;
        if algorithms.is_empty() {
            let help = "none: name the algorithms of the issuer's signatures";
            return Err(self.place.wrong("algorithms", help).of_kind(ConfigErrorKind::Missing));
        }
        match keys {
            Some(KeySource::Fixed(keys))
                if keys.verifies_tokens() && !algorithms.iter().any(|algorithm| keys.serves(*algorithm)) =>
            {
                let help = "no key of the set has one of these algorithms: name the algorithms of the keys";
                Err(self.place.wrong("algorithms", help).of_kind(ConfigErrorKind::Conflict))
            }
            _ => Ok(()),
        }
    }

    fn introspection(&self) -> Checked {
        let Some(Introspection { endpoint, authorization, file, .. }) = &self.record.introspection else {
            return Ok(());
        };
        let wrong = |help: &str| Err(self.place.wrong("introspection", help));
        if file.is_some() {
            return wrong("the file with the credentials was not read: call `Document::read_files` before the build");
        }
        if authorization.is_none() {
            return wrong("the credentials do not fit in a header: give printable ASCII");
        }
        if endpoint.contains('@') {
            return wrong("the endpoint has user information: give the credentials separately");
        }
        if !is_absolute(endpoint) {
            return wrong(&format!("`{endpoint}` is not an `http` or `https` URL: give the URL in full"));
        }
        #[cfg(feature = "introspection-cache")]
        match self.record.introspection.as_ref().and_then(|record| record.cache) {
            Some((entries, time_to_live)) if entries == 0 || time_to_live.is_zero() => {
                return wrong("the cache keeps nothing: leave the cache out, or give larger numbers");
            }
            Some((_, time_to_live)) if time_to_live > MAX_TIME_TO_LIVE => {
                return wrong("a revocation would go unnoticed for too long: give the cache 1 day or less");
            }
            _ => {}
        }
        Ok(())
    }

    fn leeway(&self) -> Checked {
        match self.record.leeway {
            Some(leeway) if leeway > MAX_LEEWAY => {
                Err(self.place.wrong("leeway", "longer than a minute: give 60 s or less"))
            }
            _ => Ok(()),
        }
    }

    fn max_age(&self) -> Checked {
        match self.record.max_age {
            Some(age) if age.as_secs() == 0 => {
                Err(self.place.wrong("max_age", "shorter than a second: give 1 s or more"))
            }
            _ => Ok(()),
        }
    }

    fn tenants(&self) -> Checked {
        let Some(tenants) = &self.record.tenants else { return Ok(()) };
        let wrong = |help: String| Err(self.place.wrong(TENANTS, help));
        if tenants.claim.is_empty() || tenants.accepted.is_empty() {
            return wrong("incomplete: name the claim and at least one tenant".to_owned());
        }
        let is_unusable = |tenant: &&String| {
            tenant.is_empty() || tenant.contains(TENANT_SEPARATOR) || tenant.chars().any(char::is_control)
        };
        if let Some(tenant) = tenants.accepted.iter().find(is_unusable) {
            return wrong(format!(
                "the tenant `{tenant}` cannot be used: give a name without `{TENANT_SEPARATOR}` and control characters"
            ));
        }
        if let Some(claim) = ["iss", "sub", "aud", "exp"].into_iter().find(|claim| *claim == tenants.claim) {
            return wrong(format!("the claim `{claim}` has another meaning: name the claim with the tenant"));
        }
        if tenants.are_several() && (self.record.trusts_act || self.record.trusts_may_act) {
            let help = "`act` and `may_act` do not name a tenant: accept one tenant, or do not trust these claims";
            return Err(self.place.wrong("trust_act or trust_may_act", help).of_kind(ConfigErrorKind::Conflict));
        }
        Ok(())
    }

    /// The names of our own issuer are our own, so a mapping would have no effect.
    fn needless_mappings(&self) -> Checked {
        let Issuer { subjects, clients, accepted_audiences, tenants, .. } = self.record;
        let given = [
            (SUBJECTS, subjects.is_some()),
            (CLIENTS, !clients.is_empty()),
            (AUDIENCES, !accepted_audiences.is_empty()),
            (TENANTS, tenants.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((field, _)) if self.own => {
                let help = format!("our own names need no mapping: leave `{}` out", self.place.word(field));
                Err(self.place.wrong(field, help).of_kind(ConfigErrorKind::Conflict))
            }
            _ => Ok(()),
        }
    }

    fn clients(&self, problems: &mut Problems) {
        let clients = &self.record.clients;
        for (index, (theirs, ours)) in clients.iter().enumerate() {
            let path = format!("client_names.{theirs}");
            if self.names.lacks_client(ours) {
                let error = self.place.wrong_at(CLIENTS, &path, self.names.unknown_client(ours));
                problems.add(error.of_kind(ConfigErrorKind::Unknown));
            }
            if clients[..index].iter().any(|(before, _)| before == theirs) {
                let error = self.place.wrong_at(CLIENTS, &path, format!("`{theirs}` means two clients: keep one"));
                problems.add(error.of_kind(ConfigErrorKind::Duplicate));
            }
        }
    }

    fn presenters(&self, problems: &mut Problems) {
        for (index, client) in self.record.presenters.iter().enumerate() {
            if self.names.lacks_client(client) {
                let error = self.place.wrong_member(PRESENTERS, index, self.names.unknown_client(client));
                problems.add(error.of_kind(ConfigErrorKind::Unknown));
            }
        }
    }

    /// Checks the statements about claims that a token does not have.
    fn absent_claims(&self, index: usize, rules: &TokenRules, problems: &mut Problems) {
        let at = |key: &str, help: String| {
            self.place.wrong_at(TOKENS, &format!("tokens[{index}].{key}"), help).of_kind(ConfigErrorKind::Conflict)
        };
        let kind = Kind::of(&rules.token_type);
        for (key, given) in [("allow_absent_aud", rules.without_aud), ("allow_empty_aud", rules.with_empty_aud)] {
            if given == Some(true) && !self.own {
                let stated = key.trim_start_matches("allow_");
                let help = format!(
                    "a token of a foreign issuer has to be meant for this server: write `{stated}` with the audience \
                     that the token stands for"
                );
                problems.add(at(key, help));
            }
        }
        let stated = [("absent_aud", &rules.absent_aud), ("empty_aud", &rules.empty_aud)];
        for (key, _) in stated.into_iter().filter(|(_, audience)| audience.as_ref().is_some_and(String::is_empty)) {
            problems.add(at(key, "empty: give the audience that the token stands for".into()));
        }
        if rules.untyped == Some(true) && kind != Kind::AccessToken {
            let help = format!("a `{}` needs no `typ` in any case: leave this statement out", rules.token_type);
            problems.add(at("allow_untyped", help));
        }
        if kind == Kind::IdToken && rules.subject_claim.is_some() {
            problems.add(at("subject_claim", "an ID token always has a `sub`: leave this statement out".into()));
        }
        let names_subject = |claim: &String| {
            rules.subject_claim.as_ref() == Some(claim)
                || matches!(&self.record.subjects, Some(SubjectMapping::Claim(named)) if named == claim)
        };
        if let Some(claim) = rules.always_verified.iter().find(|claim| !names_subject(claim)) {
            let help = format!("the claim `{claim}` names no subject: leave `{claim}` out");
            problems.add(at("always_verified", help));
        }
        let required = |claim: &str| rules.required.iter().any(|(required, _)| required == claim);
        let absent = [
            ("aud", rules.absent_aud.is_some() || rules.without_aud == Some(true)),
            ("sub", rules.subject_claim.is_some()),
            ("iss", rules.without_iss == Some(true)),
        ];
        for (claim, _) in absent.into_iter().filter(|(claim, stated)| *stated && required(claim)) {
            let help = format!("`{claim}` is required, and may be absent: keep one of the two statements");
            problems.add(at("require", help));
        }
        for (member, client) in rules.presenters.iter().enumerate() {
            if self.names.lacks_client(client) {
                let error = at(&format!("presenters[{member}]"), self.names.unknown_client(client));
                problems.add(error.of_kind(ConfigErrorKind::Unknown));
            }
        }
    }

    /// If one name meant us and a client, an ID token of the client would count as a token for us.
    fn audiences_apart_from_clients(&self) -> Checked {
        let Issuer { clients, .. } = self.record;
        let is_id_token = |rules: &&TokenRules| Kind::of(&rules.token_type) == Kind::IdToken;
        if self.tokens.len() == 1 || !self.tokens.iter().any(|rules| is_id_token(&rules)) {
            return Ok(());
        }
        let others = self.tokens.iter().filter(|rules| !is_id_token(rules));
        let ours: Vec<_> = others.flat_map(|rules| &rules.audiences).chain(self.accepted_audiences).collect();
        match clients.iter().find(|(theirs, _)| ours.contains(&theirs)) {
            Some((theirs, client)) => {
                let help = format!(
                    "`{theirs}` means client `{client}` and is also in `{}` or `audiences`, so an ID token of the client \
                     would count as a token for this server: remove one of the two, or accept no ID tokens",
                    self.place.word(AUDIENCES),
                );
                let error = self.place.wrong_at(CLIENTS, &format!("client_names.{theirs}"), help);
                Err(error.of_kind(ConfigErrorKind::Conflict))
            }
            None => Ok(()),
        }
    }

    /// If nothing in a token distinguished two types, the client could choose between the rules for the types.
    fn untyped_access_tokens(&self) -> Checked {
        let access_tokens = self.tokens.iter().find(|rules| rules.token_type == TokenType::ACCESS_TOKEN);
        let Some(access_tokens) = access_tokens.filter(|_| self.record.has_untyped_access_tokens()) else {
            return Ok(());
        };
        let jwts = self.tokens.iter().filter(|rules| Kind::of(&rules.token_type) == Kind::Jwt);
        match jwts.into_iter().find(|rules| !access_tokens.demands_the_same(rules)) {
            Some(rules) => {
                let help = format!(
                    "an untyped access token looks like `{}`, which has other rules: give both types the same rules, \
                     or accept one of them",
                    rules.token_type
                );
                Err(self.place.wrong("allow_untyped_access_tokens", help).of_kind(ConfigErrorKind::Conflict))
            }
            None => Ok(()),
        }
    }

    fn rules(&self, index: usize, rules: &TokenRules) -> Checked {
        let TokenRules { token_type, typ, required, forbidden, .. } = rules;
        let wrong = |help: String| Err(self.place.wrong_member(TOKENS, index, help));
        let conflict = |help| wrong(help).map_err(|error| error.of_kind(ConfigErrorKind::Conflict));
        if token_type.as_str().starts_with(SAML) && !self.plugged.contains(token_type) {
            return wrong(format!("`{token_type}` is not a JWT: give the layer a `token_verifier` for this type"));
        }
        if !token_type.as_str().contains(':') {
            return wrong(format!("`{token_type}` is not a URI: give the full name of the type"));
        }
        if *token_type == TokenType::REFRESH_TOKEN {
            return wrong(format!("`{token_type}` is never accepted: leave the type out"));
        }
        if let Some(typ) = typ.iter().find(|typ| is_other_kind(typ)) {
            return wrong(format!("the typ `{typ}` is never a subject token or an actor token: leave `{typ}` out"));
        }
        let kind = Kind::of(token_type);
        let is_impossible = |typ: &&String| match kind {
            Kind::AccessToken => *typ != "at+jwt" && !(self.record.has_untyped_access_tokens() && *typ == "jwt"),
            Kind::IdToken => *typ != "jwt",
            Kind::Jwt => self.own && *typ == "at+jwt",
        };
        if let Some(typ) = typ.iter().find(is_impossible) {
            return conflict(format!("a `{token_type}` never has the typ `{typ}`: leave `{typ}` out"));
        }
        if let Some((claim, _)) = required.iter().find(|(claim, _)| forbidden.contains(claim)) {
            return conflict(format!("`{claim}` is required and forbidden: keep one"));
        }
        let values = required.iter().filter_map(|(claim, value)| Some((claim, value.as_ref()?)));
        let has_two_values =
            |(claim, one): &(&String, &_)| values.clone().any(|(name, other)| name == *claim && other != *one);
        if let Some((claim, _)) = values.clone().find(has_two_values) {
            return conflict(format!("`{claim}` is required with two values: keep one value"));
        }
        let never: &[&str] = match kind {
            Kind::AccessToken | Kind::Jwt => &["cnf", "events", "at_hash", "c_hash", "s_hash", "authorization_details"],
            Kind::IdToken => &["cnf", "events", "client_id", "scope", "authorization_details"],
        };
        if let Some((claim, _)) = required.iter().find(|(claim, _)| never.contains(&claim.as_str())) {
            return conflict(format!(
                "`{claim}` is required, but a `{token_type}` with `{claim}` is always refused: leave `{claim}` out"
            ));
        }
        match forbidden.iter().find(|claim| ["iss", "sub", "exp", "aud"].contains(&claim.as_str())) {
            Some(claim) => conflict(format!(
                "`{claim}` is forbidden, but a token without `{claim}` is always refused: leave `{claim}` out"
            )),
            None => Ok(()),
        }
    }
}
