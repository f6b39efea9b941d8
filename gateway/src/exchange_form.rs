use tower_token_exchange::{GRANT_TYPE, TokenType};

/// The form of a token exchange request.
pub(crate) fn exchange_form(token: &str, token_type: &TokenType, target: &str, scope: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TYPE)
        .append_pair("subject_token", token)
        .append_pair("subject_token_type", token_type.as_str())
        .append_pair("audience", target);
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    form.finish()
}
