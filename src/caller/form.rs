use crate::protocol::{Scope, Sensitive, form_encode, wiped_on_drop};
use bytes::Bytes;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// The length of the shortest text that is looked for as a secret, in bytes.
const SHORTEST_SECRET: usize = 8;

/// The form of a request to the token endpoint. The memory of tokens and secrets is wiped.
#[derive(Clone, Default)]
pub(super) struct Form(Vec<(&'static str, Value)>);

#[derive(Clone)]
enum Value {
    Plain(Cow<'static, str>),
    Sensitive(Sensitive),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Sensitive(text) => text.expose(),
        }
    }
}

impl Form {
    pub(super) fn new(grant_type: &'static str) -> Self {
        Self(vec![("grant_type", Value::Plain(grant_type.into()))])
    }

    pub(super) fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, Value::Plain(Cow::Owned(value.into()))));
    }

    /// Adds a token or a secret.
    pub(super) fn add_sensitive(&mut self, name: &'static str, value: Sensitive) {
        self.0.push((name, Value::Sensitive(value)));
    }

    pub(super) fn add_targets(&mut self, audiences: &[String], resources: &[String]) {
        audiences.iter().for_each(|name| self.add("audience", name));
        resources.iter().for_each(|uri| self.add("resource", uri));
    }

    pub(super) fn add_scope(&mut self, scope: Option<&Scope>) {
        if let Some(scope) = scope {
            self.add("scope", scope.as_text());
        }
    }

    /// Whether a text contains a token or a secret of the form. A shorter text than any secret is also a part of usual words.
    pub(super) fn is_exposed_in(&self, text: &str) -> bool {
        self.0.iter().any(|(_, value)| match value {
            Value::Plain(_) => false,
            Value::Sensitive(secret) => secret.expose().len() >= SHORTEST_SECRET && text.contains(secret.expose()),
        })
    }

    /// Encodes the form (RFC 6749 appendix B).
    pub(super) fn encode(&self) -> Bytes {
        // Each byte becomes at most three, so the buffer never grows. A buffer that grows leaves a copy.
        let most = self.0.iter().map(|(name, value)| name.len() + 2 + 3 * value.text().len()).sum();
        let mut encoded = Vec::with_capacity(most);
        for (name, value) in &self.0 {
            if !encoded.is_empty() {
                encoded.push(b'&');
            }
            encoded.extend_from_slice(name.as_bytes());
            encoded.push(b'=');
            encoded.extend_from_slice(Zeroizing::new(form_encode(value.text())).as_bytes());
        }
        wiped_on_drop(encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_in_order() {
        let mut form = Form::new("g");
        form.add("audience", "a b");
        form.add_sensitive("subject_token", Sensitive::new("a+&=é-token".into()));
        assert_eq!(&form.encode()[..], b"grant_type=g&audience=a+b&subject_token=a%2B%26%3D%C3%A9-token");
        assert!(form.is_exposed_in("the token a+&=é-token is bad") && !form.is_exposed_in("a b"));
    }
}
