//! Bodies: JSON or a form, read whole and bounded, every field looked at.

use std::marker::PhantomData;
use std::time::Duration;

use poem::error::ReadBodyError;
use poem::http::{StatusCode, header};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::{Map, Value};

use super::answer::refusal;
use crate::model::Field;

/// Longest body: a message of 16 KiB fits however it is escaped in practice.
const BODY_MAX: usize = 64 * 1024;
/// A body that is not there after this long is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body with fields. `T` describes them in the document; what comes is taken as it is, so that
/// the rules can tell everything that is wrong with it at once.
#[derive(Debug)]
pub struct Input<T> {
    fields: Map<String, Value>,
    shape: PhantomData<fn() -> T>,
}

impl<T> Input<T> {
    /// Takes a field out.
    pub fn take(&mut self, name: &str) -> Field {
        match self.fields.remove(name) {
            None => Field::Missing,
            Some(Value::Null) => Field::Null,
            Some(Value::String(text)) => Field::Text(text),
            Some(_) => Field::Other,
        }
    }
}

/// The same for an operation that is done whatever comes: a body that cannot be read has no fields.
#[derive(Debug)]
pub struct AnyInput<T>(pub Input<T>);

impl<'a, T: Type> ApiExtractor<'a> for AnyInput<T> {
    const TYPES: &'static [ApiExtractorType] = Input::<T>::TYPES;

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Input::<T>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Input::<T>::request_meta()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(Input {
            fields: read(request, body).await.unwrap_or_default(),
            shape: PhantomData,
        }))
    }
}

impl<'a, T: Type> ApiExtractor<'a> for Input<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let media = |content_type| MetaMediaType {
            content_type,
            schema: T::schema_ref(),
        };
        Some(MetaRequest {
            description: None,
            content: vec![
                media("application/json"),
                media("application/x-www-form-urlencoded"),
            ],
            required: T::IS_REQUIRED,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self {
            fields: read(request, body)
                .await
                .map_err(poem::Error::from_response)?,
            shape: PhantomData,
        })
    }
}

type Read = Result<Map<String, Value>, poem::Response>;

async fn read(request: &Request, body: &mut RequestBody) -> Read {
    let too_large = || {
        refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            &format!("The body is too large: at most {BODY_MAX} bytes."),
        )
    };
    // A length that is announced is believed, and spares the reading.
    let announced = request.header(header::CONTENT_LENGTH);
    if announced
        .and_then(|n| n.parse().ok())
        .is_some_and(|n: usize| n > BODY_MAX)
    {
        return Err(too_large());
    }
    let bytes = body.take().map(|body| body.into_bytes_limit(BODY_MAX));
    let bytes = match bytes {
        Ok(bytes) => tokio::time::timeout(PATIENCE, bytes).await,
        Err(_) => Ok(Ok(bytes::Bytes::new())),
    };
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(too_large()),
        Ok(Err(_)) => return Err(bad("The body could not be read.")),
        Err(_) => {
            let text = format!("The body did not arrive within {} s.", PATIENCE.as_secs());
            return Err(bad(&text));
        }
    };
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let kind = request.content_type().unwrap_or("application/json");
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if kind == "application/json" || kind.ends_with("+json") {
        json(&bytes)
    } else if kind == "application/x-www-form-urlencoded" {
        form(&bytes)
    } else {
        Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send application/json or application/x-www-form-urlencoded.",
        ))
    }
}

fn bad(text: &str) -> poem::Response {
    refusal(StatusCode::BAD_REQUEST, "invalid_body", text)
}

fn json(bytes: &[u8]) -> Read {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(bad("Invalid data: expected a JSON object.")),
        Err(error) => Err(bad(&format!("JSON parse error: {error}"))),
    }
}

fn form(bytes: &[u8]) -> Read {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("The form is not UTF-8."))?;
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(text).map_err(|e| bad(&format!("Form parse error: {e}")))?;
    Ok(pairs
        .into_iter()
        .map(|(k, v)| (k, Value::String(v)))
        .collect())
}
