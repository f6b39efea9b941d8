use super::Problem;
use crate::{
    config::Config,
    upstream::{TIMEOUT, pooled_client},
};
use axum::body::Body;
use http::Request;
use rustls::{CertificateError, Error as TlsError};
use std::{error::Error, io};
use tower::{BoxError, ServiceExt};

/// Connects to the authorization server.
pub(super) async fn check(config: &Config) -> Result<String, Problem> {
    let url = &config.settings.upstream.url;
    let client = pooled_client(config).map_err(|error| Problem::fatal(format!("{error:#}")))?;
    let request = Request::head(url).body(Body::empty()).map_err(|error| Problem::fatal(error.to_string()))?;
    match tokio::time::timeout(TIMEOUT, client.oneshot(request)).await {
        Ok(Ok(_)) => Ok(format!("{url} answers")),
        Ok(Err(error)) => {
            let remedy = remedy(&error);
            let error = anyhow::Error::from_boxed(error);
            Err(Problem::fatal(format!("{url}: {error:#}; {remedy}")))
        }
        Err(_elapsed) => {
            let seconds = TIMEOUT.as_secs();
            Err(Problem::fatal(format!(
                "{url}: no answer within {seconds} s; correct `upstream.url`, or start the server"
            )))
        }
    }
}

/// What to do about an error of a connection.
fn remedy(error: &BoxError) -> &'static str {
    match certificate_error(&**error) {
        Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "set `upstream.tls_server_name` to a name of the certificate"
        }
        Some(CertificateError::UnknownIssuer) => "set `upstream.ca` to the certificate of the server's authority",
        Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "renew the certificate of the server"
        }
        _ => "correct `upstream.url`, or start the server",
    }
}

/// The problem of the server's certificate, wherever in the chain of errors it is.
fn certificate_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    if let Some(TlsError::InvalidCertificate(problem)) = error.downcast_ref::<TlsError>() {
        return Some(problem);
    }
    // The source of an I/O error is not the error that it holds, but the source of that error.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    next.and_then(certificate_error)
}
