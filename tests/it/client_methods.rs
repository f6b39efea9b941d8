//! Methods beside secrets and keys: an outer layer, an authenticator of the application, and no method at all.

use crate::{
    in_process::{InProcess, plan_of},
    proof::{self, Prover},
    support::*,
};
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::service_fn;
use tower_token_exchange::{
    Client, Reason,
    client_auth::{
        AuthenticatedClient, Authentication,
        AuthenticationMethod::{self, Other, PrivateKeyJwt, TlsClientAuth},
        Credentials, PeerCertificates,
    },
    proof::Dpop,
    records::hash_chosen_secret,
    signing::Algorithm,
};

#[tokio::test]
async fn an_outer_layer_names_the_client() {
    let known = |id: &str, method| AuthenticatedClient::new(id).with_method(method);
    let mut world = InProcess::new(plan());
    for (name, client, more, refused) in [
        ("no more", AuthenticatedClient::new("orders"), &[][..], None),
        ("a method", known("orders", TlsClientAuth), &[], None),
        ("the client_id", AuthenticatedClient::new("orders"), &[("client_id", "orders")], None),
        ("another client_id", known("orders", Other), &[("client_id", "billing")], Some(Reason::ClientIdMismatch)),
        ("no record", AuthenticatedClient::new("nobody"), &[], Some(Reason::GrantNotAllowed)),
        ("no method", known("orders", AuthenticationMethod::None), &[], Some(Reason::ClientCredentialsMissing)),
    ] {
        let method = client.method();
        let (status, _, event) = world.post(more, |request| _ = request.extensions_mut().insert(client)).await;
        assert_eq!(event.reason, refused, "{name}");
        if refused.is_none() {
            assert_eq!(status, StatusCode::OK, "{name}");
            assert_eq!((event.client_id, event.auth_method), (Some("orders".into()), Some(method)), "{name}");
        }
    }
}

fn with_dpop(plan: Plan) -> Plan {
    plan.with(|builder| builder.dpop(Dpop::new(proof::URL)))
}

fn as_client_with_proof(request: &mut Request<Body>, client: AuthenticatedClient, prover: &Prover) {
    request.extensions_mut().insert(client);
    request.headers_mut().insert("DPoP", prover.proof().parse().unwrap());
}

#[tokio::test]
async fn fapi_wants_a_method_with_a_key() {
    let prover = Prover::new();
    for method in AuthenticationMethod::ALL {
        let mut world = InProcess::new(with_dpop(plan_of(Client::new("orders").fapi())));
        let client = AuthenticatedClient::new("orders").with_method(*method);
        let (status, error, event) = world.post(&[], |request| as_client_with_proof(request, client, &prover)).await;
        let with_key = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "spiffe_x509"];
        let has_key = with_key.contains(&method.as_str());
        assert_eq!(status == StatusCode::OK, has_key, "{method}");
        if !has_key {
            assert_eq!(error, "invalid_client", "{method}");
            let missing = *method == AuthenticationMethod::None;
            let reason = if missing { Reason::ClientCredentialsMissing } else { Reason::ClientMethodRefused };
            assert_eq!(event.reason, Some(reason), "{method}");
        }
    }
    // The switch of the layer holds for all clients.
    let keyed = |id: &str| Client::new(id).keys(Minter::new("orders", Algorithm::ES256).keys());
    let plan = plan_with(|_| ["orders", "billing", "reports"].map(keyed).into(), |targets| targets);
    let mut world = InProcess::new(with_dpop(plan).with(|builder| builder.fapi()));
    for (method, let_in) in [(PrivateKeyJwt, true), (Other, false)] {
        let client = AuthenticatedClient::new("orders").with_method(method);
        let (status, _, _) = world.post(&[], |request| as_client_with_proof(request, client, &prover)).await;
        assert_eq!(status == StatusCode::OK, let_in, "{method}");
    }
    let error = plan_with(|clients| clients, |targets| targets).with(|builder| builder.fapi()).builder.build();
    assert_eq!(error.unwrap_err().field(), "client `orders`: secret", "no client may have a secret");
}

#[tokio::test]
async fn fapi_wants_a_bound_token() {
    let bound_by_certificate = || Client::new("orders").fapi().tls_client_certificate_bound_access_tokens();
    let fapi = || Client::new("orders").fapi();
    let (es256, es384) = (Prover::new(), Prover::with(Algorithm::ES384));
    for (name, record, prover, certificate, refused) in [
        ("nothing", fapi(), None, None, Some(Reason::SenderConstraintRequired)),
        ("a proof", fapi(), Some(&es256), None, None),
        ("a proof with another algorithm", fapi(), Some(&es384), None, Some(Reason::DpopKeyRefused)),
        ("a certificate that binds nothing", fapi(), None, Some(&[1]), Some(Reason::SenderConstraintRequired)),
        ("a certificate that binds", bound_by_certificate(), None, Some(&[1]), None),
    ] {
        let mut world = InProcess::new(with_dpop(plan_of(record)));
        let (status, _, event) = world
            .post(&[], |request| {
                request.extensions_mut().insert(AuthenticatedClient::new("orders").with_method(PrivateKeyJwt));
                if let Some(prover) = prover {
                    request.headers_mut().insert("DPoP", prover.proof().parse().unwrap());
                }
                if let Some(der) = certificate {
                    request.extensions_mut().insert(PeerCertificates::new([der.to_vec()]));
                }
            })
            .await;
        assert_eq!((event.reason, status == StatusCode::OK), (refused, refused.is_none()), "{name}");
    }
}

