//! `chatroom`: chat rooms for any application, in one binary. This page is the map.
//!
//! The code is a grid. **Floors** go down, and imports point down, never up:
//!
//! | floor | is | names |
//! |---|---|---|
//! | `main` | parse, start the log, run, print the error | |
//! | [`cli`] | the operator's door: one file a command | clap |
//! | [`web`] | the network's doors: REST, sockets, the accept loop | poem, hyper, tungstenite |
//! | [`chat`] | the rules: one function for each thing that anyone can do | |
//! | `store`, `bus` | the cellar: all SQL; and who must hear of it | sqlx |
//! | [`model`] | the words; a value that exists is a valid one | |
//!
//! [`config`] stands beside them, read by `cli`, `web` and `chat`. **Nouns** go across: what is
//! done with rooms is in `chat/rooms.rs`, its SQL in `store/rooms.rs`, its routes in
//! `web/rest/rooms.rs`, its commands in `cli/rooms/`. Doors translate and decide nothing. Which
//! module may import which is a table in `tests/it/tidy.rs`, and checked.
//!
//! **A message** comes in as `POST /messages/<room>/send/` (`web/rest/messages.rs`) or as a frame
//! (`web/socket/frame/client.rs`, `session.rs`). Either door calls [`chat::Chat::say`], which reads
//! the text into a `Body` and hands it to `chat/journal.rs`. The journal takes whatever is waiting,
//! stores it in one transaction (`store/append.rs` numbers it under the room's lock and leaves out
//! what has been said before), tells the hub (`bus/hub.rs`) in order, and answers the senders. The
//! room's channel (`bus/channel.rs`) keeps the newest messages (`tail.rs`) and spreads its listeners
//! over shards (`shard.rs`), each told by one task at a time. A listener is one side of a socket
//! (`web/socket/line/`): it compares the message's `seq` with the last one it sent
//! (`web/socket/seat.rs`), and if it is the next writes the bytes, which are made once for all, right
//! there. An old one is dropped; after a gap, or when the socket takes no more, the connection's own
//! task (`web/socket/connection.rs`) reads on from the tail or the store.
//!
//! **A login** is `POST /login/`: [`chat::Chat::log_in`] checks the password on a blocking thread
//! (`chat/passwords.rs`), makes a session row, and signs an access token that names it
//! (`chat/tokens.rs`). Every request looks that row up (`web/identity.rs`), so a logout, which
//! deletes it, is over at once. Sockets live by the same row: the hub ends those of this process,
//! and `chat/watch.rs` notices within a second what other processes did.
//!
//! **A command** is a struct of arguments with a `run` function: `chatroom rooms delete general`
//! is parsed in `cli/rooms/mod.rs`, which opens the same [`chat::Chat`] and calls
//! [`chat::Chat::delete_room`] as [`model::Actor::Operator`], the very function that
//! `DELETE /room/delete/<room_id>/` calls as a user.
//!
//! Deliberately absent: a repository trait over the two databases (`store/mod.rs` has an enum and
//! a macro), a cache of rights (they are looked up), and `unsafe`.

mod bus;
pub mod chat;
pub mod cli;
pub mod config;
pub mod model;
mod store;
pub mod web;
