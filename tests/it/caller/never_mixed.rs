//! Two requests that differ in any input never share a kept token.
//!
//! A generator makes a request from a few short texts, and a second request that differs in one input. The server answers with a
//! token that states the whole form. `CALLER_PAIRS` is the number of pairs.

use super::*;
use data_encoding::HEXLOWER;
use tower_token_exchange::{
    TokenType,
    caller::{ActorToken, SubjectToken},
};

/// Texts that make the same text in several ways when they are joined.
const TEXTS: [&str; 8] = ["a", "b", "ab", "ba", "aa", "aab", "a.b", "1"];
const TYPES: [TokenType; 3] = [TokenType::ACCESS_TOKEN, TokenType::JWT, TokenType::ID_TOKEN];
const RESOURCES: [&str; 3] = ["urn:a", "urn:a:b", "urn:b"];
const SCOPES: [Option<&str>; 5] = [None, Some("a"), Some("b"), Some("a b"), Some("b a")];
const REQUESTED: [Option<TokenType>; 3] = [None, Some(TokenType::ACCESS_TOKEN), Some(TokenType::JWT)];

#[derive(Clone, Debug, PartialEq)]
struct Inputs {
    subject: (&'static str, TokenType),
    actor: Option<(&'static str, TokenType)>,
    audiences: Vec<&'static str>,
    resources: Vec<&'static str>,
    scope: Option<&'static str>,
    requested: Option<TokenType>,
}

/// The generator SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn one<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn token(&mut self) -> (&'static str, TokenType) {
        (self.one(&TEXTS), self.one(&TYPES))
    }

    fn list(&mut self, from: &[&'static str]) -> Vec<&'static str> {
        (0..self.below(4)).map(|_| self.one(from)).collect()
    }

    fn inputs(&mut self) -> Inputs {
        Inputs {
            subject: self.token(),
            actor: (self.below(2) == 0).then(|| self.token()),
            audiences: self.list(&TEXTS),
            resources: self.list(&RESOURCES),
            scope: self.one(&SCOPES),
            requested: self.one(&REQUESTED),
        }
    }

    /// Changes one input, or moves a text from one input to another.
    fn changed(&mut self, inputs: &Inputs) -> Inputs {
        let mut other = inputs.clone();
        match self.below(10) {
            0 => other.subject.0 = self.one(&TEXTS),
            1 => other.subject.1 = self.one(&TYPES),
            2 => other.actor = (self.below(2) == 0).then(|| self.token()),
            3 => other.audiences = self.list(&TEXTS),
            4 => other.resources = self.list(&RESOURCES),
            5 => other.scope = self.one(&SCOPES),
            6 => other.requested = self.one(&REQUESTED),
            7 => other.audiences.reverse(),
            8 => other.audiences.extend(other.resources.pop()),
            _ => {
                if let Some(actor) = &mut other.actor {
                    std::mem::swap(&mut other.subject, actor);
                }
            }
        }
        other
    }
}

impl Inputs {
    async fn token(&self, client: &ExchangeClient) -> String {
        let (subject, subject_type) = self.subject.clone();
        let mut request = client.exchange(SubjectToken::new(subject, subject_type));
        if let Some((actor, actor_type)) = self.actor.clone() {
            request = request.actor_token(ActorToken::new(actor, actor_type));
        }
        request = self.audiences.iter().fold(request, |request, name| request.target(*name));
        request = self.resources.iter().fold(request, |request, uri| request.resource(*uri));
        if let Some(scope) = self.scope {
            request = request.scope(scope);
        }
        if let Some(requested) = self.requested.clone() {
            request = request.requested_token_type(requested);
        }
        request.await.unwrap().expose().to_owned()
    }

    /// The token that the server issues for these inputs.
    fn expected(&self) -> String {
        let mut form = vec![("subject_token", self.subject.0), ("subject_token_type", self.subject.1.as_str())];
        if let Some((actor, actor_type)) = &self.actor {
            form.extend([("actor_token", *actor), ("actor_token_type", actor_type.as_str())]);
        }
        form.extend(self.audiences.iter().map(|name| ("audience", *name)));
        form.extend(self.resources.iter().map(|uri| ("resource", *uri)));
        form.extend(self.scope.map(|scope| ("scope", scope)));
        form.extend(self.requested.as_ref().map(|requested| ("requested_token_type", requested.as_str())));
        stated(form.iter().map(|(name, value)| (*name, *value)))
    }
}

/// The text of a form, in which every length is stated.
fn stated<'a>(form: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let all: String = form.map(|(name, value)| format!("{name}={}:{value};", value.len())).collect();
    HEXLOWER.encode(all.as_bytes())
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the long form prints what was checked")]
async fn requests_that_differ_never_share_a_token() {
    let pairs = std::env::var("CALLER_PAIRS").map_or(3_000, |pairs| pairs.parse().unwrap());
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let http = tower::service_fn(move |request: Request<Bytes>| {
        count.fetch_add(1, Ordering::Relaxed);
        let form: Vec<(String, String)> = form_urlencoded::parse(request.body()).into_owned().collect();
        let inputs = form.iter().filter(|(name, _)| name != "grant_type");
        let token = stated(inputs.map(|(name, value)| (name.as_str(), value.as_str())));
        let requested = form.iter().find(|(name, _)| name == "requested_token_type");
        let issued_type = requested.map_or(ACCESS_TOKEN, |(_, value)| value);
        std::future::ready(Ok::<_, Infallible>(reply(200, issued(&token, json!({ "issued_token_type": issued_type })))))
    });
    let client = client_of(http).cache_entries(100_000).build().unwrap();
    let mut random = Random(7);
    let (mut checked, mut hits) = (0, 0);
    while checked < pairs {
        let one = random.inputs();
        let other = random.changed(&one);
        if one == other {
            continue;
        }
        checked += 1;
        assert_eq!(one.token(&client).await, one.expected());
        let before = asked.load(Ordering::Relaxed);
        assert_eq!(other.token(&client).await, other.expected(), "{one:?}\n{other:?}");
        assert_eq!(one.token(&client).await, one.expected());
        hits += u64::from(asked.load(Ordering::Relaxed) == before);
    }
    println!("{checked} pairs, {} exchanges, {hits} pairs with kept tokens only", asked.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) < 2 * checked + 1, "tokens are kept");
}
