//! The HTTP client needs the feature `fetch`.

use tower_token_exchange::fetch::HttpFetch;

fn main() {
    let _ = HttpFetch::builder();
}
