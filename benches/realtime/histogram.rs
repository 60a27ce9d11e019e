//! Latencies, counted in buckets that are at most 1/128 wide of what they hold.

use serde::{Deserialize, Serialize};

/// Buckets for each doubling, as a power of two.
const FINE: u32 = 7;

/// Percentiles in milliseconds.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Counts nanoseconds.
#[derive(Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            counts: vec![0; (65 - FINE as usize) << FINE],
            total: 0,
            max: 0,
        }
    }

    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Forgets what was counted.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.at(500),
            p90: self.at(900),
            p99: self.at(990),
            p999: self.at(999),
            max: millis(self.max),
        }
    }

    /// What so many of a thousand are not above, in milliseconds.
    fn at(&self, permille: u64) -> f64 {
        let wanted = (self.total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return millis(top(bucket).min(self.max));
            }
        }
        0.0
    }
}

/// Small values have buckets of their own, larger ones share one with those that have the same
/// first `FINE + 1` bits.
fn bucket(nanos: u64) -> usize {
    let bits = u64::BITS - nanos.leading_zeros();
    let shift = bits.saturating_sub(FINE + 1);
    let within = usize::try_from(nanos >> shift).unwrap_or(0);
    ((shift as usize) << FINE) + within
}

/// The largest value of a bucket.
fn top(bucket: usize) -> u64 {
    let shift = (bucket >> FINE).saturating_sub(1);
    let within = (bucket - (shift << FINE)) as u64;
    (within << shift) + ((1 << shift) - 1)
}

#[expect(clippy::cast_precision_loss, reason = "a latency has no 53 bits")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
