//! The JSON Schema of the configuration file is current, has a description for every key, and allows no other key.

use crate::process::Folder;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../gateway.schema.json");

/// If the schema has changed, write what `token-exchange-gateway schema` prints to `gateway.schema.json`.
#[test]
fn the_schema_is_current() {
    let printed = Folder::new().run(&["schema"]);
    assert!(printed.status.success());
    assert!(String::from_utf8(printed.stdout).unwrap() == SCHEMA, "`gateway.schema.json` is out of date");
}

#[test]
fn a_reader_may_close_the_output() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_token-exchange-gateway"));
    let piped = std::process::Stdio::piped;
    let mut child = command.arg("schema").stdout(piped()).stderr(piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The keys of an object of the schema, with the schema of each.
fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    schema["properties"].as_object().map(|keys| keys.iter().collect()).unwrap_or_default()
}

#[test]
fn every_key_has_a_description() {
    fn visit(place: &str, schema: &Value, missing: &mut Vec<String>) {
        for (key, schema) in properties(schema) {
            if schema["description"].as_str().is_none_or(|text| !text.ends_with('.')) {
                missing.push(format!("{place}.{key}"));
            }
        }
        match schema {
            Value::Object(members) => {
                members.iter().for_each(|(name, inner)| visit(&format!("{place}.{name}"), inner, missing))
            }
            Value::Array(items) => items.iter().for_each(|inner| visit(place, inner, missing)),
            _ => {}
        }
    }
    let (schema, mut missing) = (serde_json::from_str::<Value>(SCHEMA).unwrap(), Vec::new());
    visit("", &schema, &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn no_table_has_unknown_keys() {
    fn visit(place: &str, schema: &Value, open: &mut Vec<String>) {
        if schema["properties"].is_object() && schema["additionalProperties"] != false {
            open.push(place.to_owned());
        }
        match schema {
            Value::Object(members) => {
                members.iter().for_each(|(name, inner)| visit(&format!("{place}.{name}"), inner, open));
            }
            Value::Array(items) => items.iter().for_each(|inner| visit(place, inner, open)),
            _ => {}
        }
    }
    let (schema, mut open) = (serde_json::from_str::<Value>(SCHEMA).unwrap(), Vec::new());
    visit("", &schema, &mut open);
    assert_eq!(open, Vec::<String>::new());
}
