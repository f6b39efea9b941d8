//! The bounds of the questions, so that one client with many wrong secrets does not stop the others.

use crate::{
    limits::Peer,
    locks,
    protocol::{ClientAddress, ClientId},
};
use moka::sync::Cache;
use ring::digest::{SHA256, digest};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest number of questions at a time.
const QUESTIONS: usize = 64;
/// The largest number of different credentials at a time that are checked for one client at one address.
const OF_ONE_CLIENT: usize = 4;
/// The largest number of different credentials at a time that are checked for one peer.
const OF_ONE_PEER: usize = 32;
/// How long a client waits that exceeds one of these limits.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest number of clients whose wait is remembered, and the longest time for which a wait is remembered.
const WAITING_CLIENTS: u64 = 10_000;
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A client at a peer. Other clients, and the same client at another peer, have limits of their own.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    peer: Option<Peer>,
    /// The hash of the client id and the peer, which is small even if the client id is long.
    name: [u8; 32],
}

impl Asker {
    pub(super) fn new(client_id: &ClientId, address: Option<&ClientAddress>) -> Self {
        let peer = address.map(Peer::from);
        let text = format!("{peer:?} {}", client_id.as_str());
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self { peer, name }
    }
}

pub(super) struct Limits {
    questions: Semaphore,
    by_client: Places<[u8; 32]>,
    by_peer: Places<Peer>,
    /// The clients that the server limits, and the end of their wait.
    waits: Cache<[u8; 32], Instant>,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            questions: Semaphore::new(QUESTIONS),
            by_client: Places::new(OF_ONE_CLIENT),
            by_peer: Places::new(OF_ONE_PEER),
            waits: Cache::builder().max_capacity(WAITING_CLIENTS).time_to_live(LONGEST_WAIT).build(),
        }
    }

    /// Takes a place for the credentials of a client. The error is the time after which the client may try again.
    pub(super) fn enter(&self, asker: &Asker) -> Result<Entry, Duration> {
        if let Some(end) = self.waits.get(&asker.name) {
            let rest = end.saturating_duration_since(Instant::now());
            if !rest.is_zero() {
                return Err(rest);
            }
        }
        let by_client = self.by_client.take(asker.name).ok_or(PAUSE)?;
        let by_peer = asker.peer.map(|peer| self.by_peer.take(peer).ok_or(PAUSE)).transpose()?;
        Ok(Entry { _by_client: by_client, _by_peer: by_peer })
    }

    /// Remembers that the server limits a client.
    pub(super) fn note_wait(&self, asker: &Asker, wait: Duration) {
        self.waits.insert(asker.name, Instant::now() + wait);
    }

    /// Waits until the server may be asked. Questions are asked in the order of their arrival.
    pub(super) async fn question(&self) -> Option<SemaphorePermit<'_>> {
        self.questions.acquire().await.ok()
    }
}

/// The places of one client. Dropping the value gives the places back.
pub(super) struct Entry {
    _by_client: Place<[u8; 32]>,
    _by_peer: Option<Place<Peer>>,
}

/// A number of places for each key. Only keys with a taken place need memory.
struct Places<K> {
    most: usize,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq + Copy> Places<K> {
    fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    fn take(&self, key: K) -> Option<Place<K>> {
        let mut taken = locks::lock(&self.taken);
        let number = taken.entry(key).or_insert(0);
        if *number >= self.most {
            return None;
        }
        *number += 1;
        Some(Place { key, taken: Arc::clone(&self.taken) })
    }
}

struct Place<K: Hash + Eq + Copy> {
    key: K,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq + Copy> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = locks::lock(&self.taken);
        if let Some(number) = taken.get_mut(&self.key) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(client_id: &str, address: &str) -> Asker {
        Asker::new(&client_id.into(), Some(&ClientAddress::new(address.parse().unwrap())))
    }

    #[test]
    fn places_are_given_back() {
        let limits = Limits::new();
        let (here, there) = (asker("orders", "192.0.2.1"), asker("orders", "192.0.2.2"));
        let taken: Vec<_> = (0..OF_ONE_CLIENT).map(|_| limits.enter(&here).ok().unwrap()).collect();
        assert_eq!(limits.enter(&here).err(), Some(PAUSE));
        assert!(limits.enter(&there).is_ok() && limits.enter(&asker("billing", "192.0.2.1")).is_ok());
        drop(taken);
        assert!(limits.enter(&here).is_ok());
        assert!(locks::lock(&limits.by_client.taken).is_empty() && locks::lock(&limits.by_peer.taken).is_empty());
    }

    #[test]
    fn one_address_takes_half_of_the_questions() {
        let limits = Limits::new();
        let taken: Vec<_> =
            (0..100).filter_map(|n| limits.enter(&asker(&format!("client-{n}"), "192.0.2.1")).ok()).collect();
        assert_eq!(taken.len(), QUESTIONS / 2);
        assert!(limits.enter(&asker("orders", "192.0.2.2")).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let limits = Limits::new();
        let clients = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:0:f::"];
        let taken: Vec<_> = clients.map(|address| limits.enter(&asker("orders", address)).ok().unwrap()).into();
        assert_eq!(limits.enter(&asker("orders", "2001:db8::3")).err(), Some(PAUSE));
        assert!(limits.enter(&asker("orders", "2001:db8:0:1::1")).is_ok());
        drop(taken);
    }

    #[test]
    fn a_wait_is_for_one_client_at_one_address() {
        let limits = Limits::new();
        let (here, there) = (asker("orders", "192.0.2.1"), asker("orders", "192.0.2.2"));
        limits.note_wait(&here, Duration::from_secs(60));
        assert!(limits.enter(&here).is_err_and(|wait| wait > Duration::from_secs(59)));
        assert!(limits.enter(&there).is_ok() && limits.enter(&asker("billing", "192.0.2.1")).is_ok());
        limits.note_wait(&here, Duration::ZERO);
        assert!(limits.enter(&here).is_ok());
    }
}
