//! Header, cookie or query: which credentials a request brings, in which order they count.

use poem::Request;
use poem::http::{HeaderMap, header};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::App;
use super::rest::Refused;
use crate::chat::Error;
use crate::model::Identity;

/// The cookie with the access token.
pub const ACCESS_COOKIE: &str = "access_token";
/// The cookie with the refresh token.
pub const REFRESH_COOKIE: &str = "refresh_token";

/// The tokens that a request brings.
#[derive(Debug, Default)]
pub struct Tokens {
    /// From `Authorization: Bearer …`.
    pub header: Option<String>,
    /// From the access cookie.
    pub access_cookie: Option<String>,
    /// From the refresh cookie.
    pub refresh_cookie: Option<String>,
}

impl Tokens {
    /// Reads the headers. Schemes other than Bearer are somebody else's and left alone.
    pub fn of(headers: &HeaderMap) -> Self {
        let header = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme
                    .eq_ignore_ascii_case("bearer")
                    .then(|| token.trim().to_owned())
            });
        Self {
            header,
            access_cookie: cookie(headers, ACCESS_COOKIE),
            refresh_cookie: cookie(headers, REFRESH_COOKIE),
        }
    }

    /// The access token that counts: the header's, or else the cookie's.
    pub fn access(&self) -> Option<&str> {
        self.header.as_deref().or(self.access_cookie.as_deref())
    }
}

/// The first cookie with that name and a value (RFC 6265, 5.4).
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

/// The user who makes a request. A handler that takes one is closed to everybody else.
#[derive(Debug)]
pub struct Caller(pub Identity);

const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some("The `token` that login or refresh answered with."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(BEARER, scheme);
        let scheme = MetaSecurityScheme {
            ty: "apiKey",
            description: Some("The cookie that login or refresh set. A bearer token goes first."),
            name: Some(ACCESS_COOKIE),
            key_in: Some("cookie"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(COOKIE, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BEARER, COOKIE]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut poem::RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let app = App::of(request);
        let tokens = Tokens::of(request.headers());
        let identity = match tokens.access() {
            None => Err(Error::NoCredentials),
            Some(token) => app.chat.authenticate(token).await,
        };
        Ok(Self(identity.map_err(Refused::from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::HeaderValue;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        map
    }

    #[test]
    fn the_header_goes_before_the_cookie() {
        let tokens = Tokens::of(&headers(&[
            (header::COOKIE, "a=b; access_token=\"c\"; refresh_token=r"),
            (header::AUTHORIZATION, "bearer h"),
        ]));
        assert_eq!(tokens.access(), Some("h"));
        assert_eq!(tokens.access_cookie.as_deref(), Some("c"));
        assert_eq!(tokens.refresh_cookie.as_deref(), Some("r"));
    }

    #[test]
    fn other_schemes_and_empty_cookies_are_not_credentials() {
        let tokens = Tokens::of(&headers(&[
            (header::AUTHORIZATION, "Basic YTpi"),
            (header::COOKIE, "access_token=; xaccess_token=1"),
        ]));
        assert_eq!(tokens.access(), None);
    }
}
