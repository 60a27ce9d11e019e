//! Sessions: logging in, staying logged in, logging out, and being known.

use std::net::IpAddr;

use chrono::SubsecRound;

use super::error::{Error, Result};
use super::tokens::{Access, Fault, Refresh};
use super::{Chat, passwords};
use crate::model::text::fold;
use crate::model::time::now;
use crate::model::{Field, Identity, Instant, Problems, SessionId, User, UserId};
use crate::store::{Exchange, Rotation};

/// For how long the refresh token before the one in force stays good: two tabs that refresh at
/// the same moment both stay logged in.
const GRACE: chrono::Duration = chrono::Duration::seconds(30);
const WRONG: &str = "Invalid email or password";

/// What someone sends who wants to log in.
#[derive(Debug, Default)]
pub struct Credentials {
    /// A username; an email address works too.
    pub username: Field,
    /// An email address, instead.
    pub email: Field,
    /// Required.
    pub password: Field,
}

/// A login: what the client needs to go on.
#[derive(Debug)]
pub struct Login {
    /// Who is logged in.
    pub user: User,
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// How long the access token lasts.
    pub access_ttl: chrono::Duration,
    /// How long the refresh token lasts.
    pub refresh_ttl: chrono::Duration,
}

impl Chat {
    /// Begins a session for whoever knows the password. An unknown user, a wrong password and a
    /// deactivated user get the same answer after the same work.
    pub async fn log_in(&self, form: Credentials, from: IpAddr) -> Result<Login> {
        let mut problems = Problems::new();
        // An empty username beside an address is as good as none.
        let empty = form.username == Field::from("");
        let (field, name) = match (form.username, form.email) {
            (username, Field::Missing | Field::Null) if username.is_present() => {
                ("username", username)
            }
            (username, _) if username.is_present() && !empty => ("username", username),
            (_, email) if email.is_present() => ("email", email),
            _ => ("username", Field::Missing),
        };
        let name = problems.take(field, name.required());
        let password = problems.take("password", form.password.required());
        let (Some(name), Some(password)) = (name, password) else {
            return Err(problems.into());
        };
        let key = fold(name.trim());
        self.0.limits.login(key.chars().take(254).collect(), from)?;
        if password.len() > passwords::PASSWORD_MAX || key.contains('\0') {
            return Err(wrong());
        }
        let store = &self.0.store;
        // An address is looked up as one first: nobody can take over a login by choosing another's
        // address as a username.
        let mut account = None;
        if key.contains('@') {
            account = store.account_by_email(&key).await?;
        }
        if account.is_none() && field == "username" {
            account = store.account_by_username(&key).await?;
        }
        let (user, hash) = account.map(|a| (a.user, a.password_hash)).unzip();
        let right = self.0.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|user| right && user.is_active) else {
            tracing::info!(%from, "a login failed");
            return Err(wrong());
        };
        tracing::info!(user = %user.id, %from, "logged in");
        self.begin_session(user).await
    }

    async fn begin_session(&self, user: User) -> Result<Login> {
        let refresh = random(SessionId::random())?;
        let now = now();
        let ends = now + self.0.rules.refresh_ttl;
        self.0
            .store
            .insert_session(refresh.session, user.id, refresh.hash(), now, ends)
            .await?;
        self.login(user, &refresh, now, ends)
    }

    fn login(&self, user: User, refresh: &Refresh, now: Instant, ends: Instant) -> Result<Login> {
        // An access token never outlives its session, but for the second that it is rounded up to.
        let expires_at = whole_second(ends.min(now + self.0.rules.access_ttl));
        let access = Access {
            user: user.id,
            session: refresh.session,
            expires_at,
        };
        Ok(Login {
            access: self.0.keys.sign(access, now).map_err(|_| Error::Internal)?,
            refresh: self.0.keys.write_refresh(refresh),
            access_ttl: expires_at - now,
            refresh_ttl: ends - now,
            user,
        })
    }

    /// Changes a refresh token for the next one, and an access token with it. The token before
    /// stays good for 30 s and yields the same successor; used later, it ends the session.
    pub async fn refresh(&self, token: Option<&str>) -> Result<Login> {
        let token = token
            .filter(|t| !t.is_empty())
            .ok_or(Error::NoRefreshToken)?;
        let shown = self
            .0
            .keys
            .read_refresh(token)
            .ok_or(Error::RefreshInvalid)?;
        let next = random(shown.session)?;
        let now = now();
        let ends = now + self.0.rules.refresh_ttl;
        let exchange = Exchange {
            session: shown.session,
            shown: shown.hash(),
            next: next.hash(),
            sealed: shown.seal(&next),
            now,
            expires_at: ends,
            grace: GRACE,
        };
        match self.0.store.rotate(&exchange).await? {
            Rotation::Done(user) => self.login(user, &next, now, ends),
            Rotation::Repeated {
                user,
                sealed,
                expires_at,
            } => {
                let next = shown.open(&sealed).ok_or(Error::Internal)?;
                self.login(user, &next, now, expires_at)
            }
            Rotation::Reused(user) => {
                tracing::warn!(%user, session = %shown.session,
                    "a used refresh token was shown again; its session is ended");
                self.end_sockets(shown.session);
                Err(Error::RefreshInvalid)
            }
            Rotation::Gone => Err(Error::RefreshInvalid),
        }
    }

    /// Ends the sessions that any of the tokens belongs to, their live connections with them.
    /// Showing nothing, or something that is not ours, changes nothing.
    pub async fn log_out(&self, access: &[String], refresh: &[String]) -> Result<()> {
        let mut sessions = Vec::new();
        for access in access
            .iter()
            .filter_map(|token| self.0.keys.read_expired(token).ok())
        {
            sessions.push(access.session);
        }
        // A token that was used up is as good: whoever has it was logged in, and wants out.
        for shown in refresh
            .iter()
            .filter_map(|token| self.0.keys.read_refresh(token))
        {
            sessions.push(shown.session);
        }
        sessions.sort_unstable();
        sessions.dedup();
        for session in sessions {
            if self.0.store.delete_session(session).await? {
                tracing::info!(%session, "logged out");
            }
            self.end_sockets(session);
        }
        Ok(())
    }

    fn end_sockets(&self, session: SessionId) {
        self.0.hub.end_session(session);
    }

    /// What this access token says, if it is one of ours and has not run out. Whether its session
    /// and its user are in good standing is another question: see [`Self::identify`].
    pub fn claim(&self, token: &str) -> Result<Claim> {
        let access = self.0.keys.read(token).map_err(|fault| match fault {
            Fault::Expired => Error::TokenExpired,
            Fault::Invalid => Error::TokenInvalid,
        })?;
        Ok(Claim {
            user: access.user,
            session: access.session,
            expires_at: access.expires_at,
        })
    }

    /// Who makes the claim, if the session and the user are in good standing.
    pub async fn identify(&self, claim: &Claim) -> Result<Identity> {
        claim.by(self.0.store.session_user(claim.session, now()).await?)
    }

    /// Who shows this access token, if its session and its user are in good standing.
    pub async fn authenticate(&self, token: &str) -> Result<Identity> {
        self.identify(&self.claim(token)?).await
    }
}

/// What an access token says.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    expires_at: Instant,
}

impl Claim {
    /// The identity, if this is the user whose session it is.
    pub(super) fn by(&self, user: Option<User>) -> Result<Identity> {
        // The token and the row name the same user, or something is very wrong.
        let user = user.filter(|user| user.id == self.user);
        Ok(Identity {
            user: user.ok_or(Error::TokenInvalid)?,
            session: self.session,
            expires_at: self.expires_at,
        })
    }
}

/// The whole second at or after the instant: tokens count in seconds, and are not to end early.
fn whole_second(at: Instant) -> Instant {
    let down = at.trunc_subsecs(0);
    if down < at {
        down + chrono::Duration::seconds(1)
    } else {
        down
    }
}

fn wrong() -> Error {
    Error::Invalid(Problems::of("non_field_errors", WRONG))
}

fn random(session: SessionId) -> Result<Refresh> {
    Refresh::random(session).map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        Error::Internal
    })
}
