//! Paths that a lenient server could take for the path of an endpoint.

use crate::protocol::{lenient_percent_decode, unescaped_utf16};
use http::Uri;
use std::iter;

/// Whether a lenient server could take this path for the path of the endpoint.
///
/// A path below the endpoint is similar too, because many servers give the rest of the path to the program at the endpoint
/// (`PATH_INFO`). So is the endpoint below a program, as in `/index.php/token`, and below a host, as in `//host/token`.
pub(super) fn are_similar(endpoint: &str, path: &str) -> bool {
    is_similar_path(endpoint, path) || paths_behind_host(path).any(|path| is_similar_path(endpoint, path))
}

fn is_similar_path(endpoint: &str, path: &str) -> bool {
    // The segments of a path of these characters need no list. Most paths of requests are such.
    let is_plain = |path: &str| path.bytes().all(|byte| byte.is_ascii_graphic() && !b"%\\;#?+".contains(&byte));
    let are_plain = is_plain(endpoint) && is_plain(path);
    let has_host = begins_with_host(path);
    Reading::ALL.into_iter().any(|reading| {
        if are_plain {
            return is_similar_list(plain_segments(endpoint, reading), plain_segments(path, reading), has_host);
        }
        let [wanted, found] = [endpoint, path].map(|path| folded(&lenient_segments(path, reading)));
        let [wanted, found] = [&wanted, &found].map(|list| list.iter().rev().map(String::as_str));
        is_similar_list(wanted, found, has_host)
    })
}

/// How a server reads the segments of a path that have no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The server removes empty segments before dot segments, so that `..` removes the name before an empty segment.
    EmptyFirst,
    /// The server removes empty segments after dot segments, so that `..` removes an empty segment (RFC 3986 section 5.2.4).
    EmptyLast,
    /// The server takes `.` and `..` for names.
    DotsKept,
}

impl Reading {
    const ALL: [Self; 3] = [Self::EmptyFirst, Self::EmptyLast, Self::DotsKept];
}

/// The most spellings of one path that a function is asked about.
const MAX_SPELLINGS: usize = 256;

/// The plain spellings of the paths that a lenient server could read in a path, for a function that knows the plain spelling
/// of an endpoint only. `None` if there are too many.
///
/// The paths above the path are among them, because the path could be below an endpoint.
pub(super) fn plain_spellings(path: &str) -> Option<Vec<Uri>> {
    let mut spellings = Vec::new();
    let paths = iter::once(path).chain(paths_behind_host(path));
    for (path, reading) in paths.flat_map(|path| Reading::ALL.map(|reading| (path, reading))) {
        let segments = lenient_segments(path, reading);
        for segments in [folded(&segments), segments] {
            for start in starts(&segments, begins_with_host(path)) {
                for end in start..=segments.len() {
                    add_spellings(&mut spellings, &segments[start..end]);
                    if spellings.len() > MAX_SPELLINGS {
                        return None;
                    }
                }
            }
        }
    }
    spellings.iter().map(|path| path.parse().ok()).collect()
}

/// Adds the path of these segments: with and without file extensions at its end, and with and without a slash at its end.
fn add_spellings(spellings: &mut Vec<String>, segments: &[String]) {
    let mut path = segments.iter().fold(String::new(), |path, segment| path + "/" + &escaped(segment));
    loop {
        for spelling in [path.clone(), path.clone() + "/"] {
            if !spelling.is_empty() && !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        let name = path.rfind('/').map_or(0, |slash| slash + 1);
        match path[name..].rfind(['.', ':']) {
            Some(extension) if extension > 0 => path.truncate(name + extension),
            _ => return,
        }
    }
}

fn escaped(segment: &str) -> String {
    const ESCAPED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
    percent_encoding::utf8_percent_encode(segment, ESCAPED).to_string()
}

/// The segments at which the path of an endpoint can start: the first, the segment after a host, and each segment after the
/// name of a program.
fn starts(segments: &[String], has_host: bool) -> impl Iterator<Item = usize> {
    let can_start = move |&start: &usize| start == 0 || (start == 1 && has_host) || is_program(&segments[start - 1]);
    (0..segments.len().max(1)).filter(can_start)
}

/// Whether a segment could be the name of a program, such as `index.php`.
fn is_program(segment: &str) -> bool {
    segment.contains('.')
}

/// Some servers read `//host/token` as a URL without a scheme.
fn begins_with_host(path: &str) -> bool {
    path.strip_prefix(['/', '\\']).is_some_and(|rest| rest.starts_with(['/', '\\']))
}

/// The paths behind a host, which can have an escaped slash or a backslash.
fn paths_behind_host(path: &str) -> impl Iterator<Item = &str> {
    let host = begins_with_host(path).then(|| path.trim_start_matches(['/', '\\']));
    host.into_iter()
        .flat_map(|host| [host.find(['/', '\\']), host.find('/')].into_iter().flatten().map(|end| &host[end..]))
}

/// Compares two lists of segments, which are given from the last to the first.
fn is_similar_list<'a>(
    wanted: impl Iterator<Item = &'a str> + Clone,
    found: impl Iterator<Item = &'a str> + Clone,
    has_host: bool,
) -> bool {
    // `/token/` can be the folder of `/token/index.php`.
    let mut folder = wanted.clone();
    if folder.next().is_some_and(is_index) && is_same_list(folder, found.clone()) {
        return true;
    }
    let mut above = found;
    loop {
        if ends_at(wanted.clone(), above.clone(), has_host) {
            return true;
        }
        if above.next().is_none() {
            return false;
        }
    }
}

