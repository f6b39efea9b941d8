//! A server as the API server of a Kubernetes cluster: its certificate is of an authority of its own, and callers need a token for
//! its keys.

use crate::process::Folder;
use data_encoding::BASE64URL_NOPAD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;
use tower_token_exchange::signing::{Algorithm, LocalSigner};

const TOKEN: &str = "the-token-of-the-gateway";

pub(crate) struct Cluster {
    pub(crate) issuer: String,
    key: LocalSigner,
    /// The requests without the token of the gateway.
    strangers: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Cluster {
    /// Starts the server, and writes its authority and the token of the gateway into the folder.
    pub(crate) fn start(folder: &Folder) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority of the cluster");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let server = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = names.signed_by(&server, &authority).unwrap();
        folder.write("cluster-ca.crt", &authority.pem());
        folder.write("cluster.token", &format!("{TOKEN}\n"));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let private = PrivateKeyDer::try_from(server.serialize_der()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let key = LocalSigner::generate(Algorithm::ES256).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let issuer = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/openid/v1/jwks") }).to_string();
        let documents = Arc::new([
            ("/.well-known/openid-configuration", metadata),
            ("/openid/v1/jwks", key.published_keys().to_json()),
        ]);
        let strangers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&strangers);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, documents, counted) = (acceptor.clone(), Arc::clone(&documents), Arc::clone(&counted));
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut request = vec![0; 8192];
                    let length = stream.read(&mut request).await.ok()?;
                    let request = String::from_utf8_lossy(&request[..length]).into_owned();
                    let is_gateway = request.to_lowercase().contains(&format!("\r\nauthorization: bearer {TOKEN}\r\n"));
                    counted.fetch_add(usize::from(!is_gateway), Ordering::Relaxed);
                    let path = request.split(' ').nth(1)?;
                    let found = documents.iter().find(|(known, _)| is_gateway && *known == path);
                    let (status, body) = found.map_or((401, "{}"), |(_, body)| (200, body.as_str()));
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        Self { issuer, key, strangers, _runtime: runtime }
    }

    /// A token that the cluster gives to a workload, for this audience.
    pub(crate) fn account_token(&self, account: &str, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let segment = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let (namespace, name) = account.rsplit_once(':').unwrap();
        let namespace = namespace.rsplit(':').next().unwrap();
        let claims = json!({
            "aud": [audience], "exp": now + 3600, "iat": now, "iss": self.issuer, "nbf": now, "sub": account,
            "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name, "uid": "1" } },
        });
        let header = json!({ "alg": "ES256", "kid": self.key.key_id() });
        let signed = format!("{}.{}", segment(header), segment(claims));
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&self.key.sign(signed.as_bytes()).unwrap()))
    }

    /// How many requests had no token.
    pub(crate) fn strangers(&self) -> usize {
        self.strangers.load(Ordering::Relaxed)
    }
}
