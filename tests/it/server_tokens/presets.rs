use super::{
    introspected::by_token,
    samples::{Form, Sample, neighbours, samples},
    *,
};
use std::{collections::BTreeMap, fmt::Write};
use tower_token_exchange::{
    policy::{Names, Rule, Subjects},
    records::{Introspection, ServerPreset},
};

/// A server with all samples: its keys, each token, and the answers of its introspection endpoint.
struct Everything {
    server: Minter,
    samples: Vec<(Sample, String)>,
    answers: BTreeMap<String, Value>,
}

impl Everything {
    fn new() -> Self {
        let server = server();
        let mut answers = BTreeMap::new();
        let own = json!({ "alg": "ES256", "kid": server.key.key_id() });
        let token = |sample: &Sample, answers: &mut BTreeMap<String, Value>| match &sample.form {
            Form::Jwt(header, claims) => server.sign(&changed(own.clone(), header.clone()), claims),
            Form::Opaque(answer) => {
                answers.insert(sample.name.to_owned(), answer.clone());
                sample.name.to_owned()
            }
            Form::Symmetric(claims, answer) => {
                let token = server.sign(&json!({ "alg": "HS256", "typ": "JWT" }), claims);
                answers.insert(token.clone(), answer.clone());
                token
            }
        };
        let all = samples().into_iter().chain(neighbours());
        let samples = all.map(|sample| (token(&sample, &mut answers), sample)).map(|(token, sample)| (sample, token));
        let samples = samples.collect();
        Self { server, samples, answers }
    }

    /// A world with the record of a preset, or with a record without settings.
    async fn world(&self, preset: Option<ServerPreset>, presenters: &[&'static str]) -> World {
        let introspection = Introspection::bearer("https://as.example/introspect", "t").http(by_token(&self.answers));
        let (record, introspection) = match preset {
            Some(preset) => (preset.record(AS), preset.introspection(introspection)),
            None => (Issuer::new(AS), introspection),
        };
        let record = record.keys(self.server.keys()).introspection(introspection);
        let named = access_token().presenters(presenters.iter().copied());
        let record = if presenters.is_empty() { record } else { record.refine(named) };
        plan_of([record]).start().await
    }
}

#[tokio::test]
async fn each_preset_accepts_the_tokens_of_its_server() {
    let everything = Everything::new();
    let mut matrix = String::new();
    for preset in ServerPreset::ALL.iter().copied().map(Some).chain([None]) {
        let name = preset.map_or("(no settings)".to_owned(), |preset| preset.to_string());
        let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut world = everything.world(preset, &["orders"]).await;
        for (sample, token) in &everything.samples {
            let outcome = exchanged(&mut world, token).await;
            if sample.of.is_some() && sample.of == preset {
                assert_eq!(outcome, Ok(("alice".to_owned(), "read".to_owned())), "{name}: {}", sample.name);
            }
            if sample.of.is_none() {
                assert!(outcome.is_err(), "{name}: {}", sample.name);
            }
            let outcome = outcome.map_or_else(|reason| reason.to_string(), |_| "issued".to_owned());
            outcomes.entry(outcome).or_default().push(sample.name);
        }
        writeln!(matrix, "{name}").unwrap();
        for (outcome, samples) in outcomes {
            writeln!(matrix, "  {outcome}: {}", samples.join(", ")).unwrap();
        }
    }
    insta::assert_snapshot!(matrix);
}

#[tokio::test]
async fn no_preset_says_who_may_present() {
    let everything = Everything::new();
    for preset in ServerPreset::ALL.iter().copied() {
        let mut unnamed = everything.world(Some(preset), &[]).await;
        let mut named = everything.world(Some(preset), &["reports"]).await;
        for (sample, token) in everything.samples.iter().filter(|(sample, _)| sample.of == Some(preset)) {
            for world in [&mut unnamed, &mut named] {
                let outcome = exchanged(world, token).await.map(|_| ());
                let expected = if sample.is_for_orders { Ok(()) } else { Err(Reason::PresenterUnrelated) };
                assert_eq!(outcome, expected, "{}", sample.name);
            }
        }
    }
}

#[tokio::test]
async fn the_client_of_a_token_may_exchange_the_token() {
    // `orders` may exchange its own tokens. The samples with a name for the client name `web`.
    let everything = Everything::new();
    for preset in ServerPreset::ALL.iter().copied() {
        let mut world = everything.world(Some(preset), &[]).await;
        let own = samples().into_iter().filter(|sample| sample.of == Some(preset));
        for sample in own {
            let Form::Jwt(header, claims) = sample.form else { continue };
            let claims: Value = serde_json::from_str(&claims.to_string().replace("\"web\"", "\"orders\"")).unwrap();
            let header = changed(json!({ "alg": "ES256", "kid": everything.server.key.key_id() }), header);
            let token = everything.server.sign(&header, &claims);
            assert!(exchanged(&mut world, &token).await.is_ok(), "{}", sample.name);
        }
    }
}

/// Where the server uses one name for the client and for its subject, the token is not the token of a user.
#[tokio::test]
async fn a_token_of_a_client_is_no_users_token() {
    use ServerPreset::*;
    let everything = Everything::new();
    let users_only = || Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any());
    for preset in [OidcProvider, BetterAuth, Okta, Cognito, Hydra, LaravelPassport, Spring, IdentityServer, Glewlwyd] {
        let of_preset = |sample: &Sample| sample.of == Some(preset);
        let sample = samples().into_iter().find(of_preset).unwrap();
        let Form::Jwt(header, claims) = sample.form else { panic!("{preset}") };
        let header = changed(json!({ "alg": "ES256", "kid": everything.server.key.key_id() }), header);
        let record = preset.record(AS).keys(everything.server.keys());
        let record = record.refine(access_token().presenters(["orders"]));
        let mut world = plan_of([record]).with(|builder| builder.rules([users_only()])).start().await;
        let of_user = everything.server.sign(&header, &claims);
        assert!(exchanged(&mut world, &of_user).await.is_ok(), "{preset}");
        let of_client = everything.server.sign(&header, &changed(claims, json!({ "sub": "web" })));
        assert_eq!(exchanged(&mut world, &of_client).await, Err(Reason::PolicyNoRule), "{preset}");
    }
}

