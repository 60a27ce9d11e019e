//! Answers: the one shape of errors, and which statuses an operation may answer with.

use std::borrow::Cow;
use std::marker::PhantomData;

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON, Type};
use serde_json::{Map, Value};

use crate::chat::Error;

/// An error, on its way to a client.
#[derive(Debug)]
pub struct Refused(pub Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Refused> for poem::Error {
    fn from(refused: Refused) -> Self {
        Self::from_response(refused.into_response())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let error = self.0;
        let status = match &error {
            Error::Invalid(_)
            | Error::NoRefreshToken
            | Error::RoomNameRequired
            | Error::RoomNameRefused(_)
            | Error::RoomNameTaken
            | Error::RoomIdRequired
            | Error::MessageEmpty
            | Error::MessageRefused(_)
            | Error::BadParameter(_) => StatusCode::BAD_REQUEST,
            Error::NoCredentials
            | Error::TokenExpired
            | Error::TokenInvalid
            | Error::RefreshInvalid => StatusCode::UNAUTHORIZED,
            Error::RegistrationClosed | Error::NotAMember | Error::NotTheOwner => {
                StatusCode::FORBIDDEN
            }
            Error::RoomNotFound | Error::UserNotFound => StatusCode::NOT_FOUND,
            Error::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text: Cow<'_, str> = match &error {
            // The old backend's sentence; sockets have another.
            Error::MessageEmpty => "Message field is required".into(),
            other => other.to_string().into(),
        };
        let mut body = Map::new();
        if let Error::Invalid(problems) = &error {
            for (field, refusals) in problems.iter() {
                let refusals = refusals.iter().map(|r| Value::from(r.as_ref()));
                body.insert(field.to_owned(), refusals.collect());
            }
        }
        let mut response = respond(status, error.code(), &text, body);
        let wait = match &error {
            Error::TooMany(wait) => Some(wait.as_secs().max(1)),
            Error::Unavailable => Some(1),
            _ => None,
        };
        if let Some(seconds) = wait {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error that no rule made: a wrong path, method, size or type.
pub fn refusal(status: StatusCode, code: &str, text: &str) -> Response {
    respond(status, code, text, Map::new())
}

fn respond(status: StatusCode, code: &str, text: &str, mut body: Map<String, Value>) -> Response {
    body.insert("code".to_owned(), code.into());
    body.insert("detail".to_owned(), text.into());
    body.insert("error".to_owned(), text.into());
    let mut response = Response::builder()
        .status(status)
        .content_type("application/json; charset=utf-8")
        .body(Value::Object(body).to_string());
    if status == StatusCode::UNAUTHORIZED {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Which errors an operation may answer with, for the document.
pub trait Statuses: Send + Sync + 'static {
    /// The statuses, ascending.
    const LIST: &'static [u16];
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = [$($status:literal),*];)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;
        impl Statuses for $name {
            const LIST: &'static [u16] = &[$($status),*];
        }
    )*};
}

statuses! {
    /// Reads a form, from anyone.
    Form = [400, 413, 415, 429, 503];
    /// Reads a form, from anyone, where registration may be closed.
    OpenForm = [400, 403, 413, 415, 503];
    /// Takes a refresh token.
    Renewal = [400, 401, 413, 415, 503];
    /// Takes whatever comes.
    Anything = [400, 503];
    /// Lists, for those who are logged in.
    List = [400, 401, 503];
    /// Reads a form, for those who are logged in.
    OwnForm = [400, 401, 413, 415, 503];
    /// The same, about a room that has to be there.
    RoomForm = [400, 401, 404, 413, 415, 503];
    /// About a room that the caller has a right to.
    OwnRoom = [400, 401, 403, 404, 503];
    /// Reads in a room that the caller is a member of.
    RoomRead = [400, 401, 403, 404, 503];
    /// Writes to a room that the caller is a member of.
    RoomWrite = [400, 401, 403, 404, 413, 415, 429, 503];
}

/// An error of an operation that answers with the statuses of `S`.
#[derive(Debug)]
pub struct Failure<S>(Refused, PhantomData<S>);

impl<S, E: Into<Refused>> From<E> for Failure<S> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<S> From<Failure<S>> for poem::Error {
    fn from(failure: Failure<S>) -> Self {
        failure.0.into()
    }
}

fn text_header(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: true,
        deprecated: false,
        schema: String::schema_ref(),
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "Something that was sent is wrong; all wrong fields are told at once.",
        401 => "No valid credentials; `WWW-Authenticate: Bearer`.",
        403 => "The caller may not do this.",
        404 => "There is no such thing.",
        413 => "The body is over 64 KiB.",
        415 => "The body is neither JSON nor a form.",
        429 => "Too often; `Retry-After` says for how many seconds to wait.",
        _ => "The server or its database is busy; try again after `Retry-After`.",
    }
}

impl<S: Statuses> ApiResponse for Failure<S> {
    fn meta() -> MetaResponses {
        let response = |status: &u16| MetaResponse {
            description: meaning(*status),
            status: Some(*status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: Json::<ErrorBody>::CONTENT_TYPE,
                schema: ErrorBody::schema_ref(),
            }],
            headers: match status {
                401 => vec![text_header("WWW-Authenticate", "`Bearer`.")],
                429 | 503 => vec![text_header("Retry-After", "Seconds to wait.")],
                _ => vec![],
            },
        };
        MetaResponses {
            responses: S::LIST.iter().map(response).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}

/// The shape of errors, for the document.
struct ErrorBody;

impl Type for ErrorBody {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Error".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Error".to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("Error".to_owned(), |_| {
            let text = |description| MetaSchema {
                description: Some(description),
                ..MetaSchema::new("string")
            };
            let field = MetaSchema {
                description: Some("What is wrong with the field of that name."),
                items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new(
                    "string",
                ))))),
                ..MetaSchema::new("array")
            };
            let inline = |schema| MetaSchemaRef::Inline(Box::new(schema));
            MetaSchema {
                description: Some("Why something was not done."),
                required: vec!["code", "detail", "error"],
                properties: vec![
                    (
                        "code",
                        inline(text("A name for programs, stable over versions.")),
                    ),
                    ("detail", inline(text("A sentence for people."))),
                    ("error", inline(text("The same sentence."))),
                ],
                additional_properties: Some(Box::new(inline(field))),
                example: Some(serde_json::json!({
                    "username": ["A user with that username already exists."],
                    "code": "invalid",
                    "detail": "A user with that username already exists.",
                    "error": "A user with that username already exists.",
                })),
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// The `Link` to the next page (RFC 8288), relative to this server.
pub fn next_link(path: &str, query: &[(&str, String)]) -> String {
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    format!("<{path}?{query}>; rel=\"next\"")
}

macro_rules! success {
    ($($(#[$doc:meta])* $name:ident = $status:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T>(pub T);

        impl<T: ToJSON> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                let status = StatusCode::from_u16($status).unwrap_or_default();
                Json(self.0).with_status(status).into_response()
            }
        }

        impl<T: ToJSON> ApiResponse for $name<T> {
            fn meta() -> MetaResponses {
                let mut meta = Json::<T>::meta();
                for response in &mut meta.responses {
                    response.status = Some($status);
                    response.description = "It was done.";
                }
                meta
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }
    )*};
}

success! {
    /// `200 OK` with a body.
    Done = 200;
    /// `201 Created` with a body.
    Created = 201;
}
