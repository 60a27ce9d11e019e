//! REST: the API, its document, and how requests are read and answered.

mod answer;
mod document;
mod health;
mod input;
mod messages;
mod rooms;
mod users;

use poem_openapi::{OpenApiService, Tags};

pub use answer::{Refused, refusal};
pub use document::Document;

use crate::chat::LIST_MAX;

/// How the operations are grouped in the document.
#[derive(Tags)]
enum Group {
    /// Registration, login, refresh, logout.
    Accounts,
    /// Who there is.
    Users,
    /// Making, joining, listing and deleting rooms.
    Rooms,
    /// Reading and sending. `GET /ws/chat/<room_id>/` upgrades to a WebSocket that does both live.
    Messages,
    /// For load balancers and monitors.
    Health,
}

type Api = (
    users::Users,
    rooms::Rooms,
    messages::Messages,
    health::Health,
);

const DESCRIPTION: &str = "\
Chat rooms: REST for everything, WebSockets for what happens live.

**Paths** answer with and without their trailing slash. **Times** are UTC with microseconds. \
**Bodies** are JSON; `application/x-www-form-urlencoded` is read too.

**Logging in**: `POST /login/` answers with an access token, for `Authorization: Bearer …`, and \
sets it as a cookie too. It lasts for an hour by default; `POST /refresh/` changes the refresh \
token for a new pair. `POST /logout/` ends both at once.

**Errors** have one shape: `code` for programs, `detail` and `error` with the same sentence for \
people, and in forms each wrong field with its sentences.

**Sockets**: `GET /ws/chat/<room_id>/` with the `Authorization` header, `?token=` or the cookie. \
The first frame is the newest history; with `?after=<seq>` it is exactly what was missed. Send \
`{\"type\":\"message\",\"message\":\"hi\",\"nonce\":\"…\",\"ref\":1}`; the `ack` comes once the \
message is on disk. `docs/sockets.md` in the repository has all frames and close codes.";

/// How long a list is when nobody says.
fn list_limit() -> u32 {
    LIST_MAX
}

fn service() -> OpenApiService<Api, ()> {
    let api = (
        users::Users,
        rooms::Rooms,
        messages::Messages,
        health::Health,
    );
    OpenApiService::new(api, "chatroom", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license("MIT OR Apache-2.0")
}

/// The endpoint of the API, and its document.
pub fn api() -> (OpenApiService<Api, ()>, Document) {
    let service = service();
    let document = Document::new(&service);
    (service, document)
}
