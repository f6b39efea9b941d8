use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, header};

/// Headers that the server must not see: the answer would be a part of the document, no document, or a document that cannot
/// be read.
const CONDITIONS: [HeaderName; 6] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// Headers in which a proxy names the host and the scheme that the client asked for.
const ORIGIN_HEADERS: [&str; 3] = ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"];

/// The parts of a request for a document that matter for its answer.
pub(super) struct DocumentRequest {
    pub(super) is_head: bool,
    /// The host and the scheme, from every header that may name them: a server may write them into its documents. Last good
    /// documents are kept by this key.
    pub(super) origin: Vec<Vec<u8>>,
    /// Whether the answer can be the last good document: neither a query nor credentials make this request special.
    pub(super) is_plain: bool,
    /// Whether the answer can be kept as the last good document: nothing outside of the key can have influenced the answer.
    pub(super) is_cacheable: bool,
    /// Whether the kept answer stays, whatever other clients ask for.
    pub(super) is_pinned: bool,
}

impl DocumentRequest {
    /// Turns a request into one for the whole document, without compression.
    pub(super) fn rewrite(request: &mut Request<Body>) -> Self {
        let is_head = request.method() == Method::HEAD;
        *request.method_mut() = Method::GET;
        let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes().to_ascii_lowercase());
        let has_query = request.uri().query().is_some();
        let headers = request.headers_mut();
        for condition in CONDITIONS {
            headers.remove(condition);
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // An authority in the request target replaces `Host` (RFC 9112 section 3.2.2).
        let host = authority.or_else(|| Some(headers.get(header::HOST)?.as_bytes().to_ascii_lowercase()));
        let forwarded = headers.get_all(header::FORWARDED).iter().flat_map(forwarded_origin);
        // The name is a part of the key, so that the value of one header does not match the value of another.
        let named = |name: &'static str| {
            headers.get_all(name).iter().map(move |value| [name.as_bytes(), b": ", value.as_bytes()].concat())
        };
        let origin = host.into_iter().chain(forwarded).chain(ORIGIN_HEADERS.into_iter().flat_map(named)).collect();
        let is_plain = !has_query && !headers.contains_key(header::AUTHORIZATION);
        let is_cacheable = is_plain && !headers.keys().any(may_vary_the_document);
        Self { is_head, origin, is_plain, is_cacheable, is_pinned: false }
    }

    /// The same request, whose kept answer stays.
    pub(super) fn pinned(self) -> Self {
        Self { is_pinned: true, ..self }
    }
}

/// Whether the server might vary its document by this header, although the key does not contain the header.
fn may_vary_the_document(name: &HeaderName) -> bool {
    if ORIGIN_HEADERS.iter().any(|known| name == known) {
        return false;
    }
    let name = name.as_str().replace('_', "-");
    let prefixes = ["x-forwarded-", "x-original-", "x-rewrite-", "x-host", "x-scheme"];
    name == "cookie" || (name != "x-forwarded-for" && prefixes.iter().any(|prefix| name.starts_with(prefix)))
}

/// The elements of `Forwarded` (RFC 7239 section 4) without `for` and `by`, which differ for every client. Separators inside
/// of quotes split too: that can only make the key longer.
fn forwarded_origin(value: &HeaderValue) -> impl Iterator<Item = Vec<u8>> {
    let is_party = |element: &&[u8]| {
        element.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"for="))
            || element.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"by="))
    };
    let elements = value.as_bytes().split(|byte| matches!(byte, b',' | b';')).map(<[u8]>::trim_ascii);
    elements.filter(move |element| !is_party(element)).map(|element| [b"forwarded: ", element].concat())
}
