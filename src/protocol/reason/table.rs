//! Every reason for a refusal, in the order in which an exchange can meet them.

use super::super::reason_class::{
    BROKEN, CLIENT, ClientAnswer, DENIED, GRANT, SCOPE, STEP_UP, TARGET, TOKEN, UNAVAILABLE, request,
};
use crate::protocol::ErrorCode;
use http::StatusCode;

reasons! {
    /// The exchange grant stood in the query string (RFC 6749 section 3.2 wants it in the body).
    GrantInQuery = "grant_in_query", request("token parameters belong in the body of a POST request"),
        "The client's mistake: it must send the parameters as a form in the body. Tokens in a URL end up in logs, so \
        treat those that were sent as lost.";
    /// Guard mode: the exchange grant stood in a form that did not come with `POST`.
    GrantInOtherMethod = "grant_in_other_method", request("token parameters belong in the body of a POST request"),
        "The client's mistake, or somebody who looks for a way past the layer: token requests are sent with `POST`.";
    /// Guard mode: the exchange grant came to another spelling of the endpoint's path.
    GrantAtOtherPath = "grant_at_other_path", request("token requests belong at the token endpoint"),
        "If this path is a token endpoint too, name it with `TokenExchangeBuilder::endpoint`; otherwise the client \
        must use the exact path.";
    /// Guard mode: the exchange grant stood in a JSON body.
    GrantInJson = "grant_in_json", request("token parameters belong in a form"),
        "The client's mistake: it must send a form (`application/x-www-form-urlencoded`) instead of JSON.";
    /// Guard mode: a body that cannot be read as a form or as JSON.
    BodyUnreadable = "body_unreadable",
        request("the body must be a form").status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        "The client must send a plain form, with one `Content-Type` and uncompressed. If the wrapped service needs \
        other bodies at this path and does not know this grant, leave out `TokenExchangeBuilder::guard`.";
    /// The body is larger than the limit.
    BodyTooLarge = "body_too_large", request("the request is too large").status(StatusCode::PAYLOAD_TOO_LARGE),
        "If honest requests are that large, raise `TokenExchangeBuilder::body_limit`.";
    /// The body came in more pieces than the limit.
    TooManyFrames = "too_many_frames", request("the request is too large").status(StatusCode::PAYLOAD_TOO_LARGE),
        "The client, or a proxy before you, sends the body in more than 4096 pieces: let it send larger ones. The \
        limit is fixed.";
    /// The body did not come within the deadline.
    BodyTooSlow = "body_too_slow", request("the request came too slowly").status(StatusCode::REQUEST_TIMEOUT),
        "The connection is slow, or the client stopped sending. If honest clients are that slow, raise \
        `TokenExchangeBuilder::body_deadline`.";
    /// A broken escape, not UTF-8, or a control character.
    MalformedForm = "malformed_form", request("the request is malformed"),
        "The client's mistake: it must encode the form with a library, as UTF-8.";
    /// More than 64 parameters.
    TooManyParameters = "too_many_parameters", request("too many parameters"),
        "The client's mistake: no exchange needs so many. The limit is fixed.";
    /// A parameter other than `resource` and `audience` came twice.
    RepeatedParameter = "repeated_parameter", request("a parameter is repeated"),
        "The client's mistake: it must send each parameter once (RFC 6749 section 3.2). Some client libraries add a \
        second `grant_type` to their own.";
    /// No `grant_type` under its exact name.
    GrantTypeMissing = "grant_type_missing", request("grant_type is missing"),
        "The client's mistake: the parameter is spelt `grant_type`, in lower case and without spaces.";
    /// The `grant_type` only resembles token exchange.
    UnsupportedGrantType = "unsupported_grant_type",
        request("the grant type is not supported").error(ErrorCode::UnsupportedGrantType),
        "The client's mistake: the grant type is exactly `urn:ietf:params:oauth:grant-type:token-exchange`.";
    /// No `subject_token`.
    SubjectTokenMissing = "subject_token_missing", request("subject_token and subject_token_type are required"),
        "The client's mistake: it must send the token that it was called with as `subject_token`. An empty value \
        counts as none.";
    /// No `subject_token_type`.
    SubjectTokenTypeMissing = "subject_token_type_missing",
        request("subject_token and subject_token_type are required"),
        "The client's mistake: it must say what the subject token is, mostly with \
        `subject_token_type=urn:ietf:params:oauth:token-type:access_token`.";
    /// One of `actor_token` and `actor_token_type` without the other.
    ActorParametersUnpaired = "actor_parameters_unpaired",
        request("actor_token and actor_token_type come only together"),
        "The client's mistake: it must send both, or neither where it acts itself.";
    /// A token of more than 64 KiB.
    TokenTooLarge = "token_too_large", TOKEN,
        "Have the token's issuer put less into it, such as fewer groups. The limit is fixed.";

    /// The client said nothing about who it is.
    ClientCredentialsMissing = "client_credentials_missing", CLIENT,
        "The client's mistake: it must send its id and secret with Basic authentication, or as `client_id` and \
        `client_secret` in the form. Clients without a secret cannot exchange tokens.";
    /// The `Authorization` header cannot be read.
    ClientCredentialsMalformed = "client_credentials_malformed", CLIENT,
        "The client's mistake: after `Basic` stands the base64 text of id, colon and secret (RFC 7617).";
    /// More than one way of client authentication.
    SeveralClientCredentials = "several_client_credentials", request("more than one client authentication method"),
        "The client's mistake: it must use either the `Authorization` header or `client_secret` in the form. A proxy \
        that adds a header of its own has the same effect.";
    /// The `Authorization` scheme is not Basic.
    ClientSchemeUnsupported = "client_scheme_unsupported", CLIENT,
        "The client's mistake: the header authenticates the client, with Basic; the user's token goes into \
        `subject_token`, not into a Bearer header.";
    /// A `client_assertion`, which is not supported.
    ClientAssertionUnsupported = "client_assertion_unsupported", CLIENT,
        "Configure the client for `client_secret_basic` or `client_secret_post`; `private_key_jwt` and \
        `client_secret_jwt` are not supported.";
    /// No such client, or not its secret.
    ClientRejected = "client_rejected", CLIENT,
        "Compare the client's id and secret with its record: `Client::new`, `Client::secret`, `Client::secret_sha256`; \
        or ask the `TokenExchangeBuilder::client_authenticator` that you gave. Many in a row are somebody guessing.";
    /// `client_id` in the body names another client than the one that authenticated.
    ClientIdMismatch = "client_id_mismatch", request("client_id does not match the authenticated client"),
        "The client's mistake: it must leave `client_id` out of the form, or send the id that its secret belongs to.";
    /// The client is known, but not for this grant.
    GrantNotAllowed = "grant_not_allowed", GRANT,
        "If it may exchange tokens, register it with `TokenExchangeBuilder::clients` and leave \
        `Client::without_exchange` out of its record.";
    /// A `DPoP` proof, which is not supported.
    DpopUnsupported = "dpop_unsupported", request("DPoP is not supported").error(ErrorCode::InvalidDpopProof),
        "Turn DPoP off in the client, for its requests to this endpoint.";
    /// A token to be revoked that was issued to another client (RFC 7009 section 2.1).
    TokenNotHeld = "token_not_held",
        request("the token was not issued to this client").error(ErrorCode::UnauthorizedClient),
        "Only the client that got a token can revoke it. Whoever else wants it gone asks that client, or uses the \
        `TokenExchangeBuilder::revocations` store directly.";

    /// A `subject_token_type` that this client or server does not take.
    SubjectTokenTypeUnsupported = "subject_token_type_unsupported", request("the token type is not supported"),
        "If such tokens are to be taken, name the type in the record of their issuer: `Issuer::token_types` or \
        `Issuer::tokens`; otherwise the client declares its token wrongly.";
    /// An `actor_token_type` that this server does not take.
    ActorTokenTypeUnsupported = "actor_token_type_unsupported", request("the token type is not supported"),
        "No issuer's record takes actor tokens of this type: name it in `Issuer::token_types`. ID tokens are never \
        actor tokens.";
    /// A `requested_token_type` that this client cannot have.
    RequestedTokenTypeUnsupported = "requested_token_type_unsupported",
        request("the requested token type is not supported"),
        "The client must ask for `access_token` or leave the parameter out, which some libraries set to \
        `refresh_token`. `Client::allow_jwt_output` lets it have `jwt`.";
    /// A `resource` or `audience` that cannot be a name.
    TargetMalformed = "target_malformed", TARGET,
        "The client's mistake: `resource` is one absolute URI without a fragment, `audience` one name; several are \
        sent as several parameters, not in one.";
    /// No target record has this name.
    TargetUnknown = "target_unknown", TARGET,
        "If the target exists, give its record this name: `Target::resource` for what came as `resource`, \
        `Target::audience` for what came as `audience`. Names are compared exactly.";
    /// The target's record does not list this client, or the client's record not this target.
    TargetNotAllowed = "target_not_allowed", TARGET,
        "If the client may call the target, list it in `Target::callers`, and the target in `Client::targets` where \
        the client's record has that.";
    /// No target, and the client has no default.
    TargetMissing = "target_missing", TARGET,
        "The client must name one with `audience` or `resource`; or give its record a `Client::default_target`.";
    /// More targets than the limit.
    TooManyTargets = "too_many_targets", TARGET,
        "Better one exchange for each target. If one token for several is meant, raise \
        `TokenExchangeBuilder::max_targets`.";
    /// `scope` is not a scope list.
    ScopeMalformed = "scope_malformed", SCOPE,
        "The client's mistake: scopes are separated by single spaces and hold no quotes, backslashes or non-ASCII \
        characters (RFC 6749 section 3.3).";
    /// Strict mode: more was asked than can be granted.
    ScopeExceeded = "scope_exceeded", SCOPE,
        "The detail names what is too much. The client must ask for less; or allow it in `Target::scopes`, \
        `Client::scopes` and the rule; or narrow silently, without `TokenExchangeBuilder::strict_scope`.";
    /// Nothing of what was asked can be granted.
    ScopeEmpty = "scope_empty", SCOPE,
        "Look for what leaves nothing over: the subject token's scope, `Target::translate`, `Target::scopes`, \
        `Client::scopes`, `Rule::scopes`; for tokens without a scope, `Client::scopes_for_scopeless_subjects`. Scopes \
        that a library adds by itself go into `Client::ignored_scopes`.";

    /// Not a compact JWS whose header is one JSON object, and no issuer can be asked what else it is.
    TokenMalformed = "token_malformed", TOKEN,
        "Where the token is opaque, give its issuer's record an `Issuer::introspection`; otherwise the client sends \
        something else than a token, or cut it off.";
    /// A header without `alg`, of more than 8 KiB, or with a member of the wrong type or length.
    TokenHeaderMalformed = "token_header_malformed", TOKEN,
        "The detail names the member. Its issuer writes headers that the JOSE specifications do not allow, or somebody \
        tampered with the token.";
    /// A header with `crit` or `b64`: something that must be understood and is not.
    TokenHeaderCritical = "token_header_critical", TOKEN,
        "Have the issuer leave the extension out of its tokens; none is supported here (RFC 7515 section 4.1.11).";
    /// An encrypted token (`enc`, `zip`).
    TokenEncrypted = "token_encrypted", TOKEN,
        "Have the issuer sign its tokens without encrypting them, at least those for this server.";
    /// A token that holds another (`cty`).
    TokenNested = "token_nested", TOKEN,
        "The client must hand in the inner token, if that is a signed one. Nested tokens are not supported.";
    /// The claims are not one JSON object, without duplicate members and at most 16 levels deep.
    TokenClaimsMalformed = "token_claims_malformed", TOKEN,
        "The issuer writes broken JSON, or somebody tampered with the token: read its payload, and if the issuer is \
        honest, have that mended there.";
    /// An algorithm outside the issuer's list.
    TokenAlgorithmRefused = "token_algorithm_refused", TOKEN,
        "The detail names it. If the issuer really signs with it, list it in `Issuer::algorithms`; `none` and shared \
        secrets (HS256) are never taken.";
    /// The token does not say who issued it.
    TokenIssuerMissing = "token_issuer_missing", TOKEN,
        "Have the issuer write `iss` into its tokens. JWT-SVIDs need none where `Issuer::spiffe` has their trust \
        domain.";
    /// No record for the token's issuer.
    TokenIssuerUnknown = "token_issuer_unknown", TOKEN,
        "If you trust this issuer, register it with `TokenExchangeBuilder::issuers`, by the exact `iss` of its tokens; \
        a trailing slash counts.";
    /// The issuer has no key that fits.
    TokenKeyUnknown = "token_key_unknown", TOKEN,
        "Compare the token's `kid` and `alg`, in the detail, with the issuer's key set: `Issuer::keys`, \
        `Issuer::jwks_uri` or `Issuer::discovery`. A key set is fetched anew for an unknown `kid`, once in 60 s.";
    /// The signature does not verify.
    TokenSignatureInvalid = "token_signature_invalid", TOKEN,
        "The token was changed on its way, or signed with another key under the same `kid`: look whether the key set \
        is that of this issuer and of this environment.";
    /// No `sub`, one that its issuer cannot have, or one that is no name: empty, not text, over 1024 bytes, or with characters that cannot be read.
    TokenSubjectInvalid = "token_subject_invalid", TOKEN,
        "Have the issuer write a readable `sub` into its tokens. Some leave it out of tokens that no user stands \
        behind.";
    /// No `exp`.
    TokenExpiryMissing = "token_expiry_missing", TOKEN,
        "Have the issuer write `exp` into its tokens, or into its introspection answers. There are no tokens without \
        end here.";
    /// A claim of the wrong type or out of its range.
    TokenClaimsInvalid = "token_claims_invalid", TOKEN,
        "The detail names the claim. Have the issuer write it as the specification says; where the scope stands in \
        another claim, name that with `TokenRules::scope_claim`.";
    /// `exp` has passed.
    TokenExpired = "token_expired", TOKEN,
        "The client must exchange the token while it lasts, or get a new one first. If it is fresh, compare the \
        clocks; no leeway is given for `exp`.";
    /// `nbf` is still to come.
    TokenNotYetValid = "token_not_yet_valid", TOKEN,
        "Compare the issuer's clock with this server's; up to 60 s can be allowed with `Issuer::leeway` or \
        `TokenExchangeBuilder::leeway`.";
    /// `iat` is in the future.
    TokenIssuedInFuture = "token_issued_in_future", TOKEN,
        "The issuer's clock is ahead of this server's: set the clocks, or allow for it with `Issuer::leeway`.";
    /// `iat` is longer ago than the issuer's record allows, or missing where it must not be.
    TokenTooOld = "token_too_old", TOKEN,
        "The client must get a fresher token; or raise `Issuer::max_age`, or leave it out.";
    /// The issuer's record does not take tokens of the declared type from it.
    TokenTypeNotAccepted = "token_type_not_accepted", TOKEN,
        "If this issuer's tokens of that type are to be taken, name it in its `Issuer::token_types`. For a foreign \
        issuer's access token, the client must declare `jwt` (RFC 8693 section 3).";
    /// The header's `typ` is none of those that the issuer's record demands.
    TokenTypRefused = "token_typ_refused", TOKEN,
        "Compare the header's `typ`, in the detail, with `TokenRules::typ` of the issuer's record.";
    /// A claim that the issuer's record demands is missing or has another value.
    TokenClaimRequired = "token_claim_required", TOKEN,
        "The detail names it. Have the issuer add it, or mend `TokenRules::require` and `TokenRules::require_value`. \
        Presets demand claims too.";
    /// A claim that the issuer's record forbids.
    TokenClaimForbidden = "token_claim_forbidden", TOKEN,
        "The detail names it. The client hands in another kind of token than the record is for, or \
        `TokenRules::forbid` goes too far.";
    /// No tenant, or one that the issuer's record does not list.
    TokenTenantRefused = "token_tenant_refused", TOKEN,
        "If the tenant is a customer, list it in `Issuer::tenants`.";
    /// The issuer says that the token is not active (RFC 7662 section 2.2).
    TokenInactive = "token_inactive", TOKEN,
        "The token was revoked, has expired or is not that issuer's: the client must get a new one. If all are \
        inactive, see which tokens the credentials in `Introspection::basic` may ask about.";
    /// The token verifier says that the token is not genuine.
    TokenVerifierRejected = "token_verifier_rejected", TOKEN,
        "The detail has the words of the `TokenExchangeBuilder::token_verifier` that you gave: the rule is there.";
    /// The token is of another kind than was declared.
    TokenTypeConfused = "token_type_confused", TOKEN,
        "The detail says what gave it away. The client must hand in an access token, or declare what it really hands \
        in; older access tokens without `at+jwt` can be allowed with `Issuer::allow_untyped_access_tokens`.";
    /// A foreign issuer's token whose `aud` does not name us.
    TokenNotForUs = "token_not_for_us", TOKEN,
        "The client must get a token for this server. If the `aud` in the detail does mean it, list that name in \
        `Issuer::our_names` or `TokenRules::audiences`; for ID tokens, map it with `Issuer::client_name`.";
    /// A sender-constrained token (`cnf`), which is not supported.
    TokenSenderConstrained = "token_sender_constrained", TOKEN,
        "The client must get a token that is not bound to a key: without DPoP and without a client certificate.";
    /// A token with `authorization_details`, which are not supported.
    AuthorizationDetailsUnsupported = "authorization_details_unsupported", TOKEN,
        "The client must get a token with scopes alone; what stands in `authorization_details` could not be narrowed \
        here.";

    /// The token names no audience.
    PresenterUnknown = "presenter_unknown", DENIED,
        "Have the issuer write `aud` into its tokens: without it, nobody can tell in whose hands a token may be.";
    /// A token of a tenant that the client does not work for.
    TenantMismatch = "tenant_mismatch", DENIED,
        "If the client serves that tenant, list it in `Client::tenants`; otherwise one tenant's token came to \
        another's client, and that is worth a look.";
    /// The client has no relation to the subject token.
    PresenterUnrelated = "presenter_unrelated", DENIED,
        "The detail says whose token it is. If the client is the service that it was issued for, set `Target::owner`; \
        if it got it for itself, `Client::allow_self_exchange`; for a foreign issuer, `Issuer::client_name` or \
        `Issuer::presenters`. Else the token was stolen or passed on.";
    /// A subject token with several audiences, which the client's record does not allow.
    SeveralAudiences = "several_audiences", DENIED,
        "Better have the issuer write tokens for one audience: each of several can use it at the others. If that is \
        accepted, `Client::allow_several_audiences`.";
    /// The foreign `sub` cannot become one of ours.
    SubjectNotMapped = "subject_not_mapped", TOKEN,
        "The detail says why. Have the issuer write the claim that `Issuer::subjects` names, or choose another \
        `SubjectMapping`; no subject can have a client's name.";
    /// The issuer's record does not let it say who acts.
    ActorIssuerNotTrusted = "actor_issuer_not_trusted", TOKEN,
        "If this issuer's tokens may say who acts, `Issuer::allow_actor_tokens`.";
    /// The actor is neither the client nor one that it carries.
    ActorNotCarried = "actor_not_carried", DENIED,
        "The detail names the actor. If the client runs it, as a platform runs agents, list it with `Client::carries`; \
        if it is the client under another name, map it with `Issuer::client_name`.";
    /// The actor token is itself a delegated one.
    ActorDelegated = "actor_delegated", TOKEN,
        "The client's mistake: the actor token must be the actor's own, without `act`, such as one from the \
        client-credentials grant.";
    /// Actor and subject are the same party.
    ActorIsSubject = "actor_is_subject", DENIED,
        "The client exchanges a token of its own, or sent one party as both: there is nobody to act for. If it needs \
        its own token exchanged, allow that with a rule that says `Rule::impersonation`.";
    /// The actor already stands deeper in the chain.
    ActorRepeated = "actor_repeated", DENIED,
        "Calls go in a circle. If that is meant, `Client::allow_repeated_actors`.";
    /// `act` is not a chain of objects that name parties.
    ChainMalformed = "chain_malformed", TOKEN,
        "The detail names what does not belong there. Have the issuer write `act` as RFC 8693 section 4.1 says: names \
        only, and `sub` in each.";
    /// `act` from an issuer whose record does not let it assert one.
    ChainNotTrusted = "chain_not_trusted", TOKEN,
        "If this issuer may say who acted before, `Issuer::trust_act`. It can then name anybody.";
    /// The chain would be deeper or larger than the limit.
    ChainTooDeep = "chain_too_deep", DENIED,
        "Let fewer services stand between, or raise `TokenExchangeBuilder::max_chain_depth`, or the rule's \
        `Rule::max_depth`. More than 4096 bytes are never written.";
    /// `may_act` is not an object that names a party.
    MayActMalformed = "may_act_malformed", TOKEN,
        "Have the issuer write `may_act` as an object with `sub` or `client_id` as text (RFC 8693 section 4.4).";
    /// `may_act` names somebody else.
    MayActMismatch = "may_act_mismatch", DENIED,
        "The subject, or its issuer, said who may act, and it is not this actor: use that one, or have `may_act` \
        changed. A foreign issuer's name for one of your clients is mapped with `Issuer::client_name`.";
    /// Impersonation of a subject whose token, or request, names an actor.
    ImpersonationImpossible = "impersonation_impossible", DENIED,
        "Who acts cannot be left out once it was said: allow the exchange with `Rule::delegation`, or have the policy \
        answer `Semantics::Delegation`.";

    /// A token of this authorization server's own that was revoked (RFC 7009).
    TokenRevoked = "token_revoked", TOKEN,
        "The detail has its name. The client must get a new token from whoever calls it; who revoked this one stands in \
        the log, under the target `token_exchange::issued_tokens`.";
    /// The revocation store could not be asked.
    RevocationsUnavailable = "revocations_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::revocations` store answers with an error: the detail has it. A store that \
        is full needs more room. Nothing is issued until it answers.";
    /// The revocation store panicked.
    RevocationsPanicked = "revocations_panicked", BROKEN,
        "A defect in the service given to `TokenExchangeBuilder::revocations`: the panic's message is on standard \
        error.";
    /// The status check says that one of the parties is not good any more.
    StatusRefused = "status_refused", TOKEN,
        "The detail has the words of the `TokenExchangeBuilder::status` check that you gave: an account was disabled, \
        a session ended, a token revoked.";
    /// The status check could not be asked.
    StatusUnavailable = "status_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::status` check answers with an error: the detail has it. Nothing is issued \
        until it answers.";
    /// The status check panicked.
    StatusPanicked = "status_panicked", BROKEN,
        "A defect in the service given to `TokenExchangeBuilder::status`: the panic's message is on standard error.";
    /// No rule of the policy allows it.
    PolicyNoRule = "policy_no_rule", DENIED,
        "If it should be allowed, add a `Rule::allow` for what the detail names: client, actor, subject and target. \
        `TokenExchangeLayer::explain` writes it out.";
    /// The policy refused.
    PolicyDenied = "policy_denied", DENIED,
        "The detail has the id of the `Rule::deny` that matched, or the words of the policy that you gave.";
    /// The policy refused one of the targets.
    PolicyTargetDenied = "policy_target_denied", TARGET,
        "The detail has the words of the policy that you gave: `Denial::target` is its answer.";
    /// The policy would allow it if the subject logged in again, or more strongly.
    StepUpRequired = "step_up_required", STEP_UP,
        "The client sends its user through a login with the `acr_values` and `max_age` that it was told, which a \
        `Rule::require_acr` or a `Rule::max_auth_age` wants.";
    /// The policy granted more than the ceiling: a defect of the policy.
    PolicyWidened = "policy_widened", BROKEN,
        "Mend the `TokenExchangeBuilder::policy`: it may grant at most `Query::ceiling` and `Query::max_lifetime`. The \
        detail has what it granted.";
    /// The policy could not be asked.
    PolicyUnavailable = "policy_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::policy` answers with an error, which the detail has: a decision point that \
        is down, a timeout, a limit.";
    /// The policy panicked.
    PolicyPanicked = "policy_panicked", BROKEN,
        "A defect in the service given to `TokenExchangeBuilder::policy`: the panic's message is on standard error.";
    /// The client authenticator could not be asked.
    AuthenticatorUnavailable = "authenticator_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::client_authenticator` answers with an error: the detail has it. A client \
        that is not known is an answer, no error.";
    /// The client authenticator panicked.
    AuthenticatorPanicked = "authenticator_panicked", BROKEN,
        "A defect in the service given to `TokenExchangeBuilder::client_authenticator`: the panic's message is on \
        standard error.";
    /// The issuer's keys could not be had.
    IssuerKeysUnavailable = "issuer_keys_unavailable", UNAVAILABLE,
        "The detail says what went wrong, and so does `TokenExchangeLayer::readiness`. See whether this server reaches \
        the issuer's `Issuer::jwks_uri`; private addresses and a private CA are options of `HttpFetch::builder`.";
    /// The issuer could not be asked what a token means.
    IntrospectionUnavailable = "introspection_unavailable", UNAVAILABLE,
        "The detail has the status or the problem. A 401 means the credentials in `Introspection::basic` or \
        `Introspection::bearer`; else see whether this server reaches the endpoint.";
    /// The token verifier could not be asked.
    TokenVerifierUnavailable = "token_verifier_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::token_verifier` answers with an error: the detail has it. A token that is \
        not genuine is an answer, no error.";
    /// The token verifier panicked.
    TokenVerifierPanicked = "token_verifier_panicked", BROKEN,
        "A defect in the service given to `TokenExchangeBuilder::token_verifier`: the panic's message is on standard \
        error.";
    /// The signer could not be asked.
    SignerUnavailable = "signer_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::signer` answers with an error: the detail has it. A key service that is \
        down or throttles is the usual cause.";
    /// The signer panicked.
    SignerPanicked = "signer_panicked", BROKEN,
        "A defect in the service given to `TokenExchangeBuilder::signer`: the panic's message is on standard error.";
    /// The signer's answer is not a signature of its key.
    SignatureRefused = "signature_refused", BROKEN,
        "The signer signs with another key, algorithm or format than `Signer::new` and `Signer::verified_by` say. Key \
        services often answer ECDSA signatures in DER: convert them to the two numbers side by side.";
    /// The audit sink did not take the event of an issued token, so the token was withheld.
    AuditUnavailable = "audit_unavailable", UNAVAILABLE,
        "See why the `TokenExchangeBuilder::audit` sink fails or takes longer than 5 s. Events that it did not take \
        are in the log, under `token_exchange::audit`.";
    /// The whole exchange took longer than its deadline.
    DeadlineExceeded = "deadline_exceeded", UNAVAILABLE,
        "The event's `stage` says where the time went: the part asked there is slow. `TokenExchangeBuilder::deadline` \
        sets the time.";
    /// A defect of this crate.
    Internal = "internal", BROKEN,
        "Report it to the maintainers, with the event and the panic's message from standard error.";
    /// The client went away before it had an answer.
    ClientGone = "client_gone", UNAVAILABLE,
        "The client hung up, or a timeout outside this layer was over first: compare it with how long exchanges take, \
        the event's `duration_us`.";
}
