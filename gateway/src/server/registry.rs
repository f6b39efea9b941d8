//! What is open: how much, of whom, and what of it is idle.

use super::share::{Full, Shares};
use metrics::Gauge;
use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};
use tower_token_exchange::limits::Peer;

/// If everything is taken, up to one part in 64 ends at once, so that not every newcomer makes a search necessary.
const PARTS: usize = 64;

/// The open connections, or the open requests.
#[derive(Debug)]
pub(super) struct Registry {
    what: &'static str,
    total: usize,
    open: Mutex<Open>,
    /// The metric of the number of entries.
    shown: Gauge,
}

#[derive(Debug)]
struct Open {
    shares: Shares,
    by_id: HashMap<u64, Arc<Entry>>,
    next_id: u64,
}

impl Registry {
    /// Creates a registry. The metrics call its content `what`.
    pub(super) fn new(total: u32, per_peer: u32, what: &'static str) -> Arc<Self> {
        let shares = Shares::new(total, per_peer);
        let open = Mutex::new(Open { shares, by_id: HashMap::new(), next_id: 0 });
        Arc::new(Self { what, total: total as usize, open, shown: metrics::gauge!("gateway_open", "what" => what) })
    }

    /// Registers an entry, which is idle at first. If there is room for no more, idle entries end: those of the peer that
    /// has most, and of these the entries that have been idle for the longest time.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<Peer>) -> Result<Admission, Full> {
        let mut open = self.lock();
        match open.shares.take(peer) {
            Err(Full::Total) => {
                let ended = open.end_idle(self.total.div_ceil(PARTS));
                metrics::counter!("gateway_idle_ended_total", "what" => self.what).increment(ended);
                open.shares.take(peer)?;
            }
            taken => taken?,
        }
        let (id, idle_since) = (open.next_id, Mutex::new(Some(Instant::now())));
        let entry = Arc::new(Entry { peer, idle_since, ended: Notify::new() });
        open.next_id += 1;
        open.by_id.insert(id, Arc::clone(&entry));
        self.show(&open);
        Ok(Admission { registry: Arc::clone(self), id, entry })
    }

    fn show(&self, open: &Open) {
        self.shown.set(open.by_id.len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Ends up to this many idle entries. Returns their number.
    fn end_idle(&mut self, most: usize) -> u64 {
        let idle = self.by_id.iter().filter_map(|(id, entry)| {
            let held = self.shares.of(entry.peer);
            Some((Reverse(held), entry.idle_since()?, *id))
        });
        let mut idle: Vec<_> = idle.collect();
        if idle.len() > most {
            idle.select_nth_unstable(most);
            idle.truncate(most);
        }
        for (_, _, id) in &idle {
            if let Some(entry) = self.remove(*id) {
                entry.ended.notify_one();
            }
        }
        idle.len() as u64
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Entry>> {
        let entry = self.by_id.remove(&id)?;
        self.shares.give_back(entry.peer);
        Some(entry)
    }
}

/// A connection or a request in a registry.
#[derive(Debug)]
struct Entry {
    peer: Option<Peer>,
    idle_since: Mutex<Option<Instant>>,
    ended: Notify,
}

impl Entry {
    fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry that counts until this value is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    registry: Arc<Registry>,
    id: u64,
    entry: Arc<Entry>,
}

impl Admission {
    pub(super) fn peer(&self) -> Option<Peer> {
        self.entry.peer
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.entry.idle_since()
    }

    /// Says since when the entry is idle. Only an idle entry has to end for others.
    pub(super) fn set_idle_since(&self, since: Option<Instant>) {
        *self.entry.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Waits until the entry must end, because others need its room. The entry does not count any more.
    pub(super) async fn ended(&self) {
        self.entry.ended.notified().await;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.registry.lock();
        // An entry that had to end is not there.
        open.remove(self.id);
        self.registry.show(&open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::{net::IpAddr, time::Duration};
    use tokio::time::advance;

    fn admit(registry: &Arc<Registry>, last: u8) -> Result<Admission, Full> {
        registry.admit(Some(Peer::from(IpAddr::from([192, 0, 2, last]))))
    }

    fn ended(admissions: &[Admission]) -> Vec<bool> {
        admissions.iter().map(|admission| admission.ended().now_or_never().is_some()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_of_the_largest_makes_room() {
        let registry = Registry::new(5, 5, "connections");
        let mut open = Vec::new();
        for last in [1, 2, 2, 3] {
            open.push(admit(&registry, last).unwrap());
            advance(Duration::from_secs(1)).await;
        }
        open.push(admit(&registry, 4).unwrap());
        // The third is the older one of the two idle entries of 192.0.2.2, because the second worked in the meantime.
        open[1].set_idle_since(Some(Instant::now()));
        let _fifth = admit(&registry, 5).unwrap();
        assert_eq!(ended(&open), [false, false, true, false, false]);
        // All peers have one entry. The first is the oldest, but has work.
        open.remove(2);
        open[0].set_idle_since(None);
        let _sixth = admit(&registry, 6).unwrap();
        assert_eq!(ended(&open), [false, false, true, false]);
    }

    #[test]
    fn what_has_work_makes_no_room() {
        let registry = Registry::new(2, 2, "connections");
        let open: Vec<_> = (1..3).map(|last| admit(&registry, last).unwrap()).collect();
        open.iter().for_each(|admission| admission.set_idle_since(None));
        assert_eq!(admit(&registry, 3).unwrap_err(), Full::Total);
        drop(open);
        assert!(admit(&registry, 3).is_ok());
    }

    #[test]
    fn a_peer_at_its_share_gets_no_more() {
        let registry = Registry::new(8, 2, "connections");
        let open: Vec<_> = (0..2).map(|_| admit(&registry, 1).unwrap()).collect();
        assert_eq!(admit(&registry, 1).unwrap_err(), Full::Peer);
        assert!(admit(&registry, 2).is_ok());
        drop(open);
        assert!(admit(&registry, 1).is_ok());
    }

    #[test]
    fn many_peers_cannot_keep_another_out() {
        let registry = Registry::new(640, 640, "connections");
        let mut open: Vec<_> = (0..250).cycle().take(2000).filter_map(|last| admit(&registry, last).ok()).collect();
        for _ in 0..3 {
            open.push(admit(&registry, 255).unwrap());
        }
        assert_eq!(ended(&open[open.len() - 3..]), [false; 3]);
        let held = registry.lock().by_id.len();
        assert!(held <= 640, "{held}");
    }
}
