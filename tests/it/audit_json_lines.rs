//! Every attempt is one complete line of JSON, even if the disk fails, and a token is released only after its line.

use crate::support::*;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc as blocking},
};
use tokio::sync::mpsc;
use tower::{Service, service_fn};
use tower_token_exchange::{
    Reason,
    audit::{AuditEvent, JsonLinesSink},
};

/// A directory that is removed after the test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The behaviour of a writer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    TakesAll,
    /// Takes seven bytes at a time, as a writer may.
    TakesALittle,
    Fails,
    /// Takes this many bytes, and then fails.
    FailsAfter(usize),
    FailsToFlush,
    Panics,
}

#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<(Habit, Vec<u8>)>>);

impl Memory {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((Habit::TakesALittle, Vec::new()))))
    }

    fn now(&self, habit: Habit) {
        self.0.lock().unwrap().0 = habit;
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let habit = self.0.lock().unwrap().0;
        let many = match habit {
            Habit::TakesAll => bytes.len(),
            Habit::TakesALittle | Habit::FailsToFlush => 7,
            Habit::FailsAfter(left) if left > 0 => left,
            Habit::FailsAfter(_) | Habit::Fails => return Err(io::ErrorKind::StorageFull.into()),
            Habit::Panics => panic!("in the writer"),
        };
        let taken = many.min(bytes.len());
        let mut memory = self.0.lock().unwrap();
        memory.1.extend_from_slice(&bytes[..taken]);
        if let Habit::FailsAfter(left) = &mut memory.0 {
            *left -= taken;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.lock().unwrap().0 {
            Habit::FailsToFlush => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

/// Returns a world with this sink. The test also receives each event.
async fn world(sink: &JsonLinesSink) -> World {
    let (sender, events) = mpsc::unbounded_channel();
    let sink = sink.clone();
    let tee = service_fn(move |event: AuditEvent| {
        let _ = sender.send(event.clone());
        sink.clone().call(event)
    });
    plan().start_with_audit(tee, events).await
}

/// Returns the events in a text. Lines that are not JSON are skipped.
fn readable(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Returns the events in a text that contains only events.
fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

async fn exchange(world: &World) -> Reply {
    world.exchange(&world.own.access_token(json!({}))).await
}

fn assert_withheld(reply: &Reply, why: &str) {
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{why}: {}", reply.text);
    let reason = Reason::AuditUnavailable;
    let told = json!({ "error": reason.error().as_str(), "error_description": reason.description() });
    assert_eq!(reply.json(), told, "{why}");
    assert!(reply.headers.contains_key("retry-after"), "{why}");
}

#[tokio::test]
async fn every_attempt_is_one_line() {
    let memory = Memory::new();
    let mut world = world(&JsonLinesSink::writer(memory.clone())).await;
    assert_eq!(exchange(&world).await.status, StatusCode::OK);
    world.exchange(&world.own.access_token(json!({ "exp": NOW - 1 }))).await;
    world.post_as("orders", &exchange_form("x.y.z", &[("scope", "a\r\n{\"event_id\":1}")])).await;
    world.post(None, "x".repeat(2 * 1024 * 1024)).await;
    world.post(None, "grant_type=refresh_token").await;

    let lines = lines(&memory.text());
    assert_eq!(lines.len(), 4, "a request that the wrapped service answers is no attempt");
    for line in &lines {
        assert_eq!(*line, serde_json::to_value(world.event().await).unwrap());
    }
    let [issued, expired, ..] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&issued["outcome"], &issued["stage"]), (&json!("issued"), &json!("answer")));
    assert_eq!((&issued["client_id"], &issued["subject"]["sub"]), (&json!("orders"), &json!("alice")));
    assert_eq!(issued["act"], json!([{ "iss": AS, "sub": "orders" }]));
    assert_eq!(issued["granted"]["targets"], json!(["billing"]));
    assert_eq!((&expired["outcome"], &expired["reason"]), (&json!("denied"), &json!("token_expired")));
    assert_eq!(lines[3]["reason"], "body_too_large");
}

#[tokio::test]
async fn a_failing_writer_withholds_only_the_token() {
    let faults = [Habit::Fails, Habit::FailsAfter(1), Habit::FailsAfter(100), Habit::FailsToFlush, Habit::Panics];
    for fault in faults {
        let memory = Memory::new();
        let mut world = world(&JsonLinesSink::writer(memory.clone())).await;
        assert_eq!(exchange(&world).await.status, StatusCode::OK, "{fault:?}");
        for round in 1..=2 {
            memory.now(fault);
            assert_withheld(&exchange(&world).await, &format!("{fault:?}, {round}"));
            memory.now(fault);
            let refused = world.exchange("x.y.z").await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{fault:?}: a refusal is not changed");
            memory.now(Habit::TakesALittle);
            assert_eq!(exchange(&world).await.status, StatusCode::OK, "{fault:?}, {round}: the sink recovers");
        }
        // The sink took three of the seven events. Only these are complete lines.
        let mut taken = Vec::new();
        for attempt in 0..7 {
            let event = world.event().await;
            if [0, 3, 6].contains(&attempt) || fault == Habit::FailsToFlush {
                taken.push(serde_json::to_value(event).unwrap());
            }
        }
        assert_eq!(readable(&memory.text()), taken, "{fault:?}: {}", memory.text());
    }
}

/// The next event is a line of its own, however much of the truncated line was written.
#[tokio::test]
async fn a_truncated_line_damages_no_other_line() {
    let event = |id: &str| {
        let mut event = AuditEvent::example();
        event.event_id = id.into();
        event
    };
    let length = serde_json::to_vec(&event("is-cut")).unwrap().len();
    let mut cuts: Vec<_> = (0..=length).step_by(17).collect();
    cuts.extend([1, length - 1, length]);
    for cut in cuts {
        let memory = Memory::new();
        let mut sink = JsonLinesSink::writer(memory.clone());
        let mut write = |id| sink.call(event(id));
        write("before").await.unwrap();
        memory.now(Habit::FailsAfter(cut));
        let error = write("is-cut").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        memory.now(Habit::TakesALittle);
        write("behind").await.unwrap();
        write("at-end").await.unwrap();
        let found: Vec<_> = readable(&memory.text()).iter().map(|line| line["event_id"].clone()).collect();
        // Only the line end is missing.
        let expected: &[_] =
            if cut == length { &["before", "is-cut", "behind", "at-end"] } else { &["before", "behind", "at-end"] };
        assert_eq!(found, expected, "cut at {cut}: {}", memory.text());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_withholds_the_token() {
    let directory = Directory::new("full");
    let path = directory.join("audit.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let sink = JsonLinesSink::file(&path).unwrap();
    let mut world = world(&sink).await;
    for _ in 0..3 {
        assert_withheld(&exchange(&world).await, "full");
        world.event().await;
    }
    fs::remove_file(&path).unwrap();
    sink.reopen().unwrap();
    assert_eq!(exchange(&world).await.status, StatusCode::OK);
    let event = serde_json::to_value(world.event().await).unwrap();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()), [event]);
}

#[tokio::test]
async fn a_file_is_private_and_appended_to() {
    let directory = Directory::new("append");
    let path = directory.join("audit.jsonl");
    let mut sink = JsonLinesSink::file(&path).unwrap();
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    sink.call(AuditEvent::example()).await.unwrap();
    let mut again = JsonLinesSink::file(&path).unwrap();
    again.call(AuditEvent::example()).await.unwrap();
    sink.call(AuditEvent::example()).await.unwrap();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 3, "no empty line between");

    // A process that was killed in the middle of a line.
    let cut = format!("{}{}", fs::read_to_string(&path).unwrap(), "{\"event_id\":\"x");
    fs::write(&path, cut).unwrap();
    JsonLinesSink::file(&path).unwrap().call(AuditEvent::example()).await.unwrap();
    assert_eq!(readable(&fs::read_to_string(&path).unwrap()).len(), 4);

    let error = JsonLinesSink::file(directory.join("none").join("audit.jsonl")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(JsonLinesSink::file(&directory.0).is_err(), "a directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_loses_no_event() {
    let directory = Directory::new("rotation");
    let path = directory.join("audit.jsonl");
    let sink = JsonLinesSink::file(&path).unwrap();
    let mut world = world(&sink).await;
    let token = world.own.access_token(json!({}));
    let form = exchange_form(&token, &[]);
    let attempts = join_all((0..100).map(|_| world.post_as("orders", &form)));
    let rotator = sink.clone();
    let rotated = directory.join("audit.jsonl.");
    let current = path.clone();
    let rotation = tokio::task::spawn_blocking(move || {
        for number in 0..10 {
            fs::rename(&current, format!("{}{number}", rotated.display())).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
            rotator.reopen().unwrap();
        }
    });
    let (replies, rotation) = tokio::join!(attempts, rotation);
    rotation.unwrap();
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));

    let files: Vec<_> = fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 11);
    let written: Vec<Value> = files.iter().flat_map(|file| lines(&fs::read_to_string(file).unwrap())).collect();
    assert_eq!(written.len(), 100);
    let mut expected = BTreeSet::new();
    for _ in 0..100 {
        expected.insert(world.event().await.event_id);
    }
    let ids: BTreeSet<_> = written.iter().map(|line| line["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_failed_reopen_keeps_the_old_file() {
    let directory = Directory::new("reopen");
    let (inner, moved) = (directory.join("inner"), directory.join("moved"));
    fs::create_dir(&inner).unwrap();
    let sink = JsonLinesSink::file(inner.join("audit.jsonl")).unwrap();
    let mut clone = sink.clone();
    fs::rename(&inner, &moved).unwrap();
    assert_eq!(sink.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
    clone.call(AuditEvent::example()).await.unwrap();
    fs::create_dir(&inner).unwrap();
    sink.reopen().unwrap();
    clone.call(AuditEvent::example()).await.unwrap();
    for directory in [&inner, &moved] {
        assert_eq!(lines(&fs::read_to_string(directory.join("audit.jsonl")).unwrap()).len(), 1);
    }

    let memory = Memory::new();
    let mut sink = JsonLinesSink::writer(memory.clone());
    sink.reopen().unwrap();
    sink.call(AuditEvent::example()).await.unwrap();
    assert_eq!(lines(&memory.text()).len(), 1, "a sink without a path continues");
    JsonLinesSink::stdout().reopen().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_events_are_separate_lines() {
    let memory = Memory::new();
    let world = world(&JsonLinesSink::writer(memory.clone())).await;
    let token = world.own.access_token(json!({}));
    let form = exchange_form(&token, &[]);
    for reply in join_all((0..100).map(|_| world.post_as("orders", &form))).await {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    }
    let lines = lines(&memory.text());
    let ids: BTreeSet<_> = lines.iter().map(|line| line["event_id"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), ids.len()), (100, 100));
}

/// The lines of one write do not share a fault that only some of them have.
#[tokio::test]
async fn complete_lines_before_a_fault_are_taken() {
    let (gated, go, memory) = Gated::new();
    let sink = JsonLinesSink::writer(gated);
    let write = || tokio::spawn(sink.clone().call(AuditEvent::example()));
    let first = write();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let waiting: Vec<_> = (0..5).map(|_| write()).collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let length = serde_json::to_vec(&AuditEvent::example()).unwrap().len() + 1;
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    memory.now(Habit::FailsAfter(2 * length + 10));
    // The disk takes a part, and then no more.
    go.send(()).unwrap();
    go.send(()).unwrap();
    let mut taken = Vec::new();
    for line in waiting {
        taken.push(line.await.unwrap().map_err(|error| error.kind()));
    }
    let full = Err(io::ErrorKind::StorageFull);
    assert_eq!(taken, [Ok(()), Ok(()), full, full, full]);
    memory.now(Habit::TakesALittle);
    drop(go);
    sink.clone().call(AuditEvent::example()).await.unwrap();
    assert_eq!(readable(&memory.text()).len(), 4, "{}", memory.text());
}

/// The only blocking thread of the runtime is busy.
#[cfg(target_os = "linux")]
#[test]
fn a_local_file_needs_no_other_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (release, busy) = blocking::channel::<()>();
        tokio::task::spawn_blocking(move || busy.recv());
        let path = PathBuf::from(format!("/dev/shm/audit-{}.jsonl", std::process::id()));
        let world = world(&JsonLinesSink::file(&path).unwrap()).await;
        assert_eq!(exchange(&world).await.status, StatusCode::OK);
        assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 1);
        fs::remove_file(path).unwrap();
        release.send(()).unwrap();
    });
}

