//! Another server's answers: every refusal of the table again, under each profile.

use super::*;
use ReasonClass::{Denied, Grant, Scope, Target, Token};
use http::StatusCode;
use tower_token_exchange::error::{ErrorCode, ErrorProfile, ReasonClass};

/// What a profile makes of each class; it leaves all others alone.
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
        // What was given goes before what the preset says, and a preset stays where nothing was.
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
async fn a_profile_changes_the_answer_of_whole_classes_and_nothing_else() {
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
            // Infrastructure is told as what it is, whatever the profile.
            check(&row, &reply);
            assert_eq!(reply.json()["error_description"], row.reason.description(), "{}", row.name);
            check_event(&row, &world.event().await);
        }
    }
}

/// The classes are few, and each of those that can be mapped has a row above.
#[test]
fn every_class_that_can_be_mapped_is_in_the_table() {
    let rows = table();
    for class in [Grant, Target, Scope, Token, Denied] {
        assert!(rows.iter().any(|row| row.reason.class() == class), "no row of `{class}`");
    }
}
