use super::{TokenRole, jwt::Jwt};
use crate::protocol::{DeclaredToken, Detail, Rejection};

/// The longest name that a description has, in characters.
const MAX_NAME: usize = 80;

/// Adds to a refusal the role of the refused token, and whose token it is. The refusal gets no part of a signature or of
/// an opaque token.
///
/// If the token is not genuine, the names are unverified texts.
pub(super) fn refused(rejection: Rejection, declared: &DeclaredToken, role: TokenRole, is_genuine: bool) -> Rejection {
    let name = format!("{role} token");
    let Some(jwt) = Jwt::read(declared.token.expose()) else { return rejection.about(&name, "opaque") };
    let Ok(claims) = jwt.claims() else { return rejection.about(&name, "without readable claims") };
    let with_name = |detail: Detail, claim| match claims.text(claim) {
        Ok(Some(text)) if is_genuine => detail.words(format_args!("`{}`", shortened(text))),
        Ok(Some(text)) => detail.unverified(shortened(text)),
        _ => detail.words("nobody"),
    };
    let of = with_name(Detail::from(if is_genuine { "of " } else { "claims to be of " }), "sub");
    rejection.about(&name, with_name(of.words(" from "), "iss"))
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_NAME).map_or(text, |(end, _)| &text[..end])
}
