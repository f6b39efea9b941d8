//! An HTTP server that answers with given bytes, and remembers the bytes of each request.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Answers a request on a connection. Returns whether the connection stays open.
pub(crate) type Answer = Arc<dyn Fn(&mut TcpStream, &[u8]) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) port: u16,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    seen: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = Self { port, answers: Arc::default(), seen: Arc::default() };
        let this = upstream.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let this = this.clone();
                std::thread::spawn(move || this.serve(stream));
            }
        });
        upstream
    }

    /// Sets the answer to requests for a path.
    pub(crate) fn answers(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.register(path, move |stream, _| stream.write_all(&bytes).is_ok());
    }

    /// Runs an action for each request for a path, and then closes the connection.
    pub(crate) fn does(&self, path: &str, action: impl Fn(&mut TcpStream, &[u8]) + Send + Sync + 'static) {
        self.register(path, move |stream, request| {
            action(stream, request);
            false
        });
    }

    fn register(&self, path: &str, answer: impl Fn(&mut TcpStream, &[u8]) -> bool + Send + Sync + 'static) {
        self.answers.lock().unwrap().insert(path.to_owned(), Arc::new(answer));
    }

    /// The latest request for a path.
    pub(crate) fn seen(&self, path: &str) -> Vec<u8> {
        self.seen.lock().unwrap().remove(path).unwrap_or_default()
    }

    /// Answers one request after the other until one side closes the connection.
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let mut piece = [0; 16 * 1024];
        loop {
            let mut request = Vec::new();
            while !is_whole(&request) {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => return,
                    Ok(length) => request.extend_from_slice(&piece[..length]),
                }
            }
            let target = String::from_utf8_lossy(&request).split(' ').nth(1).unwrap().to_owned();
            let path = target.split('?').next().unwrap().to_owned();
            self.seen.lock().unwrap().insert(path.clone(), request.clone());
            let answer = self.answers.lock().unwrap().get(&path).cloned();
            let goes_on = match answer {
                Some(answer) => answer(&mut stream, &request),
                None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").is_ok(),
            };
            if !goes_on || request.windows(17).any(|window| window == b"Connection: close") {
                return;
            }
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let body = &request[end + 4..];
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (header("content-length:"), header("transfer-encoding:")) {
        // The last chunk is empty, and trailers may follow.
        (_, Some(_)) => {
            let has_last = body.starts_with(b"0\r\n") || body.windows(5).any(|window| window == b"\r\n0\r\n");
            has_last && body.ends_with(b"\r\n\r\n")
        }
        (Some(length), None) => body.len() >= length.parse().unwrap(),
        (None, None) => true,
    }
}