/// Whether these segments, from the last to the first, are the endpoint.
fn ends_at<'a>(
    mut wanted: impl Iterator<Item = &'a str>,
    mut found: impl Iterator<Item = &'a str>,
    has_host: bool,
) -> bool {
    // Some servers take `/token.json` for `/token` with a format, and `/token` for `/token.php`.
    if let Some(last) = wanted.next()
        && !found.next().is_some_and(|found| stem(last).eq_ignore_ascii_case(stem(found)))
    {
        return false;
    }
    // The comparison allocates nothing, unlike one of lower-case copies.
    wanted.all(|wanted| found.next().is_some_and(|found| wanted.eq_ignore_ascii_case(found)))
        && found.next().is_none_or(|before| is_program(before) || (has_host && found.next().is_none()))
}

fn is_same_list<'a>(mut wanted: impl Iterator<Item = &'a str>, mut found: impl Iterator<Item = &'a str>) -> bool {
    wanted.all(|wanted| found.next().is_some_and(|found| wanted.eq_ignore_ascii_case(found))) && found.next().is_none()
}

fn is_index(name: &str) -> bool {
    ["index", "default"].iter().any(|index| stem(name).eq_ignore_ascii_case(index))
}

/// The name of a file without its extensions.
fn stem(name: &str) -> &str {
    let end = name.char_indices().skip(1).find(|(_, c)| matches!(c, '.' | ':'));
    end.map_or(name, |(end, _)| &name[..end])
}

/// The segments of a path without escapes, backslashes and parameters, from the last to the first.
fn plain_segments(path: &str, reading: Reading) -> impl Iterator<Item = &str> + Clone {
    let mut removed = 0_usize;
    path.rsplit('/').filter_map(move |segment| {
        if reading == Reading::DotsKept && matches!(segment, "." | "..") {
            return Some(segment);
        }
        if segment == ".." {
            removed += 1;
            return None;
        }
        let name = segment.trim_end_matches('.');
        if name.is_empty() {
            if reading == Reading::EmptyLast && segment != "." {
                removed = removed.saturating_sub(1);
            }
            return None;
        }
        if removed > 0 {
            removed -= 1;
            return None;
        }
        Some(name)
    })
}

/// Splits a path into segments as the most lenient server does.
///
/// Such a server decodes escapes repeatedly, takes `+` for a space, removes path parameters, empty segments and dot segments,
/// and cuts off a segment at a NUL and at a line break, and its ends at white space, control characters and dots.
fn lenient_segments(path: &str, reading: Reading) -> Vec<String> {
    // Path parameters are removed first, so that a broken escape in a parameter does not hide the path before the parameter.
    let without_parameters = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    let mut unescaped = without_parameters.collect::<Vec<_>>().join("/").replace('+', " ");
    for _ in 0..3 {
        unescaped = unescaped_utf16(&lenient_percent_decode(&unescaped)).into_owned();
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in unescaped.split(['/', '\\']) {
        let name = segment.split([';', '?', '#', '\0']).next().unwrap_or_default();
        if reading == Reading::DotsKept && matches!(name, "." | "..") {
            segments.push(name.to_owned());
            continue;
        }
        if name == ".." {
            segments.pop();
            continue;
        }
        let name = name.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
        // A pattern such as `(.*)` ends at a line break.
        let name = name.split(['\n', '\r']).next().unwrap_or_default();
        let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace() || c.is_control());
        if !name.is_empty() || (reading == Reading::EmptyLast && segment != ".") {
            segments.push(name.to_owned());
        }
    }
    segments.retain(|name| !name.is_empty());
    segments
}

