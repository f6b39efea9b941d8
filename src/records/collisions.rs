use super::{
    ConfigError, ConfigErrorKind, Issuer, IssuerRecord, Problems, SubjectMapping, Wording,
    issuer::{SUBJECTS, TOKENS},
    names::Names,
    place::Place,
};
use std::sync::Arc;

/// Whether this authorization server has subjects of its own, in addition to subjects of foreign issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnSubjects {
    Some,
    None,
}

/// Checks that no two issuers can name the same subject of ours (RFC 7519 section 4.1.2).
pub(super) fn check_subjects(issuers: &[Issuer], own: OwnSubjects, names: &Names, problems: &mut Problems) {
    const UNPREFIXED: &str = "another issuer whose subjects have no prefix";
    let ours = "our own issuer (set `federated_subjects_only` if our own issuer has no subjects)";
    let mut unprefixed = (own == OwnSubjects::Some).then_some(ours);
    let mut prefixes: Vec<&str> = Vec::new();
    let has_subjects = |issuer: &Issuer| !names.is_own(&issuer.id) && !issuer.for_clients_only;
    for (position, issuer) in issuers.iter().enumerate().filter(|(_, issuer)| has_subjects(issuer)) {
        let place = issuer.place(position);
        match &issuer.subjects {
            None => {
                let help = format!("missing: give {}", mappings(&place));
                problems.add(place.wrong(SUBJECTS, help).of_kind(ConfigErrorKind::Missing));
            }
            Some(SubjectMapping::Prefix(prefix)) if prefix.is_empty() => {
                let keep = if place.wording() == Wording::Keys { "\"keep\"" } else { "SubjectMapping::Keep" };
                problems.add(place.wrong(SUBJECTS, format!("the prefix is empty: give a prefix, or use `{keep}`")));
            }
            Some(SubjectMapping::Prefix(prefix)) => {
                let overlaps = |other: &&&str| prefix.starts_with(**other) || other.starts_with(prefix.as_str());
                if let Some(other) = prefixes.iter().find(overlaps) {
                    problems.add(collision(&place, &format!("the issuer with the prefix `{other}`")));
                } else if unprefixed == Some(UNPREFIXED) {
                    problems.add(collision(&place, UNPREFIXED));
                }
                prefixes.push(prefix);
            }
            Some(SubjectMapping::Keep | SubjectMapping::Claim(_)) => {
                if let Some(other) = unprefixed {
                    problems.add(collision(&place, other));
                } else if let Some(other) = prefixes.first() {
                    problems.add(collision(&place, &format!("the issuer with the prefix `{other}`")));
                }
                unprefixed = Some(UNPREFIXED);
            }
        }
    }
}

fn mappings(place: &Place<'_>) -> &'static str {
    match place.wording() {
        Wording::Keys => "`{ prefix = \"…\" }`, `\"keep\"` or `{ claim = \"…\" }`",
        Wording::Methods => "`SubjectMapping::Prefix`, `Keep` or `Claim`",
    }
}

fn collision(place: &Place<'_>, other: &str) -> ConfigError {
    let prefix = match place.wording() {
        Wording::Keys => "{ prefix = \"…\" }",
        Wording::Methods => "SubjectMapping::Prefix",
    };
    let help =
        format!("a subject could have the same name as a subject of {other}: give each issuer a different `{prefix}`");
    place.wrong(SUBJECTS, help).of_kind(ConfigErrorKind::Conflict)
}

/// Checks that the key of a token without `iss` shows the issuer of the token.
pub(super) fn check_absent_iss(issuers: &[Issuer], problems: &mut Problems) {
    for (position, issuer) in issuers.iter().enumerate().filter(|(_, issuer)| issuer.accepts_tokens_without_iss()) {
        let others = || issuers.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, other)| other);
        let cause = match (others().find(|other| issuer.shares_keys(other)), &issuers[..position]) {
            (Some(other), _) => format!(
                "issuer `{}` has the same key set, so the signature of a token without `iss` does not show its issuer: \
                 give each issuer keys of its own, or remove `allow_absent_iss`",
                other.id
            ),
            (None, before) => match before.iter().find(|before| before.accepts_tokens_without_iss()) {
                Some(other) => {
                    format!(
                        "issuer `{}` has tokens without `iss`, too: keep `allow_absent_iss` in one record",
                        other.id
                    )
                }
                None => continue,
            },
        };
        problems.add(issuer.place(position).wrong(TOKENS, cause).of_kind(ConfigErrorKind::Conflict));
    }
}

/// Checks that only one issuer is asked about each type of opaque tokens, which do not name their issuer.
pub(super) fn check_introspection<'a>(
    issuer: &IssuerRecord,
    others: impl Iterator<Item = &'a Arc<IssuerRecord>>,
    place: &Place<'_>,
) -> Result<(), ConfigError> {
    let asked = others.filter(|other| other.introspection.is_some() && issuer.introspection.is_some());
    let mut types = asked.flat_map(|other| other.accepted_types().map(move |token_type| (other, token_type)));
    match types.find(|(_, token_type)| issuer.accepts(token_type)) {
        Some((other, token_type)) => {
            let help = format!(
                "issuer `{}` is also asked about opaque tokens of type `{token_type}`: give one of the two issuers a type \
                 of its own",
                other.id
            );
            Err(place.wrong("introspection", help).of_kind(ConfigErrorKind::Conflict))
        }
        None => Ok(()),
    }
}
