use super::{Form, GRANT_TYPE, Reason, Rejection, Sender, Sensitive, TokenType, refuse};
use http::{HeaderValue, header::AUTHORIZATION};

/// The parameters of a token exchange request as received, unchecked (RFC 8693 section 2.1).
#[derive(Debug)]
pub(crate) struct Requested {
    pub(crate) resources: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) scope: Option<String>,
    pub(crate) requested_token_type: Option<String>,
    pub(crate) subject_token: Option<Sensitive>,
    pub(crate) subject_token_type: Option<String>,
    pub(crate) actor_token: Option<Sensitive>,
    pub(crate) actor_token_type: Option<String>,
}

/// The client identification of a request as received, unchecked (RFC 6749 section 2.3).
pub(crate) struct Identification<'a> {
    pub(crate) sender: Sender<'a>,
    pub(crate) authorization: Option<&'a HeaderValue>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Sensitive>,
    pub(crate) client_assertion: Option<Sensitive>,
    pub(crate) client_assertion_type: Option<String>,
}

impl<'a> Identification<'a> {
    /// Takes the client identification from the sender and the form of a request.
    fn take(sender: Sender<'a>, form: &mut Form) -> Result<Self, Rejection> {
        let headers = sender.headers;
        let mut authorizations = headers.get_all(AUTHORIZATION).iter();
        let authorization = authorizations.next();
        if authorizations.next().is_some() {
            return Err(refuse(Reason::SeveralClientCredentials));
        }
        Ok(Self {
            sender,
            authorization,
            client_id: form.take("client_id"),
            client_secret: form.take_sensitive("client_secret"),
            client_assertion: form.take_sensitive("client_assertion"),
            client_assertion_type: form.take("client_assertion_type"),
        })
    }

    /// Reads the client identification of an introspection or a revocation request (RFC 7662 section 2.1, RFC 7009 section
    /// 2.1).
    pub(crate) fn read(sender: Sender<'a>, body: &[u8]) -> Result<Self, Rejection> {
        Self::take(sender, &mut Form::parse(body)?)
    }
}

/// A token as the client sent it, with the type that the client declared for the token.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredToken {
    pub(crate) token: Sensitive,
    pub(crate) token_type: TokenType,
}

/// A token exchange request: a form that can be read in one way only.
pub(crate) struct TokenRequest<'a> {
    pub(crate) identification: Identification<'a>,
    pub(crate) requested: Requested,
}

impl<'a> TokenRequest<'a> {
    /// Reads the sender and the form of a token exchange request.
    pub(crate) fn read(sender: Sender<'a>, body: &[u8]) -> Result<Self, Rejection> {
        let mut form = Form::parse(body)?;
        match form.take_sensitive("grant_type") {
            Some(grant) if grant.expose() == GRANT_TYPE => {}
            Some(_) => return Err(refuse(Reason::UnsupportedGrantType)),
            None => return Err(refuse(Reason::GrantTypeMissing)),
        }
        Ok(Self {
            identification: Identification::take(sender, &mut form)?,
            requested: Requested {
                scope: form.take("scope"),
                requested_token_type: form.take("requested_token_type"),
                subject_token: form.take_sensitive("subject_token"),
                subject_token_type: form.take("subject_token_type"),
                actor_token: form.take_sensitive("actor_token"),
                actor_token_type: form.take("actor_token_type"),
                resources: form.resources,
                audiences: form.audiences,
            },
        })
    }
}
