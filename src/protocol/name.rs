/// The longest name in bytes.
const MAX_BYTES: usize = 1024;

/// Returns whether a text can be a name in a token: 1 to 1024 bytes without characters that are invisible, or that change
/// how the text around them is shown.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(is_unreadable)
}

/// Returns whether a character is a control character, changes the direction of text, ends a line, or is not a character
/// (Unicode Technical Report 36).
fn is_unreadable(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || (0xfdd0..=0xfdef).contains(&code)
        || code & 0xfffe == 0xfffe
}
