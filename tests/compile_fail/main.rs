//! The compiler messages for the likeliest mistakes name the mistake and the remedy.
//!
//! The file beside each case holds the expected message. `TRYBUILD=overwrite cargo test --test compile_fail` writes the
//! files again.

/// Compares the messages with the expected ones, which are those of one version of the compiler.
#[rustversion::attr(not(stable(1.95)), ignore = "the expected messages are those of Rust 1.95")]
#[test]
fn likely_mistakes_have_helpful_messages() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
}
