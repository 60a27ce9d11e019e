//! Why something was not done: one variant for each kind of answer.

use std::time::Duration;

use super::users::{EMAIL_TAKEN, USERNAME_TAKEN};
use crate::model::{Problems, Refusal};
use crate::store;

/// Why something was not done. The texts are for the person who asked; doors add their own shape.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of a form are wrong.
    #[error("{}", .0.summary())]
    Invalid(Problems),
    /// No credentials came along.
    #[error("Authentication credentials were not provided.")]
    NoCredentials,
    /// The access token has run out.
    #[error("Token has expired")]
    TokenExpired,
    /// The access token is not one of ours, or its session is over.
    #[error("Token is invalid")]
    TokenInvalid,
    /// No refresh token came along.
    #[error("No refresh token")]
    NoRefreshToken,
    /// The refresh token is unknown, has run out, or was used before.
    #[error("Refresh token is invalid or expired")]
    RefreshInvalid,
    /// Nobody may register here.
    #[error("Registration is closed")]
    RegistrationClosed,
    /// A room was to be made without a name.
    #[error("Chat room name is required")]
    RoomNameRequired,
    /// A room was to be made with a name that cannot be one.
    #[error("{0}")]
    RoomNameRefused(Refusal),
    /// Another room has that name.
    #[error("A room with this name already exists")]
    RoomNameTaken,
    /// A room was to be joined without saying which.
    #[error("Room ID is required")]
    RoomIdRequired,
    /// There is no such room.
    #[error("Room not found")]
    RoomNotFound,
    /// Only members may do this.
    #[error("You are not a member of this room")]
    NotAMember,
    /// Only the owner or a superuser may do this.
    #[error("Only the room creator can delete this room")]
    NotTheOwner,
    /// A message with nothing in it.
    #[error("Message is empty.")]
    MessageEmpty,
    /// A message that cannot be one.
    #[error("{0}")]
    MessageRefused(Refusal),
    /// There is no such user.
    #[error("User not found")]
    UserNotFound,
    /// A parameter that is not what it should be.
    #[error("{0}")]
    BadParameter(Refusal),
    /// Too much in too short a time.
    #[error("Too many requests. Try again in {} s.", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The server, or its database, cannot do it now; it was not done, or not known to be done.
    #[error("The server is busy. Try again in a moment.")]
    Unavailable,
    /// A fault of the server.
    #[error("Something went wrong on the server.")]
    Internal,
}

/// What everything that can be done answers with.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A name for programs, stable over versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::NoCredentials => "not_authenticated",
            Self::TokenExpired => "token_expired",
            Self::TokenInvalid => "token_invalid",
            Self::NoRefreshToken => "no_refresh_token",
            Self::RefreshInvalid => "refresh_invalid",
            Self::RegistrationClosed => "registration_closed",
            Self::RoomNameRequired => "room_name_required",
            Self::RoomNameRefused(_) => "room_name_invalid",
            Self::RoomNameTaken => "room_name_taken",
            Self::RoomIdRequired => "room_id_required",
            Self::RoomNotFound => "room_not_found",
            Self::NotAMember => "not_a_member",
            Self::NotTheOwner => "not_the_owner",
            Self::MessageEmpty => "empty_message",
            Self::MessageRefused(_) => "message_invalid",
            Self::UserNotFound => "user_not_found",
            Self::BadParameter(_) => "invalid_parameter",
            Self::TooMany(_) => "too_many_requests",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether nothing is wrong but that somebody has the name, or the address, already.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::RoomNameTaken => true,
            Self::Invalid(problems) if !problems.is_empty() => problems
                .iter()
                .flat_map(|(_, refusals)| refusals)
                .all(|refusal| [USERNAME_TAKEN, EMAIL_TAKEN].contains(&refusal.as_ref())),
            _ => false,
        }
    }
}

impl From<store::Error> for Error {
    /// The cause is logged here, once, and goes no further.
    fn from(error: store::Error) -> Self {
        if error.is_passing() {
            tracing::warn!(%error, "the database could not do it now");
            Self::Unavailable
        } else {
            tracing::error!(%error, "the database refused");
            Self::Internal
        }
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}
