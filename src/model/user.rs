//! Users, what they are called, and who is acting.

use super::text;
use super::{Instant, Refusal, SessionId, UserId};

/// Longest username, in characters; Django's limit.
pub const USERNAME_MAX: usize = 150;
/// Longest email address, in characters; RFC 5321 leaves 254 of its path for it.
pub const EMAIL_MAX: usize = 254;
/// Longest first or last name, in characters; Django's limit.
pub const PERSON_NAME_MAX: usize = 150;

/// What a user is called: trimmed, 1 to 150 characters, visible, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// An address that mail could be sent to, as typed; compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// A first or a last name: up to 150 characters without control characters; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonName(String);

impl Username {
    /// Reads a username; white space around it is not part of it.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text::is_blank(text) {
            return Err("This field may not be blank.".into());
        }
        if text::has_control(text) {
            return Err("Enter a valid username: it may not have control characters.".into());
        }
        at_most(text, USERNAME_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl Email {
    /// Reads an address: a local part, an `@` and a domain with a dot.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text.is_empty() {
            return Err("This field may not be blank.".into());
        }
        at_most(text, EMAIL_MAX)?;
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let plain = !text::has_control(text) && !text.contains(char::is_whitespace);
        if plain && email_address::EmailAddress::parse_with_options(text, options).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err("Enter a valid email address.".into())
        }
    }

    /// The part before the last `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }
}

impl PersonName {
    /// Reads a name; white space around it is not part of it.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text::has_control(text) {
            return Err("This name may not have control characters.".into());
        }
        at_most(text, PERSON_NAME_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

macro_rules! text_word {
    ($($name:ident),*) => {$(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form under which two of these are the same.
            pub fn key(&self) -> String {
                text::fold(&self.0)
            }
        }
    )*};
}

text_word!(Username, Email, PersonName);

fn at_most(text: &str, limit: usize) -> Result<(), Refusal> {
    if text.chars().count() > limit {
        Err(format!("Ensure this field has no more than {limit} characters.").into())
    } else {
        Ok(())
    }
}

/// A user as others may come to know them; the password's hash never leaves the store's neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The unique name shown to others.
    pub username: String,
    /// The unique address; shown to the user and to superusers.
    pub email: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// A user who is not active can do nothing at all.
    pub is_active: bool,
    /// May do everything.
    pub is_superuser: bool,
    /// When the account was made.
    pub created_at: Instant,
}

/// A user who has shown a valid access token.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is, as of the moment the token was checked.
    pub user: User,
    /// The login that the token belongs to.
    pub session: SessionId,
    /// When the token ends.
    pub expires_at: Instant,
}

/// Who acts: the first argument of everything that can be done.
#[derive(Debug, Clone, Copy)]
pub enum Actor<'a> {
    /// Someone at the command line of the machine, who may do everything.
    Operator,
    /// A user who has logged in.
    User(&'a User),
}

impl Actor<'_> {
    /// Whether there is nothing that this actor may not do.
    pub fn is_superuser(self) -> bool {
        match self {
            Self::Operator => true,
            Self::User(user) => user.is_superuser,
        }
    }

    /// Whether this is the user with that id.
    pub fn is(self, id: UserId) -> bool {
        matches!(self, Self::User(user) if user.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_may_hold_any_visible_text() {
        for good in [
            "ann",
            "Ann Lee",
            "张伟",
            "👩‍👩‍👧",
            "о'Нил",
            "a@b",
            "ann\u{200d}a",
        ] {
            assert!(Username::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "  ", "\u{200b}", "a\nb", "a\0b", "a\u{85}x"] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Username::parse(" ann ").expect("fine").as_str(), "ann");
        assert!(Username::parse(&"é".repeat(150)).is_ok());
        assert!(Username::parse(&"é".repeat(151)).is_err());
    }

    #[test]
    fn an_email_needs_a_local_part_and_a_domain_with_a_dot() {
        for good in [
            "ann@example.org",
            "a.b+c@sub.example.org",
            "ann@bücher.example",
        ] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "ann",
            "@example.org",
            "ann@",
            "ann@localhost",
            "Ann <ann@example.org>",
            "ann@[127.0.0.1]",
            "a b@example.org",
            "ann@example.org\0",
            "ann@exa mple.org",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }
}
