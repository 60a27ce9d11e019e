//! The protocol's close codes: every reason for which the server ends a socket.

use crate::chat::Error;

/// Why the server ends a socket. The codes below 4000 are RFC 6455's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// 1001: the server is going away.
    GoingAway,
    /// 1002: the client broke the protocol.
    Protocol,
    /// 1007: a text that is not UTF-8.
    NotUtf8,
    /// 1008: frames too fast.
    TooFast,
    /// 1009: a frame too big.
    TooBig,
    /// 1011: a fault of the server.
    Internal,
    /// 4000: no credentials at all.
    NoCredentials,
    /// 4001: the token has run out, and can be renewed.
    TokenExpired,
    /// 4002: the token or its session is no good; log in again.
    Revoked,
    /// 4003: not a member, or no longer.
    NotAMember,
    /// 4004: no such room, or no longer.
    NoRoom,
    /// 4010: nothing could be written for too long.
    Stalled,
}

impl Close {
    /// The code, and a word for those who read traces.
    pub fn code(self) -> (u16, &'static str) {
        match self {
            Self::GoingAway => (1001, "going away"),
            Self::Protocol => (1002, "protocol error"),
            Self::NotUtf8 => (1007, "not UTF-8"),
            Self::TooFast => (1008, "frames too fast"),
            Self::TooBig => (1009, "frame too big"),
            Self::Internal => (1011, "internal error"),
            Self::NoCredentials => (4000, "no credentials"),
            Self::TokenExpired => (4001, "token expired"),
            Self::Revoked => (4002, "token invalid or revoked"),
            Self::NotAMember => (4003, "not a member"),
            Self::NoRoom => (4004, "no such room"),
            Self::Stalled => (4010, "nothing could be written"),
        }
    }

    /// The code for an error that leaves nothing to do on this socket.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::NoCredentials => Self::NoCredentials,
            Error::TokenExpired => Self::TokenExpired,
            Error::TokenInvalid => Self::Revoked,
            Error::NotAMember => Self::NotAMember,
            Error::RoomNotFound => Self::NoRoom,
            _ => Self::Internal,
        }
    }
}
