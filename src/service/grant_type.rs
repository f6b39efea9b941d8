//! The search for the token exchange grant in a body that another server could read in another way.

use crate::protocol::{GRANT_TYPE, any_parameter, any_string, form_pairs};

const USUAL_PARAMETERS: [&[u8]; 2] = [
    b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
    b"grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
];

/// Whether any reading of a form contains the token exchange grant. The layer must see the grant in every form in which
/// another server could read the grant.
pub(crate) fn form_contains_exchange_grant(form: &[u8]) -> bool {
    // Correct clients write the parameter in one of these ways. The search for every other way takes much longer.
    form_pairs(form).any(|pair| USUAL_PARAMETERS.contains(&pair))
        || any_parameter(form, "grant_type", is_exchange_grant)
}

/// Whether any string in a JSON text is the token exchange grant. `None` if the text is not JSON.
pub(crate) fn json_contains_exchange_grant(json: &[u8]) -> Option<bool> {
    any_string(json, is_exchange_grant)
}

fn is_exchange_grant(text: &str) -> bool {
    // A server that ignores the letter case can take the Kelvin sign for a `k`, and `ſ` for an `s`.
    text.eq_ignore_ascii_case(GRANT_TYPE) || (!text.is_ascii() && text.to_uppercase().to_lowercase() == GRANT_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_is_found_in_every_form() {
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
        for form in [
            format!("grant_type={grant}"),
            format!("grant_type={GRANT_TYPE}"),
            format!("a=b&grant_type={grant}"),
            format!("grant_type=password&grant_type={grant}"),
            format!("%67rant_type={grant}"),
            format!("GRANT_TYPE={grant}"),
            format!("grant_type[]={grant}"),
            format!("grant_type=password;grant_type={grant}"),
            format!("grant_type=+{grant}+"),
            format!("grant_type=%00%1f{grant}%1c%00x"),
            format!("%00%01grant_type%02={grant}"),
            format!("grant_type={}", grant.replace('k', "%E2%84%AA")),
            format!("grant_type={}", grant.replace('s', "%C5%BF")),
            format!("grant_type={}", grant.to_uppercase()),
            format!("x=%ff&grant_type={grant}"),
            format!("grant.type={grant}"),
            format!("grant+type={grant}"),
            format!("grant[type={grant}"),
            format!("grant_type+[]={grant}"),
            format!("[grant_type]={grant}"),
            format!("?grant_type={grant}"),
            format!("grant_type={}", grant.replace('n', "%6>").replace('m', "%6=")),
            format!("grant_type]={grant}"),
            format!("]grant_type={grant}"),
            format!("[[grant_type]]x={grant}"),
            format!(".grant_type={grant}"),
            format!("grant_type=={grant}"),
            format!("grant_type[;]={grant}"),
            format!("grant_type=\"{grant}\""),
            format!("grant_type[=]={grant}"),
            format!("grant_type%5b=a=%5d={grant}"),
            format!("%5Bgrant_type%5D={grant}"),
            format!("%EF%BB%BFgrant_type%00x={grant}"),
            format!("%u0067rant_type={grant}"),
            format!("%U0067rant_type={grant}"),
            format!("grant_type=%u0075{}", &grant[1..]),
            format!("%u00zz=x&%u=y&grant_type={grant}"),
        ] {
            assert!(form_contains_exchange_grant(form.as_bytes()), "{form}");
        }
        for form in [
            "",
            "%u",
            "%u006",
            "grant_type=password",
            &format!("grant_types={grant}"),
            &format!("grant-type={grant}"),
            &format!("g.ant_type={grant}"),
            &format!("scope={grant}"),
            &format!("x[grant_type]={grant}"),
            &format!("{grant}=grant_type"),
        ] {
            assert!(!form_contains_exchange_grant(form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn the_grant_is_found_anywhere_in_json() {
        let grant = GRANT_TYPE;
        let escaped = grant.replace('u', "\\u0075");
        let cases = [
            (format!(r#"{{"grant_type":"{grant}"}}"#), Some(true)),
            (format!(r#"{{"grant_type":"{escaped}"}}"#), Some(true)),
            (format!(r#"{{"grant_type":"{grant}","grant_type":"password"}}"#), Some(true)),
            (format!(r#"{{"a":[{{"b":"{grant}"}},1.5,-1,null,true]}}"#), Some(true)),
            (format!(r#""{grant}""#), Some(true)),
            (r#"{"grant_type":"password","n":[null,true,-1,1,1.5]}"#.to_owned(), Some(false)),
            (String::new(), None),
            (format!(r#"{{"grant_type":"{grant}",}}"#), None),
            (format!(r#"/**/{{"grant_type":"{grant}"}}"#), None),
            (format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)), None),
        ];
        for (json, found) in cases {
            assert_eq!(json_contains_exchange_grant(json.as_bytes()), found, "{}", &json[..json.len().min(60)]);
        }
    }
}
