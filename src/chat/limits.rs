//! Rate limits: who does something too often is asked to wait.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::error::{Error, Result};
use crate::config;
use crate::model::UserId;

/// Keys that a limit remembers before it forgets those who have been quiet.
const KEYS: usize = 100_000;

/// The limits in force; none of them when they are switched off.
#[derive(Debug)]
pub struct Limits(Option<InForce>);

#[derive(Debug)]
struct InForce {
    /// By account and address, so that nobody locks others out of their accounts from elsewhere.
    /// Behind a proxy all come from its address.
    logins: DefaultKeyedRateLimiter<(String, IpAddr)>,
    sends: DefaultKeyedRateLimiter<UserId>,
    frames: Quota,
}

impl Limits {
    /// As configured.
    pub fn new(config: &config::Limits) -> Self {
        if !config.enabled {
            return Self(None);
        }
        let per_second =
            |rate: NonZeroU32, burst: NonZeroU32| Quota::per_second(rate).allow_burst(burst);
        Self(Some(InForce {
            logins: RateLimiter::keyed(Quota::per_minute(config.login_per_minute)),
            sends: RateLimiter::keyed(per_second(config.sends_per_second, config.sends_burst)),
            frames: per_second(config.frames_per_second, config.frames_burst),
        }))
    }

    /// One more attempt to log in to an account from an address.
    pub fn login(&self, account: String, from: IpAddr) -> Result<()> {
        match &self.0 {
            Some(limits) => check(&limits.logins, &(account, from)),
            None => Ok(()),
        }
    }

    /// One more message by a user.
    pub fn send(&self, user: UserId) -> Result<()> {
        match &self.0 {
            Some(limits) => check(&limits.sends, &user),
            None => Ok(()),
        }
    }

    /// A limit for the frames of one new socket.
    pub fn frames(&self) -> Frames {
        Frames(
            self.0
                .as_ref()
                .map(|limits| RateLimiter::direct(limits.frames)),
        )
    }

    /// Forgets those who have been quiet for long enough.
    pub fn forget(&self) {
        if let Some(limits) = &self.0 {
            limits.logins.retain_recent();
            limits.logins.shrink_to_fit();
            limits.sends.retain_recent();
            limits.sends.shrink_to_fit();
        }
    }
}

/// The limit for the frames of one socket.
#[derive(Debug)]
pub struct Frames(Option<DefaultDirectRateLimiter>);

impl Frames {
    /// One more frame.
    pub fn one_more(&self) -> Result<()> {
        let Some(limit) = &self.0 else { return Ok(()) };
        limit
            .check()
            .map_err(|until| Error::TooMany(until.wait_time_from(DefaultClock::default().now())))
    }
}

fn check<K: Hash + Eq + Clone>(limit: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<()> {
    if limit.len() >= KEYS {
        limit.retain_recent();
    }
    limit.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        // A header in whole seconds must not say too little.
        Error::TooMany(Duration::from_secs(wait.as_secs() + 1))
    })
}
