//! `/healthz` and `/readyz`.

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::Group;
use super::answer::Done;
use crate::web::App;

pub struct Health;

/// The process runs.
#[derive(Object)]
struct Alive {
    /// `ok`.
    status: String,
}

/// The state of the server and of what it depends on.
#[derive(Object)]
struct State {
    /// `ok`, or what is the matter: `draining`, `unavailable`.
    status: String,
    /// `ok` or `unavailable`.
    database: String,
    /// How events travel: `in-process`.
    bus: String,
}

/// Whether requests should be sent here.
#[derive(ApiResponse)]
enum Ready {
    /// They should.
    #[oai(status = 200)]
    Yes(Json<State>),
    /// They should not: the server is stopping, or something that it needs is away.
    #[oai(status = 503)]
    No(Json<State>),
}

#[OpenApi]
impl Health {
    /// Liveness
    ///
    /// Answers as long as the process does; asks nothing else.
    #[oai(
        path = "/healthz",
        method = "get",
        operation_id = "healthz",
        tag = "Group::Health"
    )]
    #[expect(clippy::unused_async, reason = "handlers are async")]
    async fn healthz(&self) -> Done<Alive> {
        Done(Alive {
            status: "ok".to_owned(),
        })
    }

    /// Readiness
    ///
    /// Asks what the server depends on; 503 while something is away or the server is stopping.
    #[oai(
        path = "/readyz",
        method = "get",
        operation_id = "readyz",
        tag = "Group::Health"
    )]
    async fn readyz(&self, req: &Request) -> Ready {
        let app = App::of(req);
        let database = app.chat.ping().await.is_ok();
        let draining = app.shutdown.is_cancelled();
        let word = |ok| if ok { "ok" } else { "unavailable" };
        let state = Json(State {
            status: if draining { "draining" } else { word(database) }.to_owned(),
            database: word(database).to_owned(),
            bus: "in-process".to_owned(),
        });
        if database && !draining {
            Ready::Yes(state)
        } else {
            Ready::No(state)
        }
    }
}
