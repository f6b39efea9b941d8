//! The search for the smallest candidate that shows a difference.

use crate::candidate::Candidate;

/// Removes parts of a candidate as long as the smaller candidate is a difference too.
pub(crate) fn shrink(mut candidate: Candidate, mut is_difference: impl FnMut(&Candidate) -> bool) -> Candidate {
    loop {
        let before = candidate.clone();
        for position in (0..candidate.headers.len()).rev() {
            let mut smaller = candidate.clone();
            smaller.headers.remove(position);
            keep(&mut candidate, smaller, &mut is_difference);
        }
        for index in 0..candidate.headers.len() {
            let set = |candidate: &mut Candidate, bytes: &[u8]| candidate.headers[index].1 = latin1(bytes);
            let bytes = candidate.headers[index].1.chars().map(|c| c as u8).collect();
            shrink_bytes(&mut candidate, bytes, set, &mut is_difference);
        }
        let target = candidate.target.clone().into_bytes();
        let set = |candidate: &mut Candidate, bytes: &[u8]| candidate.target = latin1(bytes);
        shrink_bytes(&mut candidate, target, set, &mut is_difference);
        let body = candidate.body.clone();
        let set = |candidate: &mut Candidate, bytes: &[u8]| candidate.body = bytes.to_vec();
        shrink_bytes(&mut candidate, body, set, &mut is_difference);
        if candidate == before {
            return candidate;
        }
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Removes pieces of one part: first large pieces, then single bytes.
fn shrink_bytes(
    candidate: &mut Candidate,
    mut bytes: Vec<u8>,
    set: impl Fn(&mut Candidate, &[u8]),
    is_difference: &mut impl FnMut(&Candidate) -> bool,
) {
    let mut size = bytes.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < bytes.len() {
            let mut smaller = candidate.clone();
            let rest = [&bytes[..start], bytes.get(start + size..).unwrap_or_default()].concat();
            set(&mut smaller, &rest);
            if keep(candidate, smaller, is_difference) {
                bytes = rest;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
}

fn keep(candidate: &mut Candidate, smaller: Candidate, is_difference: &mut impl FnMut(&Candidate) -> bool) -> bool {
    let keeps = is_difference(&smaller);
    if keeps {
        *candidate = smaller;
    }
    keeps
}

#[test]
fn a_difference_is_shrunk_to_its_cause() {
    let candidate = Candidate {
        method: "POST".to_owned(),
        target: "/token?a=b".to_owned(),
        headers: vec![("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d".to_owned())],
        body: b"what is the cause?".to_vec(),
    };
    let is_difference = |candidate: &Candidate| {
        candidate.headers.iter().any(|(name, _)| name == "c") && candidate.body.windows(3).any(|part| part == b"the")
    };
    let shrunk = shrink(candidate, is_difference);
    assert_eq!((shrunk.target.as_str(), shrunk.body.as_slice()), ("", &b"the"[..]));
    assert_eq!(shrunk.headers, [("c".to_owned(), String::new())]);
}
