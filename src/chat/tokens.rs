//! Tokens: what a client shows to be known. Access tokens are signed, refresh tokens are random.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::time::now;
use crate::model::{Instant, SessionId, UserId};

/// Who issues the tokens and whom they are for; both are this server (RFC 8725, 3.8 and 3.9).
const ISSUER: &str = "chatroom";
/// What the token is good for, so that no other kind passes for it (RFC 8725, 3.11).
const ACCESS: &str = "access";
/// Bytes of a refresh token's MAC; 128 bits cannot be guessed.
const MAC_LENGTH: usize = 16;
/// Characters of a refresh token: 16, 32 and 16 bytes in base64url.
const REFRESH_LENGTH: usize = 86;
/// Longest token that is looked at, in bytes.
const TOKEN_MAX: usize = 4096;

/// Signs and reads access tokens: JWT, HS256 and nothing else (RFC 8725, 3.1).
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    refresh: Hmac<Sha256>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: Uuid,
    jti: Uuid,
    iat: i64,
    exp: i64,
    r#use: String,
}

/// The key for refresh tokens, derived from the secret so that no other use of it can collide.
fn mac_key(secret: &str) -> Hmac<Sha256> {
    let mut hash = Sha256::new();
    hash.update(b"chatroom refresh key");
    hash.update(secret.as_bytes());
    let key = hash.finalize();
    Hmac::new_from_slice(&key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whose it is.
    pub user: UserId,
    /// The login it lives by.
    pub session: SessionId,
    /// When it ends.
    pub expires_at: Instant,
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has run out; all else about it is right.
    Expired,
    /// It is not one of ours.
    Invalid,
}

impl Keys {
    /// With the server's secret key.
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            validation,
            refresh: mac_key(secret),
        }
    }

    /// A token that says this.
    pub fn sign(&self, access: Access, now: Instant) -> Result<String, Fault> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: access.user.to_string(),
            sid: access.session.0,
            jti: Uuid::new_v4(),
            iat: now.timestamp(),
            exp: access.expires_at.timestamp(),
            r#use: ACCESS.to_owned(),
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.encoding)
            .map_err(|_| Fault::Invalid)
    }

    /// What a token says, if it is ours and has not run out.
    pub fn read(&self, token: &str) -> Result<Access, Fault> {
        let access = self.decode(token, &self.validation)?;
        // The library lets a token live through the second in which it ends.
        if access.expires_at <= now() {
            return Err(Fault::Expired);
        }
        Ok(access)
    }

    /// What a token says even if it has run out: enough to end its session.
    pub fn read_expired(&self, token: &str) -> Result<Access, Fault> {
        let mut lenient = self.validation.clone();
        lenient.validate_exp = false;
        self.decode(token, &lenient)
    }

    fn decode(&self, token: &str, validation: &Validation) -> Result<Access, Fault> {
        if token.len() > TOKEN_MAX {
            return Err(Fault::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, validation)
            .map_err(|e| match e.kind() {
                ErrorKind::ExpiredSignature => Fault::Expired,
                _ => Fault::Invalid,
            })?
            .claims;
        if claims.r#use != ACCESS {
            return Err(Fault::Invalid);
        }
        Ok(Access {
            user: UserId(claims.sub.parse().map_err(|_| Fault::Invalid)?),
            session: SessionId(claims.sid),
            expires_at: DateTime::from_timestamp(claims.exp, 0).ok_or(Fault::Invalid)?,
        })
    }
}

/// A refresh token: the session's id, 32 random bytes, and 16 bytes of a MAC over both, in unpadded
/// base64url. It is stored as a hash only. The MAC tells a token that was used up from one that never
/// was: a session's id, which is in its access tokens too, must not be enough to end it.
#[derive(Clone, PartialEq, Eq)]
pub struct Refresh {
    /// The login it belongs to.
    pub session: SessionId,
    secret: [u8; 32],
}

impl Keys {
    /// Reads a refresh token that a client sent; `None` when it was not made here.
    pub fn read_refresh(&self, text: &str) -> Option<Refresh> {
        if text.len() != REFRESH_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (session, rest) = bytes.split_at_checked(16)?;
        let (secret, mac) = rest.split_at_checked(32)?;
        let refresh = Refresh {
            session: SessionId(Uuid::from_slice(session).ok()?),
            secret: secret.try_into().ok()?,
        };
        let right = self.mac(&refresh).verify_truncated_left(mac).is_ok();
        right.then_some(refresh)
    }

    /// What a client is given.
    pub fn write_refresh(&self, refresh: &Refresh) -> String {
        let mac = self.mac(refresh).finalize().into_bytes();
        let parts = [
            refresh.session.0.as_bytes(),
            refresh.secret.as_slice(),
            &mac[..MAC_LENGTH],
        ];
        URL_SAFE_NO_PAD.encode(parts.concat())
    }

