//! Passwords: hashing them off the async threads, and Django's four rules for choosing them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::error::{Error, Result};
use crate::model::Refusal;

/// Longest password, in bytes: room for any passphrase, and no more work than that.
pub const PASSWORD_MAX: usize = 1024;
/// Shortest password, in characters; Django's default.
const PASSWORD_MIN: usize = 8;
/// How alike a password and a name may be; Django's default.
const MAX_SIMILARITY: f64 = 0.7;
/// Logins that may wait for their turn; each waiter costs little, but answers late.
const QUEUE: usize = 64;

/// What a password is checked against when there is no such user, so that the answer takes as long
/// as for one there is: the parameters are the ones in force, and no password has a hash of zeros.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes with Argon2id at OWASP's minimum (19 MiB, 2 passes, 1 lane; the crate's default), on
/// blocking threads, as many at once as there are cores: more would only take memory.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    turns: Semaphore,
    waiting: AtomicUsize,
}

impl Passwords {
    /// With one turn a core.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            turns: Semaphore::new(cores),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// A PHC string with a random salt.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.work(move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| {
                tracing::error!(%error, "a password could not be hashed");
                Error::Internal
            })
        })
        .await?
    }

    /// Whether this is the password; without a hash it takes as long and is not.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        self.work(move || {
            let hash = hash.as_deref().unwrap_or(NOBODY);
            Argon2::default()
                .verify_password(password.as_bytes(), hash)
                .is_ok()
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let place = Place::take(&self.0)?;
        let turn = self.0.turns.acquire().await.map_err(|_| Error::Internal)?;
        let done = tokio::task::spawn_blocking(work).await;
        drop((turn, place));
        done.map_err(|_| Error::Internal)
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a>(&'a Inner);

impl<'a> Place<'a> {
    fn take(inner: &'a Inner) -> Result<Self> {
        let place = Self(inner);
        if inner.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            return Err(Error::Unavailable);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A person's own data that a password should not repeat: what it is called, and what it is.
pub type Attribute<'a> = (&'static str, &'a str);

/// What is wrong with a password as a new one, in Django's words and order.
pub fn weaknesses(password: &str, attributes: &[Attribute<'_>]) -> Vec<Refusal> {
    let mut found = Vec::new();
    if password.len() > PASSWORD_MAX {
        found.push(
            format!("This password is too long. It may have at most {PASSWORD_MAX} bytes.").into(),
        );
        return found;
    }
    let lower = password.to_lowercase();
    if let Some((label, _)) = attributes
        .iter()
        .find(|(_, value)| resembles(&lower, value))
    {
        found.push(format!("The password is too similar to the {label}.").into());
    }
    if password.chars().count() < PASSWORD_MIN {
        found.push(
            format!(
                "This password is too short. It must contain at least {PASSWORD_MIN} characters."
            )
            .into(),
        );
    }
    if passwords::analyzer::is_common_password(lower.trim()) {
        found.push("This password is too common.".into());
    }
    if !password.is_empty() && password.chars().all(char::is_numeric) {
        found.push("This password is entirely numeric.".into());
    }
    found
}

/// Whether the password is much like the value or one of its words.
fn resembles(lower: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    let words = value.split(|c: char| !c.is_alphanumeric() && c != '_');
    let length = lower.chars().count();
    words.chain([value.as_str()]).any(|word| {
        let word_length = word.chars().count();
        // A word that is tiny beside the password says nothing about it.
        #[expect(clippy::cast_precision_loss, reason = "lengths are at most 1,024")]
        let tiny = length >= 10 * word_length
            && (word_length as f64) < MAX_SIMILARITY / 2.0 * length as f64;
        !tiny && similarity(lower, word) >= MAX_SIMILARITY
    })
}

/// Twice the characters in common, in any order, over all characters: 0 to 1.
fn similarity(a: &str, b: &str) -> f64 {
    let mut left: HashMap<char, usize> = HashMap::new();
    let mut total = 0usize;
    for c in b.chars() {
        *left.entry(c).or_default() += 1;
        total += 1;
    }
    let mut common = 0usize;
    for c in a.chars() {
        total += 1;
        if let Some(n) = left.get_mut(&c).filter(|n| **n > 0) {
            *n -= 1;
            common += 1;
        }
    }
    if total == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "lengths are at most 1,024")]
    let ratio = 2.0 * common as f64 / total as f64;
    ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(password: &str) -> Vec<Refusal> {
        let ann = [
            ("username", "annabel"),
            ("email address", "annabel.lee@kingdom.example"),
            ("first name", "Annabel"),
            ("last name", "Lee"),
        ];
        weaknesses(password, &ann)
    }

    #[test]
    fn a_good_password_is_accepted() {
        for good in [
            "correct horse battery",
            "vX9#kk2!pQ",
            "пароль-с-морем",
            "ein langer satz",
        ] {
            assert!(told(good).is_empty(), "{good}: {:?}", told(good));
        }
    }

    #[test]
    fn each_rule_has_its_sentence() {
        assert_eq!(
            told("qV3!"),
            ["This password is too short. It must contain at least 8 characters."]
        );
        assert_eq!(told("password123"), ["This password is too common."]);
        assert_eq!(told("PASSWORD123"), ["This password is too common."]);
        assert_eq!(
            told("annabel77"),
            ["The password is too similar to the username."]
        );
        assert_eq!(
            told("kingdom.example"),
            ["The password is too similar to the email address."]
        );
        assert_eq!(
            told("9274610582736"),
            ["This password is entirely numeric."]
        );
        assert_eq!(
            told(&"x".repeat(1025)),
            ["This password is too long. It may have at most 1024 bytes."]
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        assert_eq!(
            told("123456"),
            [
                "This password is too short. It must contain at least 8 characters.",
                "This password is too common.",
                "This password is entirely numeric."
            ]
        );
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_and_fits_its_password_only() {
        let passwords = Passwords::new();
        let hash = passwords
            .hash("correct horse".to_owned())
            .await
            .expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        for (password, fits) in [
            ("correct horse", true),
            ("Correct horse", false),
            ("", false),
        ] {
            let verified = passwords
                .verify(password.to_owned(), Some(hash.clone()))
                .await;
            assert_eq!(verified.expect("a verdict"), fits, "{password}");
        }
        // The stand-in must be a well-formed hash, or unknown users would be told apart by time.
        let parsed = argon2::password_hash::phc::PasswordHash::new(NOBODY);
        assert!(parsed.is_ok());
        assert!(
            !passwords
                .verify(String::new(), None)
                .await
                .expect("a verdict")
        );
    }
}
