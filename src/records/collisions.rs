use super::{ConfigError, Issuer, OwnSubjects, SubjectMapping, config_error::Record, registry::Registry};

/// Two issuers must never be able to name the same subject of ours (RFC 7519 section 4.1.2).
pub(super) fn check_collisions(registry: &Registry, issuers: &[Issuer], own: OwnSubjects) -> Result<(), ConfigError> {
    const UNPREFIXED: &str = "another issuer whose subjects have no prefix";
    let ours = "our own issuer (if that has no subjects of its own, say `federated_subjects_only`)";
    let mut unprefixed = (own == OwnSubjects::Some).then_some(ours);
    let mut prefixes: Vec<&str> = Vec::new();
    for (position, issuer) in issuers.iter().enumerate().filter(|(_, issuer)| !registry.is_own(&issuer.id)) {
        let record = Record { kind: "issuer", position, name: &issuer.id };
        let collides = |other: &str| {
            let help = format!("could name the same subject as {other}: give it a `SubjectMapping::Prefix` of its own");
            Err(record.wrong("subjects", help))
        };
        match &issuer.subjects {
            None => {
                let help = "say how its `sub` becomes ours: `SubjectMapping::Prefix`, `Keep` or `Claim`";
                return Err(record.wrong("subjects", help));
            }
            Some(SubjectMapping::Prefix(prefix)) => {
                if prefix.is_empty() {
                    return Err(record.wrong("subjects", "an empty prefix keeps the name: say `SubjectMapping::Keep`"));
                }
                let overlaps = |other: &&&str| prefix.starts_with(**other) || other.starts_with(prefix.as_str());
                if let Some(other) = prefixes.iter().find(overlaps) {
                    return collides(&format!("the issuer with the prefix `{other}`"));
                }
                if unprefixed == Some(UNPREFIXED) {
                    return collides(UNPREFIXED);
                }
                prefixes.push(prefix);
            }
            Some(SubjectMapping::Keep | SubjectMapping::Claim(_)) => {
                if let Some(other) = unprefixed {
                    return collides(other);
                }
                if let Some(other) = prefixes.first() {
                    return collides(&format!("the issuer with the prefix `{other}`"));
                }
                unprefixed = Some(UNPREFIXED);
            }
        }
    }
    Ok(())
}
