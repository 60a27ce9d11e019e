//! CORS: pages on the listed origins may call the API. Strangers get an answer without the headers,
//! which their browser then keeps from them; nobody is refused, as same-origin posts name an origin too.

use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Request, Response};

use super::host::host;

const HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, X-CSRFToken, X-Request-Id, \
                       X-Requested-With";
const EXPOSED: &str = "Link, Retry-After, X-Request-Id";
/// How long a browser may remember a preflight, in seconds: the most that any of them does.
const MAX_AGE: &str = "86400";

/// The origins that may call.
#[derive(Debug)]
pub struct Cors {
    origins: Vec<String>,
}

impl Cors {
    /// As configured: `scheme://host[:port]` in lower case.
    pub fn new(origins: Vec<String>) -> Self {
        Self { origins }
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().map(str::to_ascii_lowercase);
        origin.is_ok_and(|origin| self.origins.contains(&origin))
    }

    /// Whether a page that this request comes from may use the visitor's cookies on a socket: it
    /// is listed, or it is the server's own.
    pub fn trusts(&self, request: &Request) -> bool {
        let mut all = request.headers().get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (all.next(), all.next()) else {
            return false;
        };
        self.lists(origin) || is_own(origin, request)
    }

    /// Adds the headers that let a listed origin read the answer.
    pub fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| self.lists(origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            let exposed = HeaderValue::from_static(EXPOSED);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }

    /// Answers `OPTIONS`, with what a preflight asks for if its origin is listed.
    pub fn preflight(&self, request: &Request, methods: &str) -> Response {
        let mut response = Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ALLOW, methods)
            .finish();
        let origin = request.headers().get(header::ORIGIN);
        if origin.is_some_and(|origin| self.lists(origin)) {
            let headers = response.headers_mut();
            if let Ok(methods) = HeaderValue::from_str(methods) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            let names = HeaderValue::from_static(HEADERS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
            let age = HeaderValue::from_static(MAX_AGE);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, age);
        }
        response
    }
}

/// Whether the origin is the host that the request was sent to. The scheme is the proxy's affair.
fn is_own(origin: &HeaderValue, request: &Request) -> bool {
    let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    let name = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    name.is_some() && name == host(request).as_deref()
}
