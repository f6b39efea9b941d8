//! Which faults there were, and which answers they explain.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Something that goes wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Nobody listens at the address of the server.
    ServerDown,
    /// The server answers after a while.
    ServerSlow,
    /// The server accepts connections and never answers.
    ServerHalfOpen,
    /// Each connection to the server breaks after some bytes of the answer.
    ServerCut,
    /// The server answers with a server error.
    ServerErrors,
    /// The server answers with success to every client, also to a client with a wrong secret.
    ServerAcceptsAll,
    /// The server rejects every client.
    ServerRejectsAll,
    /// The server answers with text that is no JSON.
    ServerTalksNonsense,
    /// The server answers with a body that never ends.
    ServerNeverEnds,
    /// The key set of the server has other keys under the same names.
    ServerLiesAboutKeys,
    /// The audit file cannot take a byte more.
    AuditFull,
    /// The audit file cannot be opened again.
    AuditUnopenable,
    /// The disk with the revocations is full.
    DiskFull,
    /// The clock jumps.
    ClockJumps,
    /// The gateway was killed.
    Killed,
    /// The rule that allows the exchanges of `reports` is not in force.
    RuleOff,
}

/// How a request ended without the usual answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// 503 with `Retry-After`, from the gateway itself.
    Unavailable,
    /// 502 or 504, or 503 at a request that passes to the server.
    ServerFailed,
    /// An answer that ends too early, so that the client notices.
    CutOff,
    /// No connection, or a connection that was closed without an answer.
    NoAnswer,
    /// 500: the gateway says that the server does not do its work.
    ServerUseless,
    /// The server rejects the client.
    Unauthorized,
    /// The subject token is refused.
    Refused,
}

/// The longest time after a fault in which its consequences are seen.
pub(crate) fn recovery(fault: Fault) -> Duration {
    match fault {
        // The server says that its key set is fresh for 60 s. If the server then fails in another way, the gateway keeps the
        // false keys, and asks again after up to 60 s.
        Fault::ServerLiesAboutKeys => Duration::from_secs(130),
        // The gateway reads the metadata and tries the authentication of clients again.
        Fault::Killed => Duration::from_secs(12),
        _ => Duration::from_secs(3),
    }
}

fn explains(fault: Fault, ending: Ending) -> bool {
    use Ending::*;
    use Fault::*;
    match fault {
        ServerSlow | AuditUnopenable => false,
        // The gateway can only close the connection if an answer of the server breaks off after its head.
        ServerDown | ServerHalfOpen | ServerCut => matches!(ending, Unavailable | ServerFailed | CutOff | NoAnswer),
        ServerErrors => matches!(ending, Unavailable | ServerFailed),
        // A server that answers every client in the same way says nothing about a secret.
        ServerTalksNonsense => matches!(ending, Unavailable | ServerFailed | ServerUseless),
        ServerNeverEnds => matches!(ending, Unavailable | ServerFailed | CutOff),
        ServerAcceptsAll => matches!(ending, Unavailable | Unauthorized | ServerUseless),
        ServerRejectsAll => matches!(ending, Unauthorized),
        ServerLiesAboutKeys => ending == Refused,
        // A token can expire while it is issued.
        ClockJumps => ending == Refused,
        AuditFull | DiskFull => ending == Unavailable,
        Killed => matches!(ending, NoAnswer | CutOff | Unavailable | ServerFailed),
        RuleOff => ending == Refused,
    }
}

struct Period {
    fault: Fault,
    start: Instant,
    end: Option<Instant>,
}

/// The faults of a run.
#[derive(Default)]
pub(crate) struct History(Mutex<Vec<Period>>);

impl History {
    pub(crate) fn begin(&self, fault: Fault) {
        self.0.lock().unwrap().push(Period { fault, start: Instant::now(), end: None });
    }

    pub(crate) fn end(&self, fault: Fault) {
        let mut periods = self.0.lock().unwrap();
        let open = periods.iter_mut().rev().find(|period| period.fault == fault && period.end.is_none());
        open.unwrap().end = Some(Instant::now());
    }

    /// Whether there was this fault in this time, or shortly before.
    pub(crate) fn had(&self, fault: Fault, from: Instant, to: Instant) -> bool {
        self.any(from, to, |period| period.fault == fault)
    }

    /// Whether the fault lasted for the whole time, and had begun some time before.
    pub(crate) fn lasted(&self, fault: Fault, from: Instant, to: Instant) -> bool {
        let periods = self.0.lock().unwrap();
        periods.iter().any(|period| {
            period.fault == fault && period.start + recovery(fault) <= from && period.end.is_none_or(|end| end >= to)
        })
    }

    /// Whether a fault explains the ending of a request that ran in this time.
    pub(crate) fn explains(&self, ending: Ending, from: Instant, to: Instant) -> bool {
        self.any(from, to, |period| period.fault != Fault::RuleOff && explains(period.fault, ending))
    }

    fn any(&self, from: Instant, to: Instant, condition: impl Fn(&Period) -> bool) -> bool {
        let periods = self.0.lock().unwrap();
        periods.iter().any(|period| {
            let over = period.end.map(|end| end + recovery(period.fault));
            condition(period) && period.start <= to && over.is_none_or(|over| over >= from)
        })
    }

    /// The time until no fault has consequences any more.
    pub(crate) fn time_to_calm(&self) -> Duration {
        let periods = self.0.lock().unwrap();
        let over = periods.iter().filter_map(|period| Some(period.end? + recovery(period.fault))).max();
        over.map_or(Duration::ZERO, |over| over.saturating_duration_since(Instant::now()))
    }

    /// The latest faults, for a report.
    pub(crate) fn latest(&self) -> String {
        let periods = self.0.lock().unwrap();
        let age = |at: Instant| format!("{:.1} s ago", at.elapsed().as_secs_f64());
        let lines = periods.iter().rev().take(6).map(|period| {
            format!("{:?} from {} to {}", period.fault, age(period.start), period.end.map_or("now".to_owned(), age))
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}
