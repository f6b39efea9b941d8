//! Clients with keys in front of `oidc-provider`, which knows none of these clients.

use crate::{
    OIDC_PROVIDER,
    cluster::Cluster,
    world::{World, claims, text},
};
use serde_json::{Value, json};
use std::cell::OnceCell;
use tower_token_exchange::signing::{Algorithm, LocalSigner};

const ACCOUNT: &str = "system:serviceaccount:shop:orders";

/// The clients, who may present every token of the server.
const CLIENTS: &str = r#"
[[client]]
id = "signer"
jwks = { keys = [{ kty = "EC", crv = "P-256", x = "{x}", y = "{y}" }] }

[[client]]
id = "prover"
secret = "prover-secret-0123456789abcdef"
dpop_bound_access_tokens = true

[[client]]
id = "workload"
federated_credential = [{ issuer = "{cluster}", subject = "system:serviceaccount:shop:orders" }]

[[issuer]]
issuer = "{cluster}"
discovery = true
for_clients_only = true
"#;

const SETTINGS: &str = r#"
[dpop]

[fetch]
allow_private_addresses = true
ca = "cluster-ca.crt"
bearer_tokens = [{ origin = "{cluster}", file = "cluster.token" }]
"#;

#[test]
#[ignore = "needs the servers that .ci/run installs"]
fn oidc_provider_gains_clients_with_keys() {
    let started = OnceCell::new();
    let world = World::start_with(OIDC_PROVIDER, |folder, configuration, records| {
        let cluster = Cluster::start(folder);
        folder.keygen("assertion.pem");
        let key = LocalSigner::from_pem(Algorithm::ES256, folder.read("assertion.pem")).unwrap();
        let keys: Value = serde_json::from_str(&key.published_keys().to_json()).unwrap();
        let of_key = |name: &str| text(&keys["keys"][0][name]);
        let clients = CLIENTS.replace("{x}", &of_key("x")).replace("{y}", &of_key("y"));
        let ids = r#""orders-api", "signer", "prover", "workload""#;
        *records = records
            .replace(r#"callers = ["orders-api"]"#, &format!("callers = [{ids}]"))
            .replace(r#"clients = ["orders-api","#, &format!("clients = [{ids},"))
            + &clients.replace("{cluster}", &cluster.issuer);
        *configuration = configuration
            .replace("[upstream.tokens]", "[upstream.tokens]\npresenters = [\"signer\", \"prover\", \"workload\"]")
            + &SETTINGS.replace("{cluster}", &cluster.issuer);
        assert!(started.set(cluster).is_ok());
    });
    let cluster = started.into_inner().unwrap();
    let token = text(&world.login(&OIDC_PROVIDER.logins[0])["access_token"]);
    let subject = world.subject(&token);

    // A client that signs, and a workload that presents the token of its cluster.
    world.write("account.token", &cluster.account_token(ACCOUNT, &world.issuer()));
    for (command, client, method) in
        [("signed", "signer", "private_key_jwt"), ("workload", "workload", "federated_jwt")]
    {
        let answer = world.proof(command, &[client, &token, "billing"]);
        let issued = claims(&text(&answer["access_token"]));
        assert_eq!((&issued["sub"], &issued["act"]), (&json!(subject), &json!({ "sub": client })), "{command}");
        assert_eq!(
            (world.last_event()["auth_method"].as_str(), answer["token_type"].as_str()),
            (Some(method), Some("bearer"))
        );
    }
    // The token for another service of the cluster, and the token of another workload.
    for (account, audience) in [(ACCOUNT, &*cluster.issuer), ("system:serviceaccount:shop:billing", &world.issuer())] {
        world.write("account.token", &cluster.account_token(account, audience));
        assert_eq!(world.proof("workload", &["workload", &token, "billing"])["error"], "invalid_client", "{account}");
    }
    assert_eq!(cluster.strangers(), 0, "the gateway sent its token with each request");

    // A bound token works with its proof alone.
    let answer = world.proof("bound", &["prover", &token, "billing", "https://billing.example"]);
    assert_eq!(answer["token_type"], "dpop", "{answer}");
    assert!(claims(&text(&answer["access_token"]))["cnf"]["jkt"].is_string(), "{answer}");
    for server in ["express", "oauth4webapi"] {
        let statuses = &answer[server];
        for call in ["as_bearer", "without_proof", "with_another_key"] {
            assert!([400, 401].contains(&statuses[call].as_u64().unwrap()), "{server}: {statuses}");
        }
        assert_eq!(statuses["with_the_key"], 200, "{server}: {statuses}");
        println!("{server}: {statuses}");
    }
}
