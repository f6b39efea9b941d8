//! The table of all reasons, in the order in which an exchange can meet the reasons.

use super::super::reason_class::{
    ACCESS, BROKEN, CLIENT, ClientAnswer, DENIED, DPOP, FORBIDDEN, GRANT, SCOPE, STEP_UP, TARGET, TOKEN, UNAVAILABLE,
    access, limited, request,
};
use super::Remedy;
use crate::protocol::ErrorCode;
use http::StatusCode;

reasons! {
    /// The query string contains the exchange grant. RFC 6749 section 3.2 requires the body.
    GrantInQuery = "grant_in_query", request("token parameters belong in the body of a POST request"),
        "Fix the client: send the parameters in the body, as a form. Query strings end up in logs, so revoke the \
        tokens that the client sent.";
    /// With guard: a cookie is the exchange grant. Some servers read cookies as parameters.
    GrantInCookie = "grant_in_cookie", request("token parameters belong in the body of a POST request"),
        "Fix the client: send the parameters in the body, as a form. If no client of yours sends such cookies, somebody \
        may be looking for a way around the layer.";
    /// With guard: a form with the exchange grant came with a method other than `POST`.
    GrantInOtherMethod = "grant_in_other_method", request("token parameters belong in the body of a POST request"),
        "Fix the client: send token requests with `POST`. If no client of yours sends such requests, somebody may be \
        looking for a way around the layer.";
    /// With guard: a form with the exchange grant came to a path that a lenient server could take for the path of the token
    /// endpoint, or that is below the endpoint, or with a header that names such a path.
    GrantAtOtherPath = "grant_at_other_path", request("token requests belong at the token endpoint"),
        "If the path is a token endpoint, add the path with `TokenExchangeBuilder::endpoint`. Otherwise fix the \
        client: use the exact path.";
    /// With guard: a JSON body, or a body that could be JSON, contains the exchange grant.
    GrantInJson = "grant_in_json", request("token parameters belong in a form"),
        "Fix the client: send a form (`application/x-www-form-urlencoded`) instead of JSON.";
    /// The body cannot be read as a form or as JSON. The token endpoint requires this only with guard, the endpoints for
    /// introspection and revocation always.
    BodyUnreadable = "body_unreadable",
        request("the body must be a form").status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        "Fix the client: send an uncompressed form with one `Content-Type`. If the wrapped service needs other bodies \
        at this path and does not know the exchange grant, remove `TokenExchangeBuilder::guard`.";
    /// A request for introspection or revocation has a token that was issued here, but not as `token` in a form that was
    /// sent with `POST` to the path of the endpoint.
    IssuedTokenMisplaced = "issued_token_misplaced", request("the token belongs in a form in the body of a POST request"),
        "Fix the client: send the token as the parameter `token` of a form, with `POST`, to the exact path of the \
        endpoint (RFC 7662 section 2.1, RFC 7009 section 2.1).";
    /// The body is larger than the limit.
    BodyTooLarge = "body_too_large", request("the request is too large").status(StatusCode::PAYLOAD_TOO_LARGE),
        "If regular requests are this large, raise `TokenExchangeBuilder::body_limit`.";
    /// The body has more frames than the limit of 4096.
    TooManyFrames = "too_many_frames", request("the request is too large").status(StatusCode::PAYLOAD_TOO_LARGE),
        "Configure the client, or the proxy in front of this server, to send the body in larger pieces. The limit is \
        fixed.";
    /// The body was not complete before the deadline.
    BodyTooSlow = "body_too_slow", request("the request came too slowly").status(StatusCode::REQUEST_TIMEOUT),
        "The connection is slow, or the client stopped sending. If regular clients are this slow, raise \
        `TokenExchangeBuilder::body_deadline`.";
    /// The peer made more attempts than its budget allows.
    PeerRateLimited = "peer_rate_limited", limited("too many requests; try again later"),
        "The detail names the peer. If the peer is a proxy, put the addresses of the clients into the requests, with \
        `ClientAddress::behind_proxy`. If the peer is a regular client, raise `Limits::attempts_per_peer`.";
    /// The form has a broken escape, a control character, or text that is not UTF-8.
    MalformedForm = "malformed_form", request("the request is malformed"),
        "Fix the client: encode the form as UTF-8, with a library.";
    /// The form has more than 64 parameters.
    TooManyParameters = "too_many_parameters", request("too many parameters"),
        "Fix the client: no exchange needs so many parameters. The limit is fixed.";
    /// A parameter other than `resource` and `audience` is repeated.
    RepeatedParameter = "repeated_parameter", request("a parameter is repeated"),
        "Fix the client: send each parameter once (RFC 6749 section 3.2). Some client libraries add a second \
        `grant_type`.";
    /// The form has no parameter with the exact name `grant_type`.
    GrantTypeMissing = "grant_type_missing", request("grant_type is missing"),
        "Fix the client: send the parameter `grant_type`, in lower case and without spaces.";
    /// The `grant_type` resembles the exchange grant, but is not equal to the exchange grant.
    UnsupportedGrantType = "unsupported_grant_type",
        request("the grant type is not supported").error(ErrorCode::UnsupportedGrantType),
        "Fix the client: send exactly `urn:ietf:params:oauth:grant-type:token-exchange` as the grant type.";
    /// The request has no `subject_token`. An empty value counts as absent.
    SubjectTokenMissing = "subject_token_missing", request("subject_token and subject_token_type are required"),
        "Fix the client: send the token with which the client was called, as `subject_token`.";
    /// The request has no `subject_token_type`.
    SubjectTokenTypeMissing = "subject_token_type_missing",
        request("subject_token and subject_token_type are required"),
        "Fix the client: send the type of the subject token, usually \
        `subject_token_type=urn:ietf:params:oauth:token-type:access_token`.";
    /// The request has only one of `actor_token` and `actor_token_type`.
    ActorParametersUnpaired = "actor_parameters_unpaired",
        request("actor_token and actor_token_type come only together"),
        "Fix the client: send both parameters, or neither if the client itself is the actor.";
    /// The token is larger than 64 KiB.
    TokenTooLarge = "token_too_large", TOKEN,
        "Configure the issuer to put fewer claims into its tokens, for example fewer groups. The limit is fixed.";

    /// The request has no client credentials.
    ClientCredentialsMissing = "client_credentials_missing", CLIENT,
        "Fix the client: send the client id and the secret with Basic authentication, or as `client_id` and \
        `client_secret` in the form, or send a client assertion or a certificate. A client that sends only its id needs \
        {Client::allow_public}.";
    /// The `Authorization` header is malformed.
    ClientCredentialsMalformed = "client_credentials_malformed", CLIENT,
        "Fix the client: after the word `Basic`, send the client id, a colon and the secret, encoded in base64 (RFC \
        7617).";
    /// The request uses more than one method of client authentication.
    SeveralClientCredentials = "several_client_credentials", request("more than one client authentication method"),
        "Fix the client: send either the `Authorization` header or `client_secret` in the form. A proxy that adds an \
        `Authorization` header can also be the cause.";
    /// The scheme of the `Authorization` header is not Basic.
    ClientSchemeUnsupported = "client_scheme_unsupported", CLIENT,
        "Fix the client: authenticate the client with Basic, and send the user's token as `subject_token` instead of \
        a Bearer header.";
    /// The request has a client assertion together with other credentials, or only one of `client_assertion` and
    /// `client_assertion_type`.
    ClientAssertionNotAlone = "client_assertion_not_alone", CLIENT,
        "Fix the client: send `client_assertion` and `client_assertion_type`, and neither an `Authorization` header nor \
        `client_secret` (RFC 7521 section 4.2.1). A proxy that adds an `Authorization` header can also be the cause.";
    /// The `client_assertion` has a type that the layer does not support, such as SAML.
    ClientAssertionUnsupported = "client_assertion_unsupported", CLIENT,
        "Configure the client for `private_key_jwt`: the type is \
        `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`. The method `client_secret_jwt` is not supported.";
    /// Too many different wrong credentials came from this peer, for this client id or for all client ids. The credentials of
    /// this attempt were not checked.
    AuthenticationRateLimited = "authentication_rate_limited",
        limited("too many attempts to authenticate; try again later"),
        "The detail names the peer. Somebody guesses secrets there, or clients have wrong secrets. If the peer is a proxy, \
        put the addresses of the clients into the requests, with `ClientAddress::behind_proxy`. Otherwise see \
        `Limits::failed_authentications_per_client` and `Limits::failed_authentications_per_peer`.";
    /// There is no client with this id, or the secret is wrong, or the record of the client does not have the method.
    ClientRejected = "client_rejected", CLIENT,
        "Compare the client id, the method and the secret with the client's record: {Client::new}, {Client::secret} and \
        {Client::keys}. If the layer has a `TokenExchangeBuilder::client_authenticator`, look there. Many such events in a \
        short time mean that somebody guesses secrets.";
    /// The client assertion is not a signed JWT, or a claim that it needs is missing or has the wrong form.
    ClientAssertionMalformed = "client_assertion_malformed", CLIENT,
        "Fix the client: sign a JWT with the claims `iss`, `sub`, `aud`, `exp` and `jti` (RFC 7523 section 3). The detail \
        names the problem.";
    /// The `iss`, the `sub` and the `client_id` of a client assertion are not all the id of the client.
    ClientAssertionOfAnother = "client_assertion_of_another", CLIENT,
        "Fix the client: `iss` and `sub` of the assertion are the client id, and so is the parameter `client_id` if there is \
        one (RFC 7523 section 3).";
    /// The header of the client assertion has a `typ` of another kind of token.
    ClientAssertionTypRefused = "client_assertion_typ_refused", CLIENT,
        "Fix the client: set `typ` to `client-authentication+jwt` or `JWT`, or leave it out. If the client sends an access \
        token as its assertion, sign an assertion instead.";
    /// The client may not sign with the algorithm of the client assertion.
    ClientAssertionAlgorithmRefused = "client_assertion_algorithm_refused", CLIENT,
        "Sign with an algorithm that {Client::algorithms} lists. With {Client::fapi}, only PS256, ES256 and EdDSA are \
        permitted. `none` and HMAC are never accepted.";
    /// The `aud` of the client assertion is not the issuer identifier of this server alone.
    ClientAssertionAudienceRefused = "client_assertion_audience_refused", CLIENT,
        "Fix the client: `aud` is the issuer identifier of this server, exactly, and nothing else. If the client cannot be \
        changed, {Client::allow_assertion_audience} names the URL that the client sends.";
    /// The client assertion has expired.
    ClientAssertionExpired = "client_assertion_expired", CLIENT,
        "Fix the client: sign a new assertion for each request. If the assertion is new, correct the clock of the client.";
    /// The client assertion is not valid yet, or is from the future.
    ClientAssertionNotYetValid = "client_assertion_not_yet_valid", CLIENT,
        "Correct the clock of the client. The tolerance is `TokenExchangeBuilder::leeway`.";
    /// The client assertion is valid for too long.
    ClientAssertionTooLong = "client_assertion_too_long", CLIENT,
        "Fix the client: let the assertion expire within 5 min. If the client cannot be changed, raise \
        {Client::max_assertion_lifetime}.";
    /// No key of the client fits the header of the client assertion.
    ClientAssertionKeyUnknown = "client_assertion_key_unknown", CLIENT,
        "Compare `kid` and `alg` of the assertion with the key set of the client: {Client::keys} or {Client::jwks_uri}. A \
        fetched key set is fetched again at most once a minute.";
    /// No key of the client signed the client assertion.
    ClientAssertionSignatureInvalid = "client_assertion_signature_invalid", CLIENT,
        "Compare the key of the client with its record: {Client::keys} or {Client::jwks_uri}. Many such events in a short \
        time mean that somebody tries to act as the client.";
    /// The client assertion was used before (RFC 7523 section 3).
    ClientAssertionUsedAgain = "client_assertion_used_again", CLIENT,
        "Fix the client: make a new assertion with a new `jti` for each request, also for a request that is repeated. If \
        the client does so, somebody repeats its requests; investigate the cause.";
    /// The key set of the client cannot be fetched.
    ClientKeysUnavailable = "client_keys_unavailable", UNAVAILABLE,
        "The detail names the address and the cause. Check {Client::jwks_uri}, and the network between this server and the \
        server of the client.";
    /// The certificate of the client cannot be read, or the header of a proxy has no certificate.
    ClientCertificateMalformed = "client_certificate_malformed", CLIENT,
        "Check what ends TLS: `PeerCertificates` has the certificate in DER, and a proxy sends one header `Client-Cert` with \
        base64 between colons (RFC 9440), not PEM.";
    /// The chain of the certificate of the client was not checked, or does not end at a trusted authority.
    ClientCertificateUntrusted = "client_certificate_untrusted", CLIENT,
        "Let what ends TLS check the chain, and say so with `PeerCertificates::with_valid_chain`. For a certificate that no \
        authority issued, give {Client::self_signed_tls_client_auth} or {Client::certificate_sha256}. For an X.509-SVID, the \
        bundle of its trust domain must have the authority, as a key with the `use` `x509-svid`.";
    /// The certificate is not the one in the record of the client.
    ClientCertificateMismatch = "client_certificate_mismatch", CLIENT,
        "Compare the certificate of the client with its record: {Client::tls_client_auth}, \
        {Client::self_signed_tls_client_auth} and {Client::certificate_sha256}. Names are compared exactly, and only the \
        kind of name in the record counts.";
    /// The record of the client requires a method by which the client proves that it has a key.
    ClientMethodRefused = "client_method_refused", CLIENT,
        "{Client::fapi} requires `private_key_jwt` or a certificate. Give the client a key, or remove that setting.";
    /// The client made too many attempts to authenticate, at this server or at the server that authenticates the clients.
    TooManyClientAttempts = "too_many_client_attempts", limited("too many attempts to authenticate; try again later"),
        "Somebody guesses secrets, or a client repeats a request with a wrong secret: correct the secret. If regular \
        clients are limited, raise the limit of the server that authenticates the clients.";
    /// The `client_id` in the form differs from the authenticated client.
    ClientIdMismatch = "client_id_mismatch", request("client_id does not match the authenticated client"),
        "Fix the client: omit `client_id`, or send the id of the client whose credentials the request has.";
    /// The client is authenticated, but may not use the exchange grant.
    GrantNotAllowed = "grant_not_allowed", GRANT,
        "If the client may exchange tokens and has no record, add a record with its id with \
        `TokenExchangeBuilder::clients`. If the client has a record with {Client::deny_exchange}, remove that setting.";
    /// The client made more exchanges, introspections or revocations than its budget allows.
    ClientRateLimited = "client_rate_limited", limited("too many requests; try again later"),
        "Find out why the client asks so often. If that is regular, raise {Client::max_exchanges} or \
        `Limits::exchanges_per_client`, `Limits::introspections_per_client` or `Limits::revocations_per_client`.";
    /// The request has a `DPoP` proof, which the layer does not support.
    DpopUnsupported = "dpop_unsupported", request("DPoP is not supported").error(ErrorCode::InvalidDpopProof),
        "Set `TokenExchangeBuilder::dpop`, or disable DPoP in the client for requests to this endpoint.";
    /// The request has several `DPoP` headers, or the header is not a DPoP proof (RFC 9449 section 4.2).
    DpopProofMalformed = "dpop_proof_malformed", DPOP,
        "The detail has the problem. Fix the client: send one `DPoP` header with one signed JWT of the type `dpop+jwt`.";
    /// The key or the algorithm of the DPoP proof is not acceptable.
    DpopKeyRefused = "dpop_key_refused", DPOP,
        "The detail has the problem. Fix the client: put the public key alone into `jwk`, and sign with an algorithm that \
        `Dpop::accept_algorithms` names.";
    /// The DPoP proof is for another method or another URL.
    DpopProofMismatch = "dpop_proof_mismatch", DPOP,
        "If the `htu` in the detail is a public URL of the token endpoint, add the URL with `Dpop::alias`. Otherwise fix the \
        client: the proof needs the `htm` `POST` and the URL of the token endpoint.";
    /// The DPoP proof has no nonce of this server, or an old nonce. The answer has a new nonce, and the client tries again.
    DpopNonceRequired = "dpop_nonce_required",
        request("a nonce is required in the DPoP proof").error(ErrorCode::UseDpopNonce),
        "Clients that know RFC 9449 section 8 try again with the nonce in the header `DPoP-Nonce`. If a client does not, \
        update the client, or use `Dpop::offer_nonce`. If a new nonce is refused too, the servers have different keys.";
    /// The `iat` of the DPoP proof is too old, or in the future.
    DpopProofStale = "dpop_proof_stale", DPOP,
        "Compare the clocks of the client and of this server, or raise `Dpop::max_age`. With `Dpop::require_nonce`, the \
        clock of the client does not matter.";
    /// The signature of the DPoP proof is wrong.
    DpopSignatureInvalid = "dpop_signature_invalid", DPOP,
        "Fix the client: sign the proof with the private key that belongs to `jwk`.";
    /// The DPoP proof was used before (RFC 9449 section 11.1).
    DpopProofUsedAgain = "dpop_proof_used_again",
        request("the DPoP proof was used before").error(ErrorCode::InvalidDpopProof),
        "Fix the client: make a new proof with a new `jti` for each request, also for a request that is repeated. If the \
        client does so, somebody repeats its requests; investigate the cause.";
    /// The record of the client requires a DPoP proof, and the request has none.
    DpopProofMissing = "dpop_proof_missing", request("a DPoP proof is required").error(ErrorCode::InvalidDpopProof),
        "Enable DPoP in the client, or remove {Client::dpop_bound_access_tokens}.";
    /// The record of the client requires a certificate, and no outer layer found a certificate.
    CertificateMissing = "certificate_missing", request("a client certificate is required"),
        "Configure the client to use its certificate, and the server to ask for it and to put `PeerCertificates` into the \
        request. If the client has no certificate, remove {Client::tls_client_certificate_bound_access_tokens}.";
    /// A client tried to revoke a token of another client (RFC 7009 section 2.1).
    TokenNotHeld = "token_not_held",
        request("the token was not issued to this client").error(ErrorCode::UnauthorizedClient),
        "Only the client that received a token can revoke the token. An operator can revoke the token in the store of \
        `TokenExchangeBuilder::revocations`.";
    /// The client already has its share of the revocation store, so the store did not take the revocation.
    RevocationShareUsed = "revocation_share_used", limited("too many revocations; try again later"),
        "Find out why the client revokes so many tokens. If that is regular, give the store of \
        `TokenExchangeBuilder::revocations` a larger capacity. Other clients can still revoke tokens.";

    /// No issuer's record accepts subject tokens of this `subject_token_type`.
    SubjectTokenTypeUnsupported = "subject_token_type_unsupported", request("the token type is not supported"),
        "If such tokens are to be accepted, add the type to the issuer's record with {Issuer::accept}. Otherwise fix \
        the client: declare the right type.";
    /// No issuer's record accepts actor tokens of this `actor_token_type`. An ID token is never an actor token.
    ActorTokenTypeUnsupported = "actor_token_type_unsupported", request("the token type is not supported"),
        "If such tokens are to be accepted as actor tokens, add the type to the issuer's record with \
        {Issuer::accept_types}.";
    /// The client cannot get a token of this `requested_token_type`.
    RequestedTokenTypeUnsupported = "requested_token_type_unsupported",
        request("the requested token type is not supported"),
        "Fix the client: request `access_token` or omit the parameter. Some libraries request `refresh_token` by \
        default. To permit `jwt`, set {Client::allow_jwt_output}.";
    /// A `resource` or an `audience` does not follow the grammar.
    TargetMalformed = "target_malformed", TARGET,
        "Fix the client: send one absolute URI without a fragment as `resource`, or one name as `audience`. To name \
        several targets, repeat the parameter.";
    /// No target has this name.
    TargetUnknown = "target_unknown", TARGET,
        "If the target exists, add the name to its record: {Target::resource} for a `resource`, {Target::name} for an \
        `audience`. Names are compared character by character.";
    /// The client may not get tokens for this target.
    TargetNotAllowed = "target_not_allowed", TARGET,
        "If the client may call the target, add the client to {Target::allow_clients}. If the client's record has \
        {Client::targets}, add the target there too.";
    /// The request names no target, and the client has no default target.
    TargetMissing = "target_missing", TARGET,
        "Fix the client: name the target with `audience` or `resource`. Or set {Client::default_target}.";
    /// The request names more targets than the limit.
    TooManyTargets = "too_many_targets", TARGET,
        "Fix the client: make one exchange for each target, which is safer. To permit one token for several targets, \
        raise `TokenExchangeBuilder::max_targets`.";
    /// The `scope` does not follow the grammar.
    ScopeMalformed = "scope_malformed", SCOPE,
        "Fix the client: separate scope tokens by single spaces, and use printable ASCII characters without quotes \
        and backslashes (RFC 6749 section 3.3).";
    /// With strict scopes: the client requested more than can be granted.
    ScopeExceeded = "scope_exceeded", SCOPE,
        "The detail names the scope tokens that cannot be granted. Fix the client: request less. Or permit the scope \
        in {Target::scopes}, {Client::scopes} and the rule. Or remove `TokenExchangeBuilder::strict_scope`, so that \
        the scope is narrowed instead.";
    /// No part of the requested scope can be granted.
    ScopeEmpty = "scope_empty", SCOPE,
        "Compare the scope of the subject token with {Target::translate}, {Target::scopes}, {Client::scopes} and \
        {Rule::scopes}. If the scope of the token is in another claim, set {TokenRules::scope_claim}. For subject \
        tokens without a scope, set {Client::scopes_for_scopeless_subjects} for their type. If a library \
        adds scope tokens by itself, list these in {Client::ignored_scopes}.";

    /// The token is not a signed JWT with a JSON object as its header, and no issuer can be asked about the token.
    TokenMalformed = "token_malformed", TOKEN,
        "If the issuer's tokens are opaque, add an {Issuer::introspection} to its record. Otherwise fix the client: \
        send the whole token.";
    /// The header of the token has no `alg`, is larger than 8 KiB, or has a member of the wrong type or length.
    TokenHeaderMalformed = "token_header_malformed", TOKEN,
        "The detail names the member. The issuer writes a header that the JOSE specifications do not permit, or \
        somebody changed the token.";
    /// The header of the token has `crit` or `b64`, which name extensions that the layer does not support.
    TokenHeaderCritical = "token_header_critical", TOKEN,
        "Configure the issuer to omit critical extensions (RFC 7515 section 4.1.11).";
    /// The token is encrypted (`enc` or `zip` in the header).
    TokenEncrypted = "token_encrypted", TOKEN,
        "Configure the issuer to sign its tokens without encryption, at least the tokens for this server.";
    /// The token contains another token (`cty` in the header).
    TokenNested = "token_nested", TOKEN,
        "Fix the client: send the inner token, if the inner token is signed. Nested tokens are not supported.";
    /// The claims of the token are not a JSON object, have a repeated member, or are nested deeper than 16 levels.
    TokenClaimsMalformed = "token_claims_malformed", TOKEN,
        "Decode the payload of the token. Either the issuer writes malformed JSON, or somebody changed the token.";
    /// The algorithm of the token is not in the list of the issuer's record.
    TokenAlgorithmRefused = "token_algorithm_refused", TOKEN,
        "The detail names the algorithm. If the issuer signs with this algorithm, add the algorithm to \
        {Issuer::algorithms}. The algorithm `none` and shared secrets such as HS256 are never accepted. If only the \
        issuer can verify its JWTs, have them introspected: {Introspection::introspect}.";
    /// The token has no `iss`.
    TokenIssuerMissing = "token_issuer_missing", TOKEN,
        "Configure the issuer to write `iss`. If the issuer cannot write `iss`, and no other issuer has its keys, set \
        {TokenRules::allow_absent_iss}. If only the issuer can verify its JWTs, have them introspected: \
        {Introspection::introspect}. A JWT-SVID needs no `iss` if a record made with {Issuer::spiffe} has its trust \
        domain.";
    /// No record has the issuer of the token.
    TokenIssuerUnknown = "token_issuer_unknown", TOKEN,
        "If you trust the issuer, add its record with `TokenExchangeBuilder::issuers`. The id of the record must \
        equal the `iss` of the tokens, including a trailing slash.";
    /// The issuer has no key that fits the token.
    TokenKeyUnknown = "token_key_unknown", TOKEN,
        "The detail has the `kid` and the `alg` of the token. Compare both with the issuer's key set: {Issuer::keys}, \
        {Issuer::jwks_uri} or {Issuer::discovery}. The layer fetches the key set again for an unknown `kid`, at most \
        once in 60 s.";
    /// The signature of the token is wrong.
    TokenSignatureInvalid = "token_signature_invalid", TOKEN,
        "Check that the key set belongs to this issuer and to this environment. Otherwise the token was changed, or \
        was signed with another key of the same `kid`.";
    /// The `sub` of the token is missing, is not permitted for this issuer, is longer than 1024 bytes, or is not readable text.
    TokenSubjectInvalid = "token_subject_invalid", TOKEN,
        "Configure the issuer to write a readable `sub`. If the issuer names the subject in another claim, set \
        {TokenRules::subject_claim}. Some issuers omit `sub` if no user is involved.";
    /// The subject of a token of our own issuer has a name that a subject of a foreign issuer has here, and the layer did not
    /// issue the token for that foreign subject.
    TokenOriginMissing = "token_origin_missing", TOKEN,
        "The detail names the foreign issuer. Give that issuer another prefix ({Issuer::map_subjects}), or let no user \
        of this server have a name with the prefix. A token of a foreign subject states its origin in `exchanged_from`. \
        Only the layer writes this claim.";
    /// The claim `exchanged_from` of an issued token does not fit the `sub` of the token.
    TokenOriginInvalid = "token_origin_invalid", TOKEN,
        "If {Issuer::map_subjects} changed or the record of the issuer was removed, the client needs a new token. \
        Otherwise a server that signs with the key of this server wrote the claim: only the layer may write \
        `exchanged_from`.";
    /// The token has no `exp`.
    TokenExpiryMissing = "token_expiry_missing", TOKEN,
        "Configure the issuer to write `exp` into its tokens or its introspection answers. The layer does not accept \
        tokens without an expiry time.";
    /// A claim has the wrong type or is out of range.
    TokenClaimsInvalid = "token_claims_invalid", TOKEN,
        "The detail names the claim. Configure the issuer to write the claim as the specification says. If the scope \
        is in another claim, set {TokenRules::scope_claim}.";
    /// The token has expired.
    TokenExpired = "token_expired", TOKEN,
        "Fix the client: exchange the token before its `exp`, or get a new token first. If the token is fresh, \
        compare the clocks. There is no leeway for `exp`.";
    /// The `nbf` of the token is in the future.
    TokenNotYetValid = "token_not_yet_valid", TOKEN,
        "Compare the clock of the issuer with the clock of this server. {Issuer::leeway} or \
        `TokenExchangeBuilder::leeway` permits a difference of at most 60 s.";
    /// The `iat` of the token is in the future.
    TokenIssuedInFuture = "token_issued_in_future", TOKEN,
        "The clock of the issuer is ahead of the clock of this server. Correct the clocks, or set {Issuer::leeway}.";
    /// The token is older than the issuer's record permits, or has no `iat` although the record needs one.
    TokenTooOld = "token_too_old", TOKEN,
        "Fix the client: get a newer token. Or raise or remove {Issuer::max_age}.";
    /// The issuer's record does not accept tokens of the declared type.
    TokenTypeNotAccepted = "token_type_not_accepted", TOKEN,
        "If tokens of this type are to be accepted from this issuer, add the type with {Issuer::accept_types}. For an \
        access token of a foreign issuer, the client must declare the type `jwt` (RFC 8693 section 3).";
    /// The issuer's record does not accept the `typ` in the header of the token.
    TokenTypRefused = "token_typ_refused", TOKEN,
        "The detail has the `typ`. Compare the `typ` with {TokenRules::typ} in the issuer's record.";
    /// The token lacks a claim or a value that the issuer's record requires.
    TokenClaimRequired = "token_claim_required", TOKEN,
        "The detail names the claim. Configure the issuer to add the claim, or change {TokenRules::require} and \
        {TokenRules::require_value}. Presets require claims too.";
    /// The token has a claim that the issuer's record forbids.
    TokenClaimForbidden = "token_claim_forbidden", TOKEN,
        "The detail names the claim. Either the client sent a token of another kind, or {TokenRules::forbid} is too \
        strict.";
    /// The token has no tenant, or a tenant that the issuer's record does not list.
    TokenTenantRefused = "token_tenant_refused", TOKEN,
        "If the tenant is a customer, add the tenant to {Issuer::accept_tenants}.";
    /// The introspection endpoint of the issuer answered that the token is not active (RFC 7662 section 2.2).
    TokenInactive = "token_inactive", TOKEN,
        "The token has expired, was revoked, or is of another issuer. Fix the client: get a new token. If all tokens \
        are inactive, check which tokens the credentials of {Introspection::basic} may introspect.";
    /// The token verifier answered that the token is not genuine.
    TokenVerifierRejected = "token_verifier_rejected", TOKEN,
        "The detail has the answer of the `TokenExchangeBuilder::token_verifier`. Look for the rule in the token \
        verifier.";
    /// The token is of another kind than the client declared.
    TokenTypeConfused = "token_type_confused", TOKEN,
        "The detail has the difference. Fix the client: send an access token, or declare the real type. For access \
        tokens without the `typ` of RFC 9068, set {TokenRules::allow_untyped}. For introspection answers without the \
        usual `token_type`, set {Introspection::allow_missing_token_type} or {Introspection::token_types}.";
    /// The `aud` of a foreign issuer's token does not name this server.
    TokenNotForUs = "token_not_for_us", TOKEN,
        "Fix the client: get a token for this server. If the `aud` in the detail is a name of this server, add the \
        name to {Issuer::accepted_audiences} or {TokenRules::audiences}. For ID tokens, map the name with \
        {Issuer::map_client}.";
    /// The token is bound (`cnf`) in a way that the layer cannot check: only `jkt` and `x5t#S256` can be checked.
    TokenSenderConstrained = "token_sender_constrained", TOKEN,
        "Fix the client: get a token that is bound with DPoP or to a client certificate, or a bearer token.";
    /// The token is bound to a key or a certificate, and the request does not prove the key or the certificate.
    BindingNotProven = "binding_not_proven", DENIED,
        "Fix the client: send a DPoP proof of the key, or use the certificate, that the token is bound to. If another service \
        may bind the token to a key of its own, set {Rule::rebind}. If no client of yours sent the request, the token was stolen.";
    /// The token is bound and was issued to another client.
    BindingOfOtherClient = "binding_of_other_client", DENIED,
        "If the client may exchange bound tokens of other clients, set {Rule::rebind}. If the issuer has another name for the \
        client, map the name with {Issuer::map_client}.";
    /// A bearer token would be issued, and the layer or a record requires a bound token.
    SenderConstraintRequired = "sender_constraint_required", request("a proof of possession is required"),
        "The detail names who requires a bound token: `TokenExchangeBuilder::require_sender_constraint`, \
        {Client::require_sender_constraint}, {Client::fapi} or {Target::require_sender_constraint}. Enable DPoP in the client.";
    /// A bound token would be issued, and the target accepts only bearer tokens.
    SenderConstraintRefused = "sender_constraint_refused", TARGET,
        "If the target can check bound tokens, remove {Target::bearer_only}. Otherwise disable DPoP in the client for this \
        target, or set {Rule::release} for bound subject tokens.";
    /// The token has `authorization_details`, which the layer cannot narrow.
    AuthorizationDetailsUnsupported = "authorization_details_unsupported", TOKEN,
        "Fix the client: get a token that has only scopes.";

    /// The subject token may be exchanged once, but has nothing that tells the token from others: no `jti`, and another form
    /// than a JWT or an opaque token.
    OneTimeTokenUnidentified = "one_time_token_unidentified", TOKEN,
        "Configure the issuer to write `jti`, or let the token verifier return the name of the token as `jti`. Otherwise \
        remove {Issuer::one_time_subject_tokens} or {Client::one_time_subject_tokens}.";
    /// The subject token may be exchanged once, but is valid for more than 24 hours more.
    OneTimeTokenTooLong = "one_time_token_too_long", TOKEN,
        "Configure the issuer to write tokens with a shorter lifetime, or remove {Issuer::one_time_subject_tokens} or \
        {Client::one_time_subject_tokens}. The replay store has to remember the use until the token expires.";

    /// There were more exchanges for the subject than its budget allows.
    SubjectRateLimited = "subject_rate_limited", limited("too many requests; try again later"),
        "A client repeats exchanges for one user instead of keeping the tokens, or somebody uses a stolen token. If so many \
        exchanges for one subject are regular, raise `Limits::exchanges_per_subject`.";
    /// The subject token has no `aud`.
    PresenterUnknown = "presenter_unknown", DENIED,
        "Configure the issuer to write `aud`. Without `aud`, the layer cannot know which clients may have the token. If \
        all such tokens are for one service, set {TokenRules::absent_aud} or {TokenRules::empty_aud}. Otherwise set \
        {TokenRules::allow_absent_aud} or {TokenRules::allow_empty_aud}, and name the clients in \
        {TokenRules::presenters}.";
    /// The client does not serve the tenant of the subject token.
    TenantMismatch = "tenant_mismatch", DENIED,
        "If the client serves the tenant, add the tenant to {Client::allow_tenants}. Otherwise a token of one tenant \
        reached a client of another tenant; investigate the cause.";
    /// The client has no relation to the subject token.
    PresenterUnrelated = "presenter_unrelated", DENIED,
        "The detail names the party that the token belongs to. If the client is the service that the token is for, \
        set {Target::served_by}. If the token was issued to the client, set {Client::allow_self_exchange}. For a \
        foreign issuer, use {Issuer::map_client}. If the tokens have no `aud`, set {TokenRules::absent_aud}; if the \
        `aud` does not name the service, list the clients in {TokenRules::presenters}. Otherwise the token was stolen or passed on.";
    /// The subject token has several audiences, which the client's record does not permit.
    SeveralAudiences = "several_audiences", DENIED,
        "Configure the issuer to write tokens for one audience: with several audiences, each of them can use the \
        token at the others. If all but one of them name no service, list these in {TokenRules::ignored_audiences}. \
        To accept tokens for several services, set {Client::allow_several_audiences}.";
    /// The foreign subject cannot be mapped to a subject of this authorization server.
    SubjectNotMapped = "subject_not_mapped", TOKEN,
        "The detail has the cause. Configure the issuer to write the claim of {Issuer::map_subjects}, or choose \
        another `SubjectMapping`. A subject can never have the name of a client.";
    /// The claim that names the subject has a value that the issuer has not verified.
    SubjectClaimUnverified = "subject_claim_unverified", TOKEN,
        "Configure the issuer to write the claim in the detail, with the value `true` for verified values only. If the \
        issuer verifies every value, but does not say so, set {TokenRules::always_verified}. Otherwise anybody could \
        enter the address of another person.";
    /// The issuer's record does not permit actor tokens of this issuer.
    ActorIssuerNotTrusted = "actor_issuer_not_trusted", TOKEN,
        "If the tokens of this issuer may identify actors, set {Issuer::allow_actor_tokens}.";
    /// The actor is neither the client nor a party that the client may present.
    ActorNotCarried = "actor_not_carried", DENIED,
        "The detail names the actor. If the client runs the actor, as a platform runs agents, add the actor with \
        {Client::allow_actor}. If the actor is the client under another name, map the name with {Issuer::map_client}.";
    /// The actor token itself names an actor (`act`).
    ActorDelegated = "actor_delegated", TOKEN,
        "Fix the client: send an actor token of the actor itself, without `act`, for example from the client \
        credentials grant.";
    /// The actor and the subject are the same party.
    ActorIsSubject = "actor_is_subject", DENIED,
        "The client exchanges a token of its own, or sends tokens of one party as both tokens. To permit the exchange \
        of own tokens, add a rule with {Rule::impersonation}.";
    /// The actor is already in the `act` chain of the subject token.
    ActorRepeated = "actor_repeated", DENIED,
        "The calls form a circle. To permit the circle, set {Client::allow_repeated_actors}.";
    /// The `act` of the subject token is not a chain of objects that name parties.
    ChainMalformed = "chain_malformed", TOKEN,
        "The detail names the wrong member. Configure the issuer to write `act` as RFC 8693 section 4.1 says: only \
        names of parties, and `sub` in each object.";
    /// The issuer's record does not permit `act` in the tokens of this issuer.
    ChainNotTrusted = "chain_not_trusted", TOKEN,
        "If this issuer may say which actors took part, set {Issuer::trust_act}. The issuer can then name any party \
        as an actor.";
    /// The `act` chain of the new token, or of an access token, is longer or larger than the limit.
    ChainTooDeep = "chain_too_deep", DENIED,
        "Let fewer services exchange the token one after the other, or raise `TokenExchangeBuilder::max_chain_depth` \
        or {Rule::max_depth}. The limit of 4096 bytes is fixed. A resource server has the limit \
        `ResourceServerBuilder::max_chain_depth`.";
    /// The `may_act` of the subject token is not an object that names a party.
    MayActMalformed = "may_act_malformed", TOKEN,
        "Configure the issuer to write `may_act` as an object with `sub` or `client_id` as text (RFC 8693 section \
        4.4).";
    /// The `may_act` of the subject token names another party than the actor.
    MayActMismatch = "may_act_mismatch", DENIED,
        "Use the actor that `may_act` names, or configure the issuer to name this actor. If a foreign issuer has \
        another name for a client of yours, map the name with {Issuer::map_client}.";
    /// The policy granted impersonation, but the subject token or the request names an actor.
    ImpersonationImpossible = "impersonation_impossible", DENIED,
        "An issued token cannot hide an actor that is known. Permit delegation with {Rule::delegation}, or let the \
        policy answer with `Semantics::Delegation`.";

    /// The claim `ancestry` of an issued token is malformed.
    TokenAncestryInvalid = "token_ancestry_invalid", TOKEN,
        "The layer never issues such a token. Find out who signs tokens with a key of the signer. If a newer version of \
        this software issued the token, update this server.";
    /// The issued token would have more ancestors than the limit.
    TooManyAncestors = "too_many_ancestors", TOKEN,
        "Exchange a token with fewer exchanges behind it. If so many exchanges are regular, raise \
        `TokenExchangeBuilder::max_ancestors`.";
    /// The token was revoked (RFC 7009).
    TokenRevoked = "token_revoked", TOKEN,
        "Fix the client: get a new token. The detail has the `jti` of the token. The audit event of the \
        revocation has the same `jti` and names the client.";
    /// A token that led to the token was revoked.
    AncestorRevoked = "ancestor_revoked", TOKEN,
        "Fix the client: start again with a new token. The detail says which ancestor of the token was revoked: the first \
        ancestor of a token is the token that it was exchanged for.";
    /// A cut-off reaches the token, or a token that led to the token.
    TokenCutOff = "token_cut_off", TOKEN,
        "Fix the client: start again with a new token of a new login. The detail has the kind of the cut-off and the moment. A \
        token of a client without a record is refused in the same way.";
    /// The revocation store did not answer.
    RevocationsUnavailable = "revocations_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::revocations` store. A full store needs a larger \
        capacity. The layer issues no token until the store answers.";
    /// The revocation store panicked.
    RevocationsPanicked = "revocations_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::revocations` has a defect. The message of the panic is on standard \
        error.";
    /// The status check answered that a party or a token is not valid any more.
    StatusRefused = "status_refused", TOKEN,
        "The detail has the answer of the `TokenExchangeBuilder::status` check: for example, an account was disabled, \
        a session ended, or a token was revoked.";
    /// The status check did not answer.
    StatusUnavailable = "status_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::status` check. The layer issues no token until the \
        check answers.";
    /// The status check panicked.
    StatusPanicked = "status_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::status` has a defect. The message of the panic is on standard error.";
    /// No rule of the policy allows the exchange.
    PolicyNoRule = "policy_no_rule", DENIED,
        "If the exchange should be allowed, add a {Rule::allow} for the client, actor, subject and target in the \
        detail. `TokenExchangeLayer::explain` suggests the rule.";
    /// The policy denied the exchange.
    PolicyDenied = "policy_denied", DENIED,
        "The detail has the id of the matching {Rule::deny}, or the answer of your policy.";
    /// The policy denied one of the targets.
    PolicyTargetDenied = "policy_target_denied", TARGET,
        "The detail has the answer of your policy, which was made with `Denial::target`.";
    /// The policy, or a rule of a resource server, requires a new or stronger login of the subject.
    StepUpRequired = "step_up_required", STEP_UP,
        "Fix the client: send the user through a login with the `acr_values` and the `max_age` of the answer. \
        {Rule::require_acr} and {Rule::max_auth_age} set the requirement, or the same methods of `AccessRule`.";
    /// The policy granted more than the ceiling, which is a defect of the policy.
    PolicyWidened = "policy_widened", BROKEN,
        "Correct the `TokenExchangeBuilder::policy`: a grant must not exceed `Query::max_scope` and \
        `Query::max_lifetime`. The detail has the grant.";
    /// The policy did not answer.
    PolicyUnavailable = "policy_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::policy`: for example, a policy server is down, or a \
        timeout or a limit was reached.";
    /// The policy panicked.
    PolicyPanicked = "policy_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::policy` has a defect. The message of the panic is on standard error.";
    /// The client authenticator did not answer.
    AuthenticatorUnavailable = "authenticator_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::client_authenticator`. For an unknown client, the \
        authenticator must answer `Authentication::Rejected` instead of an error.";
    /// No client can be authenticated until the configuration changes.
    AuthenticatorMisconfigured = "authenticator_misconfigured", BROKEN,
        "The detail says what is wrong. Change the `TokenExchangeBuilder::client_authenticator`, or write the secrets \
        of the clients into their records with {Client::secret_sha256}.";
    /// The client authenticator panicked.
    AuthenticatorPanicked = "authenticator_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::client_authenticator` has a defect. The message of the panic is on \
        standard error.";
    /// The keys of the issuer are not available.
    IssuerKeysUnavailable = "issuer_keys_unavailable", UNAVAILABLE,
        "The detail and `TokenExchangeLayer::readiness` have the cause. Check that this server can reach the issuer's \
        {Issuer::jwks_uri}. `HttpFetch::builder` has options for private addresses and for a private CA.";
    /// The introspection endpoint of the issuer did not answer.
    IntrospectionUnavailable = "introspection_unavailable", UNAVAILABLE,
        "The detail has the status or the problem. For a status of 400, 401 or 403, check the \
        credentials in {Issuer::introspection}. Otherwise check that this server can reach the endpoint.";
    /// The token verifier did not answer.
    TokenVerifierUnavailable = "token_verifier_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::token_verifier`. For a token that is not genuine, the \
        verifier must answer `Verification::Rejected` instead of an error.";
    /// The token verifier panicked.
    TokenVerifierPanicked = "token_verifier_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::token_verifier` has a defect. The message of the panic is on standard \
        error.";
    /// The signer did not answer.
    SignerUnavailable = "signer_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::signer`. Usually a key service is down or limits the \
        rate of requests.";
    /// The signer panicked.
    SignerPanicked = "signer_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::signer` has a defect. The message of the panic is on standard error.";
    /// The answer of the signer is not a signature with the key of the signer.
    SignatureRefused = "signature_refused", BROKEN,
        "The signing service uses another key, algorithm or format than the `TokenExchangeBuilder::signer` declares. \
        Many key services return ECDSA signatures in DER: convert these to the two numbers side by side.";
    /// The subject token may be exchanged once, and was exchanged before.
    SubjectTokenUsedAgain = "subject_token_used_again", TOKEN,
        "Fix the client: get a new subject token for each exchange. If the client does so, the token was stolen; the audit \
        events with the `jti` of this event show who exchanged the token. The setting is \
        {Issuer::one_time_subject_tokens} or {Client::one_time_subject_tokens}.";
    /// The client already has its share of the replay store, so the store cannot remember another use.
    ReplayShareUsed = "replay_share_used", limited("too many requests; try again later"),
        "Find out why the client makes so many requests. If that is regular, give the `TokenExchangeBuilder::replay_store` a \
        larger capacity, or let the client use shorter lifetimes. Other clients are still served.";
    /// The replay store has no room for another use.
    ReplayStoreFull = "replay_store_full", UNAVAILABLE,
        "Give the `TokenExchangeBuilder::replay_store` a larger capacity, or use shorter lifetimes. A full store forgets \
        nothing that has not expired, so the layer refuses everything that may be used once.";
    /// The replay store did not answer.
    ReplayStoreUnavailable = "replay_store_unavailable", UNAVAILABLE,
        "The detail has the error of the `TokenExchangeBuilder::replay_store`: for example, Redis is down, or the disk of the \
        file is full. The layer accepts nothing that may be used once until the store answers.";
    /// The replay store panicked.
    ReplayStorePanicked = "replay_store_panicked", BROKEN,
        "The service of `TokenExchangeBuilder::replay_store` has a defect. The message of the panic is on standard error.";
    /// A request to a resource server has no access token.
    AccessTokenMissing = "access_token_missing", access("an access token is required"),
        "Fix the client: send the access token in the header `Authorization`, with the scheme `Bearer` or `DPoP`. If the \
        resource is also for clients without a token, set `ResourceServerBuilder::allow_anonymous`.";
    /// A request to a resource server has more than one `Authorization` header.
    SeveralAccessTokens = "several_access_tokens", access("more than one access token").error(ErrorCode::InvalidRequest),
        "Fix the client: send one `Authorization` header. A proxy that adds an `Authorization` header can also be the cause.";
    /// A request to a resource server has an access token in the query.
    AccessTokenInQuery = "access_token_in_query",
        access("the access token belongs in the Authorization header").error(ErrorCode::InvalidRequest),
        "Fix the client: send the token in the header `Authorization`. Query strings end up in logs, so revoke the tokens \
        that the client sent.";
    /// The `Authorization` header of a request to a resource server has the scheme `Bearer` or `DPoP`, and no token.
    AccessTokenMalformed = "access_token_malformed",
        access("the Authorization header is malformed").error(ErrorCode::InvalidRequest),
        "Fix the client: after the scheme, send one space and the token, with the characters of RFC 6750 section 2.1.";
    /// A client sent a token that is bound to a key with the scheme `Bearer` (RFC 9449 section 7.2).
    BoundTokenAsBearer = "bound_token_as_bearer", ACCESS,
        "Fix the client: send the token with the scheme `DPoP` and with a DPoP proof. If no client of yours sent the request, \
        the token was stolen.";
    /// A client sent a token that is bound to no key with the scheme `DPoP` (RFC 9449 section 7.1).
    UnboundTokenAsDpop = "unbound_token_as_dpop", ACCESS,
        "Fix the client: send the token with the scheme that the `token_type` of the token response names.";
    /// The resource server accepts only tokens that are bound to a key or a certificate, and the token is a bearer token.
    AccessBindingRequired = "access_binding_required", ACCESS,
        "Enable DPoP or client certificates in the client, so that its tokens are bound. The setting is \
        `ResourceServerBuilder::require_sender_constraint` or `AccessRule::require_sender_constraint`.";
    /// No rule of the resource server allows the subject of the access token.
    AccessSubjectRefused = "access_subject_refused", FORBIDDEN,
        "If the subject may use the resource, name the subject in `AccessRule::subjects`. `AccessRule::for_users` refuses \
        clients that act for themselves.";
    /// No rule of the resource server allows the client of the access token.
    AccessClientRefused = "access_client_refused", FORBIDDEN,
        "If the client may use the resource, name the client in `AccessRule::clients`.";
    /// No rule of the resource server allows the current actor of the access token, or a token without an actor.
    AccessActorRefused = "access_actor_refused", FORBIDDEN,
        "The event names the actor. If the actor may act for the subject, add a rule with `AccessRule::with_actor`. For tokens \
        without an actor, add a rule with `AccessRule::without_actor`.";
    /// A rule of the resource server does not allow the earlier actors, or so many actors.
    AccessChainRefused = "access_chain_refused", FORBIDDEN,
        "The event has the actors. `AccessRule::earlier_actors` and `AccessRule::max_actors` set the requirement.";
    /// The access token lacks a scope that a rule of the resource server requires.
    AccessScopeInsufficient = "access_scope_insufficient",
        access("the access token lacks a scope").error(ErrorCode::InsufficientScope),
        "Fix the client: request the scope that the challenge names. `AccessRule::scopes` sets the requirement.";
    /// A handler asked for the access token of a request that no resource server layer has seen.
    AccessLayerMissing = "access_layer_missing", BROKEN,
        "The route has no `ResourceServerLayer`: add the layer around the route.";
    /// The audit sink did not take the event of an issued token, so the layer withheld the token.
    AuditUnavailable = "audit_unavailable", UNAVAILABLE,
        "The `TokenExchangeBuilder::audit` sink failed or took longer than 5 s. The log has the event, with target \
        `token_exchange::audit`.";
    /// The exchange took longer than the deadline.
    DeadlineExceeded = "deadline_exceeded", UNAVAILABLE,
        "The `stage` of the audit event names the slow stage. Make the service of that stage faster, or raise \
        `TokenExchangeBuilder::deadline`.";
    /// The layer has a defect.
    Internal = "internal", BROKEN,
        "Report the defect to the maintainers, with the audit event and the message of the panic from standard error.";
    /// The client closed the connection before the answer.
    ClientGone = "client_gone", UNAVAILABLE,
        "The client, or a timeout outside of the layer, ended the request. Compare that timeout with the \
        `duration_us` of the audit events.";
}
