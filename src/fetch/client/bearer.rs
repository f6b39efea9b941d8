use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION, uri::Scheme};
use zeroize::Zeroizing;

use crate::fetch::uri::origin;

/// The files with a bearer token, each for one origin.
#[derive(Clone, Default)]
pub(super) struct BearerTokens(Arc<[(Origin, PathBuf)]>);

type Origin = (Scheme, String, u16);

impl BearerTokens {
    /// Reads the origins. Returns the first text that is not an origin.
    pub(super) fn new(files: &[(String, PathBuf)]) -> Result<Self, &str> {
        let read = |(text, path): &(String, PathBuf)| Some((origin(text)?, path.clone()));
        match files.iter().find(|file| read(file).is_none()) {
            Some((text, _)) => Err(text),
            None => Ok(Self(files.iter().filter_map(read).collect())),
        }
    }

    /// Adds the token for the origin of a URI to the headers of a request. The file is read each time, because a platform
    /// replaces the token before the token expires.
    pub(super) async fn add(&self, uri: &Uri, headers: &mut HeaderMap) -> io::Result<()> {
        if self.0.is_empty() || headers.contains_key(AUTHORIZATION) {
            return Ok(());
        }
        let wanted = origin(&uri.to_string());
        let Some((_, path)) = self.0.iter().find(|(known, _)| Some(known) == wanted.as_ref()) else { return Ok(()) };
        let path = path.clone();
        let value = tokio::task::spawn_blocking(move || read(&path)).await.map_err(io::Error::other)??;
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<HeaderValue> {
    let token = Zeroizing::new(fs::read_to_string(path)?);
    let header = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut value = HeaderValue::try_from(&**header).map_err(io::Error::other)?;
    value.set_sensitive(true);
    Ok(value)
}
