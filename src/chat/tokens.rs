//! Tokens: what a client shows to be known. Access tokens are signed, refresh tokens are random.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
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
/// Longest token that is looked at, in bytes.
const TOKEN_MAX: usize = 4096;

/// Signs and reads access tokens: JWT, HS256 and nothing else (RFC 8725, 3.1).
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
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

/// A refresh token: the session's id and 32 random bytes, in unpadded base64url. It is stored as
/// a hash only.
#[derive(Clone, PartialEq, Eq)]
pub struct Refresh {
    /// The login it belongs to.
    pub session: SessionId,
    secret: [u8; 32],
}

impl Refresh {
    /// A new one for the session.
    pub fn random(session: SessionId) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { session, secret })
    }

    /// Reads what a client sent.
    pub fn parse(text: &str) -> Option<Self> {
        // 48 bytes are 64 characters.
        if text.len() != 64 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (session, secret) = bytes.split_at_checked(16)?;
        Some(Self {
            session: SessionId(Uuid::from_slice(session).ok()?),
            secret: secret.try_into().ok()?,
        })
    }

    /// What a client is given.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.session.0.as_bytes(), self.secret.as_slice()].concat())
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
        assert!(Refresh::parse(&two.text()) == Some(two.clone()));
        assert_ne!(one.hash(), two.hash());
        assert!(!sealed.starts_with(&two.secret[..4]));
        for garbage in ["", "x", &"!".repeat(64), &"A".repeat(63)] {
            assert!(Refresh::parse(garbage).is_none());
        }
    }
}
