//! Users: registration, the list, superusers.

use super::error::{Error, Result};
use super::passwords::weaknesses;
use super::{Chat, LIST_MAX};
use crate::model::text::{fold, has_control};
use crate::model::time::now;
use crate::model::{
    Actor, Email, Field, Instant, PersonName, Problems, Refusal, User, UserId, Username,
};
use crate::store::{NewUser, Taken};

pub(super) const USERNAME_TAKEN: &str = "A user with that username already exists.";
pub(super) const EMAIL_TAKEN: &str = "A user with that email already exists.";
/// Longest text to search for, in characters.
const SEARCH_MAX: usize = 255;
/// Numbers that are tried behind a derived username before a random one is taken.
const NUMBERED: u32 = 20;

/// What someone sends who wants an account.
#[derive(Debug, Default)]
pub struct Registration {
    /// May be missing: then one is derived.
    pub username: Field,
    /// Required.
    pub email: Field,
    /// Required.
    pub password: Field,
    /// May be missing.
    pub first_name: Field,
    /// May be missing.
    pub last_name: Field,
}

/// What makes a superuser.
#[derive(Debug)]
pub struct Superuser {
    /// Required.
    pub email: String,
    /// Required.
    pub username: String,
    /// Required.
    pub password: String,
    /// Whether the four password rules are left out.
    pub any_password: bool,
}

/// What to do with a superuser's email address that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    Refuse,
    /// Set that user's password and make them a superuser.
    Update,
}

/// A form's words, as far as they could be read.
struct Words {
    username: Option<Username>,
    email: Option<Email>,
    first_name: PersonName,
    last_name: PersonName,
    password: Option<String>,
}

impl Words {
    fn parse(form: Registration, any_password: bool, problems: &mut Problems) -> Self {
        let username = if form.username.is_present() {
            let text = form.username.required().and_then(|t| Username::parse(&t));
            problems.take("username", text)
        } else {
            None
        };
        let email = form.email.required().and_then(|text| Email::parse(&text));
        let email = problems.take("email", email);
        let mut person = |field: Field, name| {
            let text = field.optional().map(Option::unwrap_or_default);
            let name = problems.take(name, text.and_then(|text| PersonName::parse(&text)));
            name.unwrap_or_default()
        };
        let first_name = person(form.first_name, "first_name");
        let last_name = person(form.last_name, "last_name");
        let password = form.password.required().and_then(|password| {
            if password.trim().is_empty() {
                Err("This field may not be blank.".into())
            } else {
                Ok(password)
            }
        });
        let password = problems.take("password", password);
        if let Some(password) = &password
            && !any_password
        {
            let attributes = [
                ("username", username.as_ref().map_or("", Username::as_str)),
                ("first name", first_name.as_str()),
                ("last name", last_name.as_str()),
                ("email address", email.as_ref().map_or("", Email::as_str)),
            ];
            for weakness in weaknesses(password, &attributes) {
                problems.add("password", weakness);
            }
        }
        Self {
            username,
            email,
            first_name,
            last_name,
            password,
        }
    }
}

impl Chat {
    /// Makes an account. Anyone may, unless registration is closed.
    pub async fn register(&self, form: Registration) -> Result<User> {
        if !self.0.rules.registration {
            return Err(Error::RegistrationClosed);
        }
        let mut problems = Problems::new();
        let words = Words::parse(form, false, &mut problems);
        self.note_taken(&words, &mut problems).await?;
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let (Some(email), Some(password)) = (words.email, words.password) else {
            return Err(Error::Internal);
        };
        let mut new = NewUser {
            username: match &words.username {
                Some(username) => username.clone(),
                None => derived(&words.first_name, &words.last_name, &email),
            },
            email,
            first_name: words.first_name,
            last_name: words.last_name,
            password_hash: self.0.passwords.hash(password).await?,
            is_superuser: false,
            created_at: now(),
        };
        let base = new.username.clone();
        for attempt in 2_u32.. {
            match self.0.store.insert_user(&new).await? {
                Ok(id) => return Ok(user(id, &new)),
                // A derived name may be somebody's: the next number is tried, in the end a random one.
                Err(taken) if !taken.email && words.username.is_none() => {
                    new.username = numbered(&base, attempt);
                }
                Err(taken) => return Err(taken_problems(taken).into()),
            }
        }
        Err(Error::Internal)
    }

    /// Notes the unique things that somebody has, so that they are told with all else.
    async fn note_taken(&self, words: &Words, problems: &mut Problems) -> Result<()> {
        if let Some(username) = &words.username
            && self
                .0
                .store
                .account_by_username(&username.key())
                .await?
                .is_some()
        {
            problems.add("username", USERNAME_TAKEN);
        }
        if let Some(email) = &words.email
            && self.0.store.account_by_email(&email.key()).await?.is_some()
        {
            problems.add("email", EMAIL_TAKEN);
        }
        Ok(())
    }

    /// Up to `limit` (at most 1,000) active users but the one who asks, by id, after `after`; the
    /// flag says whether there are more. Superusers also find users by their address.
    pub async fn users(
        &self,
        who: Actor<'_>,
        search: &str,
        after: UserId,
        limit: u32,
    ) -> Result<(Vec<User>, bool)> {
        let search = search.trim();
        // No name has control characters, and the store keeps names apart by one.
        if search.chars().count() > SEARCH_MAX || has_control(search) {
            return Err(Error::BadParameter(
                format!("search: at most {SEARCH_MAX} characters, no control characters").into(),
            ));
        }
        let except = match who {
            Actor::Operator => None,
            Actor::User(user) => Some(user.id),
        };
        let limit = limit.clamp(1, LIST_MAX);
        let mut users = self
            .0
            .store
            .active_users(except, &fold(search), who.is_superuser(), after, limit + 1)
            .await?;
        let more = users.len() > limit as usize;
        users.truncate(limit as usize);
        Ok((users, more))
    }

