//! Messages by REST: reading them by pages, sending them, and sending them twice.

mod nonces;
mod reading;
mod sending;

use serde_json::Value;

/// The names of an object's keys, in their order.
fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

/// Asserts that it is a time as the contract spells it, and not long ago.
#[track_caller]
fn is_just_now(time: &Value) {
    let time = time.as_str().expect("a text");
    let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shape: String = time.chars().map(digit).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000+00:00", "{time}");
    let time = chrono::DateTime::parse_from_rfc3339(time).expect("a time");
    let age = chrono::Utc::now().signed_duration_since(time).num_seconds();
    assert!((0..60).contains(&age), "{time}");
}

/// The ids of the messages on a page.
fn ids(page: &Value) -> Vec<i64> {
    let messages = page["messages"].as_array().expect("messages").iter();
    messages.map(|m| m["id"].as_i64().expect("an id")).collect()
}
