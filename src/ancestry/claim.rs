//! The claim `ancestry`: one base64url text.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the version of the format: 1 |
//! | 4 | the earliest time of issue of all ancestors |
//! | 13 for each ancestor | id (6), client or issuer (3), signing key (1), kind and time of issue (3) |
//! | 10 more for each root | subject (5), session (5) |
//!
//! A *root* is an ancestor that the layer did not issue. The time of issue of an ancestor is a number of seconds after the
//! earliest time. A time that is more than 24 days later counts as 24 days later, so that a cut-off reaches too much and never
//! too little.

use data_encoding::BASE64URL_NOPAD;

const VERSION: u8 = 1;
const HEAD: usize = 5;
const PART: usize = 13;
const ROOT: usize = 10;
/// The longest claim that is read. A longer claim than any setting permits.
const MAX_BYTES: usize = HEAD + 64 * (PART + ROOT);

/// The bits of the field with the kind and the time of issue.
const ISSUED: u32 = 0;
const OWN_ROOT: u32 = 1;
const FOREIGN_ROOT: u32 = 2;
const KIND_SHIFT: u32 = 22;
const IN_SUBJECT_LINE: u32 = 1 << 21;
const UNKNOWN_TIME: u32 = IN_SUBJECT_LINE - 1;
const LATEST_OFFSET: u32 = UNKNOWN_TIME - 1;

/// The ancestors of a token, the nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ancestry(pub(super) Vec<Ancestor>);

/// A token that another token was exchanged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ancestor {
    pub(super) id: [u8; 6],
    /// The client to which this authorization server issued the token, or the foreign issuer. Zero stands for no client.
    pub(super) client_or_issuer: [u8; 3],
    /// The key that signed the token. Zero stands for a token without the name of a key.
    pub(super) signing_key: u8,
    /// The time of issue in seconds since 1970. `None` if the token does not state the time.
    pub(super) issued_at: Option<u32>,
    /// Whether the token has the same subject as the issued token, and is not an actor token or an ancestor of one.
    pub(super) in_subject_line: bool,
    pub(super) source: Source,
}

/// Who issued an ancestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The layer.
    Issued,
    /// Another server with the same issuer identifier.
    OwnRoot(Root),
    /// A foreign issuer.
    ForeignRoot(Root),
}

/// What a root adds. Zero stands for no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) subject: [u8; 5],
    pub(super) session: [u8; 5],
}

/// A text that is not an ancestry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Ancestry {
    /// The number of ancestors.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the claim.
    pub(crate) fn to_claim(&self) -> String {
        let earliest = self.0.iter().filter_map(|ancestor| ancestor.issued_at).min().unwrap_or(0);
        let mut bytes = Vec::with_capacity(HEAD + self.0.len() * (PART + ROOT));
        bytes.push(VERSION);
        bytes.extend(earliest.to_be_bytes());
        self.0.iter().for_each(|ancestor| ancestor.write(earliest, &mut bytes));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads the claim.
    pub(super) fn from_claim(text: &str) -> Result<Self, Malformed> {
        if text.len() > BASE64URL_NOPAD.encode_len(MAX_BYTES) {
            return Err(Malformed);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Malformed)?;
        let (head, mut rest) = bytes.split_first_chunk::<HEAD>().ok_or(Malformed)?;
        let [VERSION, earliest @ ..] = head else { return Err(Malformed) };
        let earliest = u32::from_be_bytes(*earliest);
        let mut ancestors = Vec::with_capacity(rest.len() / PART);
        while !rest.is_empty() {
            ancestors.push(Ancestor::read(earliest, &mut rest)?);
        }
        Ok(Self(ancestors))
    }

    /// Adds the ancestors of another token, without repetition.
    pub(super) fn extend(&mut self, others: impl IntoIterator<Item = Ancestor>) {
        for other in others {
            match self.0.iter_mut().find(|known| known.id == other.id) {
                Some(known) => known.in_subject_line |= other.in_subject_line,
                None => self.0.push(other),
            }
        }
    }
}

impl Ancestor {
    fn write(&self, earliest: u32, bytes: &mut Vec<u8>) {
        let (kind, root) = match self.source {
            Source::Issued => (ISSUED, None),
            Source::OwnRoot(root) => (OWN_ROOT, Some(root)),
            Source::ForeignRoot(root) => (FOREIGN_ROOT, Some(root)),
        };
        let line = if self.in_subject_line { IN_SUBJECT_LINE } else { 0 };
        let offset = self.issued_at.map_or(UNKNOWN_TIME, |time| (time - earliest).min(LATEST_OFFSET));
        bytes.extend(self.id);
        bytes.extend(self.client_or_issuer);
        bytes.push(self.signing_key);
        bytes.extend(&(kind << KIND_SHIFT | line | offset).to_be_bytes()[1..]);
        if let Some(Root { subject, session }) = root {
            bytes.extend(subject);
            bytes.extend(session);
        }
    }