#[tokio::test]
async fn a_public_client_needs_a_permission() {
    let id = [("client_id", "orders")];
    for (name, client, let_in) in [
        ("without permission", Client::new("orders"), false),
        ("with a secret", Client::new("orders").secret(secret_of("orders")), false),
        ("with permission", Client::new("orders").allow_public(), true),
    ] {
        let mut world = InProcess::new(plan_of(client.clone()));
        let (status, error, event) = world.post(&id, |_| ()).await;
        assert_eq!(status == StatusCode::OK, let_in, "{name}: {error}");
        if let_in {
            assert_eq!(event.auth_method, Some(AuthenticationMethod::None), "{name}");
        } else {
            assert_eq!((event.reason, &*error), (Some(Reason::ClientCredentialsMissing), "invalid_client"), "{name}");
        }
        // A permission is not a secret.
        let guess = basic("orders", "");
        let (status, _, event) = world
            .post(&[], |request| {
                _ = request.headers_mut().insert(header::AUTHORIZATION, guess.parse().unwrap());
            })
            .await;
        assert_eq!((status, event.reason), (StatusCode::UNAUTHORIZED, Some(Reason::ClientRejected)), "{name}");
        let other = [("client_id", "billing")];
        assert_eq!(world.post(&other, |_| ()).await.2.reason, Some(Reason::ClientCredentialsMissing), "{name}");
    }
}

/// An application can have a method of its own: an attestation in headers, a certificate, or an assertion of another type.
#[tokio::test]
async fn an_authenticator_gets_everything_that_it_needs() {
    type Seen = (AuthenticationMethod, String, Option<(String, String)>, usize, HeaderMap);
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let log = Arc::clone(&seen);
    let own = service_fn(move |credentials: Credentials| {
        let assertion = credentials.client_assertion().map(|(kind, text)| (kind.to_owned(), text.to_owned()));
        let certificates = credentials.certificates().map_or(0, |found| found.chain().len());
        let id = credentials.client_id().to_owned();
        let is_attested = credentials.headers().contains_key("oauth-client-attestation");
        log.lock().unwrap().push((credentials.method(), id, assertion, certificates, credentials.headers().clone()));
        let answer = match credentials.method() {
            AuthenticationMethod::None if is_attested => Authentication::ClientBy("orders".into(), Other),
            _ => Authentication::Client("orders".into()),
        };
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let mut world = InProcess::new(plan().with(|builder| builder.client_authenticator(own)));
    let certificates = PeerCertificates::new([vec![1], vec![2]]);
    let kind = "urn:example:other";
    let assertion = [("client_assertion_type", kind), ("client_assertion", "ey")];

    let (_, _, event) = world
        .post(&[("client_id", "orders")], |request| {
            request.headers_mut().insert("oauth-client-attestation", "a.b.c".parse().unwrap());
        })
        .await;
    assert_eq!((event.reason, event.auth_method), (None, Some(Other)), "a header");
    let (_, _, event) = world
        .post(&[("client_id", "orders")], |request| {
            request.extensions_mut().insert(certificates);
        })
        .await;
    assert_eq!((event.reason, event.auth_method), (None, Some(TlsClientAuth)), "a certificate");
    let (_, _, event) = world.post(&assertion, |_| ()).await;
    assert_eq!((event.reason, event.auth_method), (None, Some(Other)), "an assertion of another type");
    // An id alone names a client, and proves nothing.
    let (_, _, event) = world.post(&[("client_id", "orders")], |_| ()).await;
    assert_eq!(event.reason, Some(Reason::ClientCredentialsMissing), "an id alone");

    let seen = seen.lock().unwrap();
    let shown: Vec<_> = seen.iter().map(|(method, id, .., certificates, _)| (*method, &**id, *certificates)).collect();
    let none = AuthenticationMethod::None;
    assert_eq!(shown, [(none, "orders", 0), (TlsClientAuth, "orders", 2), (Other, "", 0), (none, "orders", 0)]);
    assert_eq!(seen[2].2, Some((kind.to_owned(), "ey".to_owned())));
    assert_eq!(seen[0].4["oauth-client-attestation"], "a.b.c");
}

#[tokio::test]
async fn a_chosen_secret_is_checked_like_another() {
    let [chosen, next, generated] = ["correct horse", "battery staple", "a-generated-secret-of-orders"];
    let hash = |secret: &str| hash_chosen_secret(secret).unwrap();
    let client = Client::new("orders").secret_argon2(hash(chosen)).secret_argon2(hash(next)).secret(generated);
    let mut world = InProcess::new(plan_of(client));
    for (name, id, secret, let_in) in [
        ("the first", "orders", chosen, true),
        ("the second", "orders", next, true),
        ("the generated one", "orders", generated, true),
        ("a wrong one", "orders", "battery horse", false),
        ("the hash", "orders", &hash(chosen), false),
        ("of another client", "billing", chosen, false),
        ("the other client's own", "billing", &secret_of("billing"), true),
        ("of nobody", "nobody", chosen, false),
    ] {
        let form = [("client_id", id), ("client_secret", secret)];
        let (_, _, event) = world.post(&form, |_| ()).await;
        assert_eq!(event.reason == Some(Reason::ClientRejected), !let_in, "{name}");
        assert_eq!(event.client_id.is_some(), let_in, "{name}");
    }
    let error =
        plan_of(Client::new("orders").secret_argon2("$argon2i$v=19$m=16,t=2,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ"));
    assert_eq!(error.builder.build().unwrap_err().field(), "client `orders`: secret_argon2");
}
