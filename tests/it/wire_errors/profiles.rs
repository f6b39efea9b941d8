//! Error profiles: every refusal of the table again, with each profile.

use super::*;
use ReasonClass::{Denied, Grant, Scope, Target, Token};
use http::StatusCode;
use tower_token_exchange::error::{ErrorCode, ErrorProfile, ReasonClass};

/// The classes that a profile maps, with their answers.
type Mapped = &'static [(ReasonClass, &'static str, u16)];

fn profiles() -> Vec<(ErrorProfile, Mapped)> {
    let everything = [Grant, Target, Scope, Token].into_iter().fold(ErrorProfile::okta(), |profile, class| {
        profile.answer_with(class, ErrorCode::InvalidClient, StatusCode::UNAUTHORIZED)
    });
    vec![
        (ErrorProfile::rfc8693(), &[]),
        (
            ErrorProfile::keycloak(),
            &[(Grant, "invalid_request", 400), (Target, "invalid_request", 400), (Denied, "access_denied", 403)],
        ),
        (ErrorProfile::spring(), &[(Token, "invalid_grant", 400), (Denied, "invalid_grant", 400)]),
        (ErrorProfile::okta(), &[(Token, "invalid_grant", 400), (Denied, "access_denied", 400)]),
        // A mapping takes precedence over the preset.
        (
            everything,
            &[
                (Grant, "invalid_client", 401),
                (Target, "invalid_client", 401),
                (Scope, "invalid_client", 401),
                (Token, "invalid_client", 401),
                (Denied, "access_denied", 400),
            ],
        ),
    ]
}

#[tokio::test]
async fn a_profile_changes_only_its_classes() {
    for (profile, mapped) in profiles() {
        for mut row in table() {
            let class = row.reason.class();
            if let Some((_, error, status)) = mapped.iter().find(|(known, ..)| *known == class) {
                (row.error, row.status, row.challenged) = (error, *status, *status == 401);
            }
            let profile = profile.clone();
            let mut world = (row.world)().with(|builder| builder.error_profile(profile)).start().await;
            row.ask.resolve(&world);
            let reply = world.send(row.ask.request(&world)).await;
            // No profile changes the answer to a failure.
            check(&row, &reply);
            assert_eq!(reply.json()["error_description"], row.reason.description(), "{}", row.name);
            check_event(&row, &world.event().await);
        }
    }
}

#[test]
fn every_mapped_class_has_a_row() {
    let rows = table();
    for class in [Grant, Target, Scope, Token, Denied] {
        assert!(rows.iter().any(|row| row.reason.class() == class), "no row of `{class}`");
    }
}