    /// The user with this address, or else this username. As for a login, nobody comes before the
    /// holder of an address by calling themselves so.
    pub async fn find_user(&self, name: &str) -> Result<User> {
        match self.user_by_email(name).await? {
            Some(user) => Ok(user),
            None => self
                .user_by_username(name)
                .await?
                .ok_or(Error::UserNotFound),
        }
    }

    /// The user with this address.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        let account = self.0.store.account_by_email(&fold(email)).await?;
        Ok(account.map(|found| found.user))
    }

    /// The user with this username.
    pub async fn user_by_username(&self, username: &str) -> Result<Option<User>> {
        let account = self.0.store.account_by_username(&fold(username)).await?;
        Ok(account.map(|found| found.user))
    }

    /// Whether there is a superuser yet.
    pub async fn any_superuser(&self) -> Result<bool> {
        Ok(self.0.store.any_superuser().await?)
    }

    /// Makes a superuser; the flag says whether they are new. Only the operator can.
    pub async fn create_superuser(
        &self,
        form: Superuser,
        existing: Existing,
    ) -> Result<(User, bool)> {
        let mut problems = Problems::new();
        let words = Words::parse(
            Registration {
                username: Field::Text(form.username),
                email: Field::Text(form.email),
                password: Field::Text(form.password),
                ..Registration::default()
            },
            form.any_password,
            &mut problems,
        );
        let holder = match &words.email {
            Some(email) => self.0.store.account_by_email(&email.key()).await?,
            None => None,
        };
        if let Some(holder) = holder.filter(|_| existing == Existing::Update)
            && problems.is_empty()
            && let Some(password) = words.password
        {
            let hash = self.0.passwords.hash(password).await?;
            self.0.store.promote(holder.user.id, &hash).await?;
            let promoted = User {
                is_active: true,
                is_superuser: true,
                ..holder.user
            };
            return Ok((promoted, false));
        }
        self.note_taken(&words, &mut problems).await?;
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let (Some(username), Some(email), Some(password)) =
            (words.username, words.email, words.password)
        else {
            return Err(Error::Internal);
        };
        let new = NewUser {
            username,
            email,
            first_name: words.first_name,
            last_name: words.last_name,
            password_hash: self.0.passwords.hash(password).await?,
            is_superuser: true,
            created_at: now(),
        };
        match self.0.store.insert_user(&new).await? {
            Ok(id) => Ok((user(id, &new), true)),
            Err(taken) => Err(taken_problems(taken).into()),
        }
    }

    /// Whether this could be a new user's address; a prompt asks before it goes on.
    pub async fn check_email(&self, text: &str) -> Result<std::result::Result<(), Refusal>> {
        Ok(match Email::parse(text) {
            Err(refusal) => Err(refusal),
            Ok(email) => match self.0.store.account_by_email(&email.key()).await? {
                Some(_) => Err("That email is already taken.".into()),
                None => Ok(()),
            },
        })
    }

    /// Whether this could be a new user's name; a prompt asks before it goes on.
    pub async fn check_username(&self, text: &str) -> Result<std::result::Result<(), Refusal>> {
        Ok(match Username::parse(text) {
            Err(refusal) => Err(refusal),
            Ok(name) => match self.0.store.account_by_username(&name.key()).await? {
                Some(_) => Err("That username is already taken.".into()),
                None => Ok(()),
            },
        })
    }

    /// What is wrong with a password for someone with this name and address.
    pub fn check_password(&self, password: &str, username: &str, email: &str) -> Vec<Refusal> {
        weaknesses(
            password,
            &[("username", username), ("email address", email)],
        )
    }
}

fn user(id: UserId, new: &NewUser) -> User {
    let created_at: Instant = new.created_at;
    User {
        id,
        username: new.username.as_str().to_owned(),
        email: new.email.as_str().to_owned(),
        first_name: new.first_name.as_str().to_owned(),
        last_name: new.last_name.as_str().to_owned(),
        is_active: true,
        is_superuser: new.is_superuser,
        created_at,
    }
}

fn taken_problems(taken: Taken) -> Problems {
    let mut problems = Problems::new();
    if taken.username {
        problems.add("username", USERNAME_TAKEN);
    }
    if taken.email {
        problems.add("email", EMAIL_TAKEN);
    }
    problems
}

/// A username from the names, or else from what stands before the `@`.
fn derived(first: &PersonName, last: &PersonName, email: &Email) -> Username {
    let names: String = [first.as_str(), last.as_str()]
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(".")
        .to_lowercase()
        .chars()
        .take(100)
        .collect();
    Username::parse(&names)
        .or_else(|_| Username::parse(&email.local_part().to_lowercase()))
        .or_else(|_| Username::parse("user"))
        .unwrap_or_else(|_| unreachable!("\"user\" is a username"))
}

/// The next spelling to try for a derived username that somebody has.
fn numbered(base: &Username, attempt: u32) -> Username {
    let number = if attempt <= NUMBERED {
        attempt.to_string()
    } else {
        uuid::Uuid::new_v4().simple().to_string()
    };
    let short: String = base.as_str().chars().take(100).collect();
    Username::parse(&format!("{short}{number}")).unwrap_or_else(|_| base.clone())
}