/// The segments in one letter case. A letter such as `ſ` has the same letter in upper case as `s`.
fn folded(segments: &[String]) -> Vec<String> {
    segments.iter().map(|segment| segment.to_uppercase().to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_paths_are_found() {
        for (endpoint, path, expected) in [
            ("/token", "/token", true),
            ("/token", "/TOKEN/", true),
            ("/token", "//token.", true),
            ("/token", "/token.json", true),
            ("/token", "/token...", true),
            ("/a/token", "/A./x/../token", true),
            ("/token.php", "/token.PHP", true),
            ("/token.php", "/token", true),
            ("/token", "/x/%2e./token", true),
            ("/token", "/%2574oken;%zz", true),
            ("/token", "/%u0074oken", true),
            ("/token", "/%0atoken%0d%0a~/more", true),
            ("/token", "/to%E2%84%AAen", true),
            ("/token", "/token%3Fx/y", true),
            ("/token", "/token+", true),
            ("/token.php", "/token.php::$DATA", true),
            ("/token", "/token/x", true),
            ("/token", "/token.php/x/y", true),
            ("/token", "/token%2Fx", true),
            ("/token", "/index.php/token", true),
            ("/a/token", "/cgi/run.cgi/a/token/x", true),
            ("/token", "//host/token/x", true),
            ("/token", "/\\host/token", true),
            ("/token/index.php", "/token/", true),
            ("/index.php", "/", true),
            ("/", "/", true),
            ("/", "", true),
            ("/", "/token", true),
            ("/token", "/", false),
            ("/token", "/tokens", false),
            ("/token", "/style.css", false),
            ("/token", "/token/..", true),
            ("/token", "/token/../x", true),
            ("/token", "/x/token/..", false),
            ("/token", "/a/token", false),
            ("/token", "/a/b/token", false),
            ("/token", "//host/a/token", false),
            ("/a/token", "/token", false),
            ("/a.b/token", "/a/token", false),
            ("/token/index.php", "/x/", false),
            ("/a/token", "/A//../token", true),
            ("/token", "/A//../Token", true),
            ("/a/token", "/A/./../token", false),
            ("/a/token", "/A/.../../token", true),
            ("/a/token", "/a/%20/%2e%2e/Token", true),
            ("/a/token", "/a/;x/../Token", true),
            ("/a/token", "/a\\\\..\\token", true),
            ("/b/token", "/a//../token", false),
        ] {
            assert_eq!(are_similar(endpoint, path), expected, "{endpoint} {path}");
            // A path that needs no list has the same segments in the other comparison.
            let is_similar = Reading::ALL.into_iter().any(|reading| {
                let [wanted, found] = [endpoint, path].map(|path| folded(&lenient_segments(path, reading)));
                let [wanted, found] = [&wanted, &found].map(|list| list.iter().rev().map(String::as_str));
                is_similar_list(wanted, found, begins_with_host(path))
            });
            assert_eq!(is_similar, expected, "{endpoint} {path}");
            // A function that knows only the plain path of the endpoint finds the same spellings.
            let plain = endpoint.len() > 1 && !endpoint.contains('.');
            let is_spelled = plain_spellings(path).unwrap().iter().any(|spelling| spelling.path() == endpoint);
            assert!(!plain || is_spelled == expected, "{endpoint} {path}");
        }
    }

    #[test]
    fn a_host_can_have_a_slash() {
        for path in ["//u%2f@host/token", "//a\\b/token", "\\\\host\\token"] {
            assert!(are_similar("/token", path), "{path}");
            let spellings = plain_spellings(path).unwrap();
            assert!(spellings.iter().any(|spelling| spelling.path() == "/token"), "{path}");
        }
    }

    #[test]
    fn a_long_path_is_compared_quickly() {
        for segment in ["/a", "/a.b", "/a/..", "/..", "/%61", "/", "/token.php"] {
            let path = segment.repeat(30_000 / segment.len()) + "/x";
            assert_eq!(are_similar("/token", &path), segment == "/token.php", "{segment}");
            assert!(plain_spellings(&path).is_none_or(|spellings| spellings.len() <= MAX_SPELLINGS));
        }
    }
}
