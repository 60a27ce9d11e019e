//! Instants: UTC, cut to microseconds, because that is what PostgreSQL keeps.

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};

/// A moment in UTC with microseconds.
pub type Instant = DateTime<Utc>;

/// The present moment, cut to microseconds, so that what is answered equals what is stored.
pub fn now() -> Instant {
    Utc::now().trunc_subsecs(6)
}

/// The one spelling of an instant: `2026-11-22T09:13:53.435539+00:00`. It sorts as text.
pub fn iso(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_spelled_with_six_digits_and_an_offset() {
        let at = DateTime::from_timestamp(1_763_802_833, 435_000_000).expect("a valid instant");
        assert_eq!(iso(at), "2025-11-22T09:13:53.435000+00:00");
    }
}