/// A writer that waits for the test before each write.
pub(crate) struct Gated(blocking::Receiver<()>, Memory);

impl Gated {
    /// Returns the writer, what lets one write happen, and what was written.
    pub(crate) fn new() -> (Self, blocking::Sender<()>, Memory) {
        let (go, gate) = blocking::channel();
        let memory = Memory::new();
        memory.now(Habit::TakesAll);
        (Self(gate, memory.clone()), go, memory)
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Without the test, nothing waits.
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The runtime has one thread, and one blocking thread for the sink.
#[test]
fn a_slow_disk_blocks_no_other_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build().unwrap();
    runtime.block_on(async {
        let (gated, go, memory) = Gated::new();
        let world = world(&JsonLinesSink::writer(gated)).await;
        let token = world.own.access_token(json!({}));
        let form = exchange_form(&token, &[]);
        let waiting = join_all((0..20).map(|_| world.post_as("orders", &form)));
        let meanwhile = async {
            while world.passed.lock().unwrap().len() < 20 {
                assert_eq!(world.post(None, "grant_type=refresh_token").await.status, StatusCode::OK);
            }
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert_eq!(memory.text(), "", "no event is written yet");
            (0..20).for_each(|_| go.send(()).unwrap());
        };
        let (replies, ()) = tokio::join!(waiting, meanwhile);
        assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));
        assert_eq!(lines(&memory.text()).len(), 20);
    });
}
