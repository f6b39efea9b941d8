//! Clients by other authors obtain a token with each method of authentication that they have, and with DPoP.

use crate::{
    World,
    process::{Folder, own_token_for},
    secret, text,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde_json::{Value, json};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

/// A method of authentication, or `dpop` for `private_key_jwt` with a DPoP proof; and the id of the record.
type Method = (&'static str, &'static str);

/// A client by another author.
struct Client {
    name: &'static str,
    program: &'static str,
    /// All methods that the client has.
    methods: &'static [Method],
}

/// The methods of a client that signs assertions for the issuer.
const ALL: &[Method] = &[
    ("client_secret_basic", "orders"),
    ("client_secret_post", "orders"),
    ("private_key_jwt", "orders"),
    ("tls_client_auth", "mtls"),
    ("dpop", "orders"),
];

/// The methods of a client that signs assertions for the token endpoint.
const OLDER: &[Method] = &[
    ("client_secret_basic", "orders"),
    ("client_secret_post", "orders"),
    ("private_key_jwt", "older"),
    ("dpop", "older"),
];

const CLIENTS: &[Client] = &[
    Client { name: "openid-client", program: "node methods.mjs", methods: ALL },
    Client { name: "oauth4webapi", program: "node methods.mjs", methods: ALL },
    Client { name: "requests-oauth2client", program: "python methods.py", methods: OLDER },
    // This client has no DPoP.
    Client { name: "authlib", program: "python methods.py", methods: OLDER.split_at(3).0 },
    Client { name: "huskarl", program: "huskarl", methods: ALL },
];

/// Writes the certificates, keys and secrets of the gateway and of the clients.
fn configuration(folder: &Folder) -> String {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate with one name as its subject and its issuer for a self-signed certificate.
    params.distinguished_name.push(DnType::CommonName, "the authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    folder.write("ca.crt", &authority.pem());
    for (file, name) in [("server", "127.0.0.1"), ("client", "orders.example")] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        folder.write(&format!("{file}.crt"), &certificate.pem());
        folder.write(&format!("{file}.key"), &key.serialize_pem());
    }
    let mut nonce_key = [0; 32];
    SystemRandom::new().fill(&mut nonce_key).unwrap();
    folder.write("nonce.key", &HEXLOWER.encode(&nonce_key));
    folder.keygen("active.pem");
    folder.keygen("assertion.pem");
    let key = LocalSigner::from_pem(Algorithm::ES256, folder.read("assertion.pem")).unwrap();
    let keys: Value = serde_json::from_str(&key.published_keys().to_json()).unwrap();
    let [x, y] = ["x", "y"].map(|name| text(&keys["keys"][0][name]));
    let jwk = format!(r#"{{ kty = "EC", crv = "P-256", x = "{x}", y = "{y}", kid = "client-1" }}"#);
    include_str!("methods.toml").replace("{jwk}", &jwk)
}

impl World {
    /// One exchange by a client of another author. Returns the answer, and the events of the audit.
    fn exchange_by(&self, client: &Client, (method, id): Method) -> (Value, Vec<Value>) {
        let before = self.events().len();
        let subject = own_token_for(&self.folder, &self.url(), &format!("https://{id}.example"));
        let (url, folder, secret) = (self.url(), self.folder.0.to_str().unwrap(), secret(id));
        let arguments = [method, &url, id, &secret, folder, &subject, "billing"];
        let answer = match client.program.split_once(' ') {
            Some((program, script)) => self.run(program, script, &[&[client.name], &arguments[..]].concat()),
            None => self.run_program("huskarl/target/debug/huskarl-client", &arguments),
        };
        let answer =
            answer.unwrap_or_else(|error| panic!("{}, {method}: {error}\n{:?}", client.name, self.events().last()));
        (answer, self.events().split_off(before))
    }

    fn events(&self) -> Vec<Value> {
        self.folder.read("audit.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a certificate binds a token to.
fn thumbprint(folder: &Folder) -> String {
    let pem = folder.read("client.crt");
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, &der).as_ref())
}

#[test]
#[ignore = "needs the programs that .ci/run installs"]
fn each_client_works_with_each_of_its_methods() {
    let world = World::start_with("https", configuration);
    for one in CLIENTS {
        let (client, mut works) = (one.name, Vec::new());
        for (method, id) in one.methods.iter().copied() {
            let (answer, events) = world.exchange_by(one, (method, id));
            let is_bound = method == "dpop";
            let token_type = if is_bound { "dpop" } else { "bearer" };
            assert_eq!(text(&answer["token_type"]).to_lowercase(), token_type, "{client}, {method}");
            let claims = crate::claims(&text(&answer["access_token"]));
            assert_eq!(
                (&claims["sub"], &claims["act"]),
                (&json!("alice"), &json!({ "sub": id })),
                "{client}, {method}"
            );
            match method {
                "dpop" => assert!(claims["cnf"]["jkt"].is_string(), "{client}: {claims}"),
                "tls_client_auth" => {
                    assert_eq!(claims["cnf"], json!({ "x5t#S256": thumbprint(&world.folder) }), "{client}");
                }
                _ => assert!(claims.get("cnf").is_none(), "{client}, {method}: {claims}"),
            }
            // The first proof has no nonce, and the client tries again with the nonce of the answer.
            let outcomes: Vec<_> = events.iter().map(|event| (&event["outcome"], &event["reason"])).collect();
            let (denied, issued) = (json!("denied"), json!("issued"));
            let (required, none) = (json!("dpop_nonce_required"), Value::Null);
            let expected = [(&denied, &required), (&issued, &none)];
            assert_eq!(outcomes, expected[usize::from(!is_bound)..], "{client}, {method}");
            let used = if is_bound { "private_key_jwt" } else { method };
            assert!(events.iter().all(|event| event["auth_method"] == used), "{client}, {method}: {events:?}");
            works.push(method);
        }
        println!("{client}: {}", works.join(", "));
    }
}