#[tokio::test]
async fn the_first_refusal_names_the_key_to_set() {
    let everything = Everything::new();
    let mut world = everything.world(None, &[]).await;
    for (sample, token) in everything.samples.iter().filter(|(sample, _)| sample.of.is_some()) {
        match exchanged(&mut world, token).await {
            Ok(_) => assert_eq!(sample.key, "", "{}", sample.name),
            Err(reason) => {
                let remedy = reason.remedy().in_keys();
                let key = format!("`{}`", sample.key);
                assert!(remedy.contains(&key), "{}: {reason}: {remedy} does not name {key}", sample.name);
            }
        }
    }
}

#[test]
fn every_preset_has_a_sample_and_a_name() {
    for preset in ServerPreset::ALL {
        assert!(samples().iter().any(|sample| sample.of == Some(*preset)), "{preset}");
        let read: ServerPreset = serde_json::from_value(json!(preset.as_str())).unwrap();
        assert_eq!(read, *preset);
    }
}

#[test]
fn rules_of_a_document_refine_a_preset() {
    use tower_token_exchange::records::ServerTokens;
    let described = |text: &str| {
        let tokens: ServerTokens = toml::from_str(text).unwrap();
        tokens.describe(ServerPreset::Cognito.record(AS)).statements()
    };
    let preset = ServerPreset::Cognito.record(AS).statements();
    assert_eq!(described(""), preset);
    let more =
        described("require_value = { token_use = 'x', client = 'y' }\nallow_absent_aud = false\nscope_claim = 's'");
    assert_eq!(
        more,
        [
            "access_token: the header needs no `typ: at+jwt`",
            "access_token: the claim `client` is \"y\"",
            "access_token: the claim `token_use` is \"x\"",
            "access_token: the claim `s` has the scope",
        ]
    );
    let other_type = described("type = 'jwt'");
    assert_eq!(other_type, preset);
}
