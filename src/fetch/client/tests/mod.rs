mod guard;
mod limits;
mod uris;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::ServiceExt;

use super::{FetchError, HttpFetch, HttpFetchBuilder};

/// A server on loopback that answers every connection with the same pieces, with a pause after each piece.
struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    async fn answering(pieces: &'static [&'static str], pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap_or(b'\n'));
                    }
                    for piece in pieces {
                        let _ = stream.write_all(piece.as_bytes()).await;
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        Self { address, connections }
    }

    fn uri(&self) -> String {
        format!("http://{}/jwks?secret=hunter2", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn loopback() -> HttpFetchBuilder {
    HttpFetch::builder().allow_loopback_http().timeout(Duration::from_secs(2))
}

async fn get(fetch: HttpFetch, uri: &str) -> Result<Response<Bytes>, FetchError> {
    fetch.oneshot(Request::get(uri).body(Bytes::new()).unwrap()).await
}