    fn mac(&self, refresh: &Refresh) -> Hmac<Sha256> {
        let mut mac = self.refresh.clone();
        mac.update(refresh.session.0.as_bytes());
        mac.update(&refresh.secret);
        mac
    }
}

impl Refresh {
    /// A new one for the session.
    pub fn random(session: SessionId) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { session, secret })
    }

    /// What is stored. The secret has 256 random bits, so a plain hash cannot be reversed.
    pub fn hash(&self) -> [u8; 32] {
        self.digest(b"chatroom refresh token")
    }

    /// Seals the token's successor so that only the holder of this one can read it: the other
    /// tab, which shows this token a moment later, is to get the same successor.
    pub fn seal(&self, next: &Self) -> [u8; 32] {
        self.xor_pad(next.secret)
    }

    /// Opens what [`Self::seal`] sealed.
    pub fn open(&self, sealed: &[u8]) -> Option<Self> {
        Some(Self {
            session: self.session,
            secret: self.xor_pad(sealed.try_into().ok()?),
        })
    }

    /// A one-time pad: the pad is derived from a secret that seals one successor only.
    fn xor_pad(&self, mut bytes: [u8; 32]) -> [u8; 32] {
        let pad = self.digest(b"chatroom refresh successor");
        for (byte, pad) in bytes.iter_mut().zip(pad) {
            *byte ^= pad;
        }
        bytes
    }

    fn digest(&self, purpose: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(purpose);
        hash.update(self.secret);
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn access(seconds: i64) -> Access {
        Access {
            user: UserId(7),
            session: SessionId::random(),
            expires_at: DateTime::from_timestamp(now().timestamp() + seconds, 0).expect("valid"),
        }
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_ends() {
        let keys = Keys::new(SECRET);
        let good = access(60);
        let token = keys.sign(good, now()).expect("a token");
        assert_eq!(keys.read(&token), Ok(good));
        let old = access(-1);
        let token = keys.sign(old, now() - Duration::hours(1)).expect("a token");
        assert_eq!(keys.read(&token), Err(Fault::Expired));
        assert_eq!(keys.read_expired(&token), Ok(old));
    }

    #[test]
    fn a_token_of_another_key_or_kind_is_invalid() {
        let keys = Keys::new(SECRET);
        let token = keys.sign(access(60), now()).expect("a token");
        let other = Keys::new("another-secret-another-secret-xx");
        assert_eq!(other.read(&token), Err(Fault::Invalid));
        let claims = |r#use: &str, aud: &str, exp: serde_json::Value| {
            serde_json::json!({"iss": "chatroom", "aud": aud, "sub": "7", "sid": Uuid::new_v4(),
                "jti": Uuid::new_v4(), "iat": 1, "exp": exp, "use": r#use})
        };
        let later = serde_json::json!(now().timestamp() + 60);
        for (claims, header) in [
            (
                claims("refresh", "chatroom", later.clone()),
                Header::default(),
            ),
            (
                claims("access", "elsewhere", later.clone()),
                Header::default(),
            ),
            (
                claims("access", "chatroom", "tomorrow".into()),
                Header::default(),
            ),
            (
                claims("access", "chatroom", later),
                Header::new(Algorithm::HS512),
            ),
        ] {
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            let token = jsonwebtoken::encode(&header, &claims, &key).expect("a token");
            assert_eq!(keys.read(&token), Err(Fault::Invalid), "{claims}");
        }
        for garbage in [
            "",
            "x",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.e30.",
            &"x".repeat(100_000),
        ] {
            assert_eq!(keys.read(garbage), Err(Fault::Invalid));
        }
    }

    #[test]
    fn a_sealed_successor_opens_with_the_token_before_it_only() {
        let session = SessionId::random();
        let [one, two, three] = [(); 3].map(|()| Refresh::random(session).expect("random"));
        let sealed = one.seal(&two);
        assert!(one.open(&sealed) == Some(two.clone()));
        assert!(three.open(&sealed) != Some(two.clone()));
        assert_ne!(one.hash(), two.hash());
        assert!(!sealed.starts_with(&two.secret[..4]));
    }

    #[test]
    fn a_refresh_token_that_was_not_made_here_is_nothing() {
        let (keys, session) = (Keys::new(SECRET), SessionId::random());
        let refresh = Refresh::random(session).expect("random");
        let text = keys.write_refresh(&refresh);
        assert_eq!(text.len(), REFRESH_LENGTH);
        assert!(keys.read_refresh(&text) == Some(refresh.clone()));
        let other = Keys::new("another-secret-another-secret-xx");
        assert!(other.read_refresh(&text).is_none());
        let mut forged = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        forged[20] ^= 1;
        let forged = URL_SAFE_NO_PAD.encode(forged);
        for garbage in [
            "",
            "x",
            &"!".repeat(86),
            &"A".repeat(86),
            &text[1..],
            &forged,
        ] {
            assert!(keys.read_refresh(garbage).is_none(), "{garbage}");
        }
    }
}
