use super::{TokenRole, jwt::Jwt};
use crate::protocol::{DeclaredToken, Rejection};

/// The longest name that a description repeats, in characters.
const MAX_NAME: usize = 80;

/// Adds to a refusal the role of the refused token, and whose token it claims to be. Nothing of this is verified. The
/// refusal gets no part of a signature or of an opaque token.
pub(crate) fn refused(rejection: Rejection, declared: &DeclaredToken, role: TokenRole) -> Rejection {
    let name = format!("{role} token");
    let Some(jwt) = Jwt::read(declared.token.expose()) else { return rejection.about(&name, "opaque") };
    let Ok(claims) = jwt.claims() else { return rejection.about(&name, "without readable claims") };
    let text = |claim| match claims.text(claim) {
        Ok(Some(text)) => format!("`{}`", shortened(text)),
        _ => "nobody".to_owned(),
    };
    rejection.about(&name, &format!("claims to be of {} from {}", text("sub"), text("iss")))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
