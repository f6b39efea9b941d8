//! Which fault happens when: every kind by turns in a random order, some of them at the same time.

use super::{history::Fault, proxy::Treatment, world::World};
use std::{
    sync::atomic::Ordering,
    thread::sleep,
    time::{Duration, Instant},
};

/// Something that happens to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A fault of the connections to the server.
    Connections(Fault, Treatment),
    /// A fault of the server.
    Server(Fault),
    Audit(Fault),
    DiskFull,
    Clock(&'static str),
    NewKey,
    RuleOn,
    BadRecords,
    Kill,
}

const EVENTS: &[Event] = &[
    Event::Connections(Fault::ServerDown, Treatment::Down),
    Event::Connections(Fault::ServerHalfOpen, Treatment::HalfOpen),
    Event::Connections(Fault::ServerCut, Treatment::Cut),
    Event::Server(Fault::ServerSlow),
    Event::Server(Fault::ServerErrors),
    Event::Server(Fault::ServerAcceptsAll),
    Event::Server(Fault::ServerRejectsAll),
    Event::Server(Fault::ServerTalksNonsense),
    Event::Server(Fault::ServerNeverEnds),
    Event::Server(Fault::ServerLiesAboutKeys),
    Event::Audit(Fault::AuditFull),
    Event::Audit(Fault::AuditUnopenable),
    Event::DiskFull,
    Event::Clock("+3600"),
    Event::Clock("-3600"),
    Event::NewKey,
    Event::RuleOn,
    Event::BadRecords,
    Event::Kill,
];

/// A run of this duration has no time for long events.
const SHORT: Duration = Duration::from_secs(100);

/// The generator SplitMix64, so that a seed repeats a schedule.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn milliseconds(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to - from)) as u64)
    }
}

/// Runs events for some time, and ends with the world as it should be.
pub(crate) fn run(world: &World, duration: Duration, seed: u64) {
    let mut random = Random(seed);
    let end = Instant::now() + duration;
    let mut waiting: Vec<Event> = Vec::new();
    let mut rounds = 0;
    sleep(Duration::from_millis(500));
    while Instant::now() < end {
        if waiting.is_empty() {
            // The gateway keeps false keys for a minute, so they are no part of a short run, and of few rounds.
            let can_lie = duration > SHORT && rounds % 4 == 0;
            waiting = EVENTS.iter().copied().filter(|event| event.is_possible(world, can_lie)).collect();
            rounds += 1;
        }
        let first = waiting.swap_remove(random.below(waiting.len()));
        let second = waiting.iter().position(|second| first.goes_with(*second)).filter(|_| random.below(2) == 0);
        let second = second.map(|at| waiting.swap_remove(at));
        for event in [Some(first), second].into_iter().flatten() {
            world.ledger.count(format!("times {event:?}"));
            event.begin(world);
            sleep(random.milliseconds(200, 900));
        }
        if duration > SHORT {
            sleep(first.extra_time());
        }
        for event in [Some(first), second].into_iter().flatten() {
            event.end(world);
            sleep(random.milliseconds(50, 300));
        }
        if random.below(4) == 0 {
            // A calm, in which every answer must be right soon.
            sleep(Duration::from_secs(5));
        }
    }
    println!("every event happened at least {} times", rounds - 1);
    sleep(Duration::from_secs(1));
    world.ended.store(true, Ordering::Relaxed);
}

impl Event {
    fn is_possible(self, world: &World, can_lie: bool) -> bool {
        match self {
            Self::Server(Fault::ServerLiesAboutKeys) => can_lie,
            Self::DiskFull => world.has_disk(),
            Self::Clock(_) => world.has_false_clock(),
            _ => true,
        }
    }

    /// The time that an event needs to have every consequence.
    fn extra_time(self) -> Duration {
        match self {
            // The gateway reads the key set every 10 s.
            Self::Server(Fault::ServerLiesAboutKeys) => Duration::from_secs(12),
            // The file of revocations has some room of its own.
            Self::DiskFull => Duration::from_secs(6),
            // The answers are cut after some hundred different numbers of bytes.
            Self::Connections(Fault::ServerCut, _) => Duration::from_secs(4),
            _ => Duration::ZERO,
        }
    }

    /// Whether both can happen at the same time: they do not change the same thing, and the gateway can start.
    fn goes_with(self, other: Self) -> bool {
        let is_configuration = |event| matches!(event, Self::NewKey | Self::RuleOn | Self::BadRecords);
        // Nobody can tell a gateway that was killed about a change.
        let goes_with_kill = |event| matches!(event, Self::Connections(..) | Self::Server(_) | Self::Clock(_));
        std::mem::discriminant(&self) != std::mem::discriminant(&other)
            && !(is_configuration(self) && is_configuration(other))
            && (self != Self::Kill || goes_with_kill(other))
            && (other != Self::Kill || goes_with_kill(self))
    }

    fn begin(self, world: &World) {
        if let Some(fault) = self.fault() {
            world.history.begin(fault);
        }
        match self {
            Self::Connections(_, treatment) => world.proxy.treat(treatment),
            Self::Server(fault) => world.behaviour.set(Some(fault)),
            Self::Audit(Fault::AuditFull) => {
                world.audit_goes_to("/dev/full");
                world.hang_up();
            }
            Self::Audit(_) => {
                world.audit_goes_to("/nowhere/audit.jsonl");
                world.hang_up();
            }
            Self::DiskFull => world.fill_disk(true),
            Self::Clock(offset) => world.set_clock(offset),
            Self::NewKey => {
                world.new_key();
                world.configure(false, "");
                world.hang_up();
            }
            Self::RuleOn => {
                world.configure(true, "");
                world.hang_up();
                world.history.end(Fault::RuleOff);
            }
            Self::BadRecords => {
                world.configure(true, "[[rule]]\nclients = \"nobody\"\n");
                world.hang_up();
            }
            Self::Kill => world.kill_gateway(),
        }
    }

    fn end(self, world: &World) {
        match self {
            Self::Connections(..) => world.proxy.treat(Treatment::Pass),
            Self::Server(_) => world.behaviour.set(None),
            Self::Audit(_) => {
                world.new_audit_file();
                world.hang_up();
            }
            Self::DiskFull => world.fill_disk(false),
            Self::Clock(_) => world.set_clock("+0"),
            Self::NewKey => {}
            Self::RuleOn => {
                world.history.begin(Fault::RuleOff);
                world.configure(false, "");
                world.hang_up();
            }
            Self::BadRecords => {
                world.configure(false, "");
                world.hang_up();
            }
            Self::Kill => world.start_gateway(),
        }
        if let Some(fault) = self.fault() {
            world.history.end(fault);
        }
    }

    fn fault(self) -> Option<Fault> {
        match self {
            Self::Connections(fault, _) | Self::Server(fault) | Self::Audit(fault) => Some(fault),
            Self::DiskFull => Some(Fault::DiskFull),
            Self::Kill => Some(Fault::Killed),
            Self::Clock(_) | Self::NewKey | Self::RuleOn | Self::BadRecords => None,
        }
    }
}
