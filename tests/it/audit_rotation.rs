//! A file of events does not grow beyond its limit, and no event is lost or divided.

use crate::audit_json_lines::Directory;
use serde_json::Value;
use std::{fs, num::NonZeroU64, path::Path};
use tower::Service;
use tower_token_exchange::audit::{AuditEvent, JsonLinesSink};

const LIMIT: u64 = 8 * 1024;

fn sink(path: &Path, keep: usize) -> JsonLinesSink {
    JsonLinesSink::file(path).unwrap().rotate_at(NonZeroU64::new(LIMIT).unwrap(), keep)
}

async fn write(sink: &mut JsonLinesSink, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let mut event = AuditEvent::example();
        event.event_id = number.to_string();
        sink.call(event).await.unwrap();
    }
}

/// The events in a file, by their numbers. Every line is a whole event.
fn numbers(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{}", path.display());
    let number =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["event_id"].as_str().unwrap().parse().unwrap();
    text.lines().map(number).collect()
}

#[tokio::test]
async fn a_file_stays_within_its_limit() {
    let directory = Directory::new("limit");
    let path = directory.join("audit.jsonl");
    let mut sink = sink(&path, 100);
    write(&mut sink, 0..60).await;
    let mut files: Vec<_> =
        (1..).map(|n| directory.join(&format!("audit.jsonl.{n}"))).take_while(|p| p.exists()).collect();
    assert!(files.len() > 5);
    files.reverse();
    files.push(path);
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= LIMIT);
    }
    let written: Vec<usize> = files.iter().flat_map(|file| numbers(file)).collect();
    assert_eq!(written, (0..60).collect::<Vec<_>>(), "every event once, in order");
}

#[tokio::test]
async fn only_the_oldest_file_is_deleted() {
    let directory = Directory::new("keep");
    let path = directory.join("audit.jsonl");
    write(&mut sink(&path, 2), 0..60).await;
    assert!(!directory.join("audit.jsonl.3").exists());
    let files = [directory.join("audit.jsonl.2"), directory.join("audit.jsonl.1"), path];
    let written: Vec<usize> = files.iter().flat_map(|file| numbers(file)).collect();
    assert_eq!(written, (60 - written.len()..60).collect::<Vec<_>>(), "the latest events, in order");
}

#[tokio::test]
async fn rotation_continues_after_a_restart() {
    let directory = Directory::new("restart");
    let path = directory.join("audit.jsonl");
    for start in 0..30 {
        write(&mut sink(&path, 100), start..start + 1).await;
    }
    assert!(fs::metadata(&path).unwrap().len() <= LIMIT && directory.join("audit.jsonl.1").exists());
    // A process that was killed between two renames leaves a free number.
    fs::remove_file(directory.join("audit.jsonl.1")).unwrap();
    let oldest = numbers(&directory.join("audit.jsonl.2"));
    write(&mut sink(&path, 100), 30..45).await;
    let kept = (1..10).map(|n| directory.join(&format!("audit.jsonl.{n}"))).filter(|path| path.exists());
    assert!(kept.into_iter().any(|path| numbers(&path) == oldest), "no older file is lost");
}

#[tokio::test]
async fn rotation_by_another_program_still_works() {
    let directory = Directory::new("both");
    let path = directory.join("audit.jsonl");
    let mut sink = sink(&path, 100);
    write(&mut sink, 0..3).await;
    fs::rename(&path, directory.join("moved")).unwrap();
    // The path is free when the old file is full, and before `reopen` is called.
    write(&mut sink, 3..20).await;
    sink.reopen().unwrap();
    write(&mut sink, 20..30).await;
    let names: Vec<_> = ["moved", "audit.jsonl"].into_iter().map(str::to_owned).collect();
    let older = (1..10).map(|n| format!("audit.jsonl.{n}"));
    let files = names.into_iter().chain(older).map(|name| directory.join(&name)).filter(|path| path.exists());
    let mut written: Vec<usize> = files.flat_map(|file| numbers(&file)).collect();
    written.sort_unstable();
    assert_eq!(written, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failed_rotation_loses_no_event() {
    let directory = Directory::new("stuck");
    let path = directory.join("audit.jsonl");
    // A file cannot take the place of a directory.
    fs::create_dir(directory.join("audit.jsonl.1")).unwrap();
    let mut sink = sink(&path, 1);
    write(&mut sink, 0..30).await;
    assert!(fs::metadata(&path).unwrap().len() > LIMIT);
    assert_eq!(numbers(&path), (0..30).collect::<Vec<_>>());
    fs::remove_dir(directory.join("audit.jsonl.1")).unwrap();
    write(&mut sink, 30..31).await;
    assert_eq!(numbers(&path), [30]);
    assert_eq!(numbers(&directory.join("audit.jsonl.1")), (0..30).collect::<Vec<_>>());
}