    fn read(earliest: u32, rest: &mut &[u8]) -> Result<Self, Malformed> {
        let id = take(rest)?;
        let client_or_issuer = take(rest)?;
        let [signing_key] = take(rest)?;
        let [high, middle, low] = take(rest)?;
        let field = u32::from_be_bytes([0, high, middle, low]);
        let source = match field >> KIND_SHIFT {
            ISSUED => Source::Issued,
            OWN_ROOT => Source::OwnRoot(Root::read(rest)?),
            FOREIGN_ROOT => Source::ForeignRoot(Root::read(rest)?),
            _ => return Err(Malformed),
        };
        let issued_at = match field & UNKNOWN_TIME {
            UNKNOWN_TIME => None,
            offset => Some(earliest.saturating_add(offset)),
        };
        let in_subject_line = field & IN_SUBJECT_LINE != 0;
        Ok(Self { id, client_or_issuer, signing_key, issued_at, in_subject_line, source })
    }
}

impl Root {
    fn read(rest: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self { subject: take(rest)?, session: take(rest)? })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, others) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    *rest = others;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ancestor(number: u8, issued_at: Option<u32>, source: Source) -> Ancestor {
        Ancestor {
            id: [number; 6],
            client_or_issuer: [number; 3],
            signing_key: number,
            issued_at,
            in_subject_line: number.is_multiple_of(2),
            source,
        }
    }

    #[test]
    fn a_claim_keeps_every_ancestor() {
        let root = Root { subject: [7; 5], session: [0; 5] };
        let ancestry = Ancestry(vec![
            ancestor(1, Some(2_000_000_000), Source::Issued),
            ancestor(2, Some(2_000_000_300), Source::OwnRoot(root)),
            ancestor(3, None, Source::ForeignRoot(root)),
        ]);
        assert_eq!(Ancestry::from_claim(&ancestry.to_claim()), Ok(ancestry));
        assert_eq!(Ancestry::from_claim(&Ancestry::default().to_claim()), Ok(Ancestry::default()));
    }

    #[test]
    fn a_late_time_counts_as_earlier() {
        let late = Ancestry(vec![
            ancestor(1, Some(1_000_000_000), Source::Issued),
            ancestor(2, Some(1_100_000_000), Source::Issued),
        ]);
        let read = Ancestry::from_claim(&late.to_claim()).unwrap();
        assert_eq!(read.0[1].issued_at, Some(1_000_000_000 + LATEST_OFFSET));
    }

    #[test]
    fn an_ancestor_needs_24_bytes_of_a_token() {
        let size = |number: u8, source| {
            let ancestors = (0..number).map(|number| ancestor(number, Some(1_000_000_000), source)).collect();
            let json = format!(r#""ancestry":"{}","#, Ancestry(ancestors).to_claim());
            BASE64URL_NOPAD.encode_len(json.len())
        };
        let root = Source::ForeignRoot(Root { subject: [7; 5], session: [7; 5] });
        assert_eq!((size(16, Source::Issued) - size(0, Source::Issued)).div_ceil(16), 24);
        assert_eq!((size(16, root) - size(0, root)).div_ceil(16), 41);
        assert_eq!(size(0, Source::Issued), 28);
    }

    #[test]
    fn malformed_claims_are_refused() {
        let good = Ancestry(vec![ancestor(1, Some(1), Source::Issued)]).to_claim();
        let bytes = BASE64URL_NOPAD.decode(good.as_bytes()).unwrap();
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            BASE64URL_NOPAD.encode(&bytes)
        };
        for text in [
            String::new(),
            "===".into(),
            format!("{good}="),
            changed(|bytes| bytes[0] = 2),
            changed(|bytes| bytes.truncate(4)),
            changed(|bytes| bytes.push(0)),
            // Another kind, and a root whose last bytes are missing.
            changed(|bytes| bytes[15] = 0xff),
            changed(|bytes| bytes[15] = 0x40),
            BASE64URL_NOPAD.encode(&[1; HEAD + 64 * (PART + ROOT) + 1]),
        ] {
            assert_eq!(Ancestry::from_claim(&text), Err(Malformed), "{text}");
        }
    }
}
