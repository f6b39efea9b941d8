//! The table of the manual page `signatures`: how long a signature takes with each library.
//!
//! `cargo bench --bench signatures --features aws-lc-rs` prints the table. With `-- --write`, the table is also written into the
//! manual page.

#![allow(clippy::print_stdout, reason = "a bench prints its results")]

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use std::{
    env,
    error::Error,
    fmt::Write,
    hint::black_box,
    time::{Duration, Instant},
};
use tower_token_exchange::signing::{
    Algorithm::{self, ES256, ES384, EdDSA, RS256},
    Cryptography, LocalSigner,
};
use tower_token_exchange_benches::{manual, private_key};

/// The bytes of a signing input, about as long as that of an access token.
const MESSAGE: [u8; 400] = [7; 400];
/// In each round, every operation is made a few times, so that all are measured at the same speed of the processor.
const ROUNDS: usize = 40;
const RUNS: usize = 5;

type Operation = Box<dyn Fn()>;

/// A public key as its JWK states it.
struct Public {
    /// The members `x` and `y` as a point, or `x` alone.
    point: Vec<u8>,
    n: Vec<u8>,
    e: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let keys = [
        ("ES256", ES256, private_key(ES256)),
        ("EdDSA", EdDSA, private_key(EdDSA)),
        ("ES384", ES384, private_key(ES384)),
        ("RSA, 2048 bits", RS256, private_key(RS256)),
        ("RSA, 4096 bits", RS256, rsa_4096()?),
    ];
    let mut table =
        "| key | `ring` signs | `aws-lc-rs` signs | ratio | `ring` verifies | `aws-lc-rs` verifies | ratio |\n\
                     |---|---|---|---|---|---|---|\n"
            .to_owned();
    for (name, algorithm, der) in keys {
        let times = measure(operations(algorithm, &der)?);
        write!(table, "| {name} |")?;
        for pair in times.chunks(2) {
            let [ring, aws_lc] = [pair[0], pair[1]].map(|time| time.as_secs_f64() * 1e6);
            write!(table, " {ring:.0} µs | {aws_lc:.0} µs | {:.1} : 1 |", ring / aws_lc)?;
        }
        writeln!(table)?;
    }
    println!("{table}");
    if env::args().any(|argument| argument == "--write") {
        manual::replace_measured("signatures.md", &table)?;
    }
    Ok(())
}

/// The signature by each library, and the verification by each library.
fn operations(algorithm: Algorithm, der: &[u8]) -> Result<Vec<Operation>, Box<dyn Error>> {
    let mut operations: Vec<Operation> = Vec::new();
    for cryptography in Cryptography::ALL {
        let signer = LocalSigner::builder().cryptography(*cryptography).read_der(algorithm, der)?;
        operations.push(Box::new(move || drop(black_box(signer.sign(black_box(&MESSAGE)).expect("a signature")))));
    }
    let signer = LocalSigner::from_der(algorithm, der)?;
    let (public, signature) = (Public::of(&signer)?, signer.sign(&MESSAGE)?);
    operations.push(Box::new(with_ring(algorithm, &public, signature.clone())));
    operations.push(Box::new(with_aws_lc(algorithm, &public, signature)));
    Ok(operations)
}

impl Public {
    fn of(signer: &LocalSigner) -> Result<Self, Box<dyn Error>> {
        let jwks: Value = serde_json::from_str(&signer.published_keys().to_json())?;
        let member = |name: &str| {
            let text = jwks["keys"][0][name].as_str().unwrap_or_default();
            BASE64URL_NOPAD.decode(text.as_bytes())
        };
        let (x, y) = (member("x")?, member("y")?);
        let marker: &[u8] = if y.is_empty() { &[] } else { &[4] };
        Ok(Self { point: [marker, &x, &y].concat(), n: member("n")?, e: member("e")? })
    }
}

macro_rules! verification {
    ($name:ident, $library:ident) => {
        fn $name(algorithm: Algorithm, public: &Public, signature: Vec<u8>) -> impl Fn() + use<> {
            use $library::{rsa::PublicKeyComponents, signature as kinds};
            let plain: &'static dyn kinds::VerificationAlgorithm = match algorithm {
                ES256 => &kinds::ECDSA_P256_SHA256_FIXED,
                ES384 => &kinds::ECDSA_P384_SHA384_FIXED,
                _ => &kinds::ED25519,
            };
            let point = kinds::UnparsedPublicKey::new(plain, public.point.clone());
            let rsa = PublicKeyComponents { n: public.n.clone(), e: public.e.clone() };
            move || {
                let (message, signature) = (black_box(&MESSAGE), black_box(&signature));
                let verified = match algorithm {
                    RS256 => rsa.verify(&kinds::RSA_PKCS1_2048_8192_SHA256, message, signature),
                    _ => point.verify(message, signature),
                };
                assert!(verified.is_ok());
            }
        }
    };
}
verification!(with_ring, ring);
verification!(with_aws_lc, aws_lc_rs);

/// The shortest time of each operation, which other programs affect the least.
fn measure(operations: Vec<Operation>) -> Vec<Duration> {
    let mut times = vec![Duration::MAX; operations.len()];
    for _ in 0..ROUNDS {
        for (operation, shortest) in operations.iter().zip(&mut times) {
            for _ in 0..RUNS {
                let start = Instant::now();
                operation();
                *shortest = start.elapsed().min(*shortest);
            }
        }
    }
    times
}

/// The key with 4096 bits among the keys of the tests.
fn rsa_4096() -> Result<Vec<u8>, Box<dyn Error>> {
    let keys: Value = serde_json::from_str(include_str!("../tests/data/rsa_sizes.json"))?;
    let keys = keys.as_array().into_iter().flatten();
    let mut pems = keys.filter(|key| key["name"] == "4096 bits").filter_map(|key| key["pem"].as_str());
    let base64: String = pems.next().ok_or("no such key")?.lines().filter(|line| !line.starts_with('-')).collect();
    Ok(data_encoding::BASE64.decode(base64.as_bytes())?)
}
