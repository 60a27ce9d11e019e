//! Random numbers that can be had again: a test prints its seed, and takes one from the environment.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// Names the seed to run with, to see a failure again.
const SEED: &str = "CHATROOM_TEST_SEED";

/// A generator of random numbers (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// With a fresh seed, or the one in the environment; it is printed if the test fails.
    pub fn printed() -> Self {
        let seed = match env::var(SEED) {
            Ok(text) => text.parse().expect("a seed"),
            Err(_) => RandomState::new().hash_one("seed"),
        };
        eprintln!("to see this again: {SEED}={seed}");
        Self(seed)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("64 bits");
        usize::try_from(self.next() % bound).expect("64 bits")
    }

    /// True so many times out of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Another generator, for another task.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
