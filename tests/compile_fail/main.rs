//! The compiler messages for the likeliest mistakes name the mistake and the remedy.
//!
//! The file beside each case holds the expected message, which is the message of the Rust version in CI.
//! `TRYBUILD=overwrite cargo test --test compile_fail -- --ignored` writes the files again.

#[test]
#[ignore = "compiles the library once more, without features; .ci/run runs this test"]
fn likely_mistakes_have_helpful_messages() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
}
