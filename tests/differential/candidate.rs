//! One request that could be a hidden exchange.

use axum::body::Body;
use http::Request;

/// A request of HTTP/1.1, in the parts that parsers read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Candidate {
    /// The request for the layer. `None` if no server of this crate's users could receive such a request.
    pub(crate) fn to_request(&self) -> Option<Request<Body>> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value.chars().map(|c| c as u8).collect::<Vec<_>>());
        }
        let request = request.body(Body::from(self.body.clone())).ok()?;
        // A target that is only a host belongs to `CONNECT` (RFC 9112 section 3.2.3).
        request.uri().path().starts_with('/').then_some(request)
    }

    /// The bytes of the request, as a client sends them. A character of a header is a byte.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        bytes.extend(format!("{} {} HTTP/1.1\r\nHost: as.example\r\n", self.method, self.target).into_bytes());
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: ").into_bytes());
            bytes.extend(value.chars().map(|c| c as u8));
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).into_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// Reads the bytes of a request. `None` if they are not a request.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.filter(|(name, _)| !["Host", "Content-Length"].contains(name));
        Some(Self {
            method,
            target,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }
}

#[test]
fn the_bytes_of_a_candidate_have_all_of_it() {
    let candidate = Candidate {
        method: "POST".to_owned(),
        target: "/token?a=b".to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain; a=\u{ff}".to_owned())],
        body: b"\0\xff\r\n\r\n".to_vec(),
    };
    assert_eq!(Candidate::from_bytes(&candidate.to_bytes()), Some(candidate));
}
