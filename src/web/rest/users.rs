//! `/register/`, `/login/`, `/refresh/`, `/logout/` and `/api/users/`.

use poem::Request;
use poem_openapi::param::Query;
use poem_openapi::payload::Response;
use poem_openapi::{Object, OpenApi};

use super::answer::{Anything, Created, Done, Failure, Form, List, OpenForm, Renewal, next_link};
use super::input::{AnyInput, Input};
use super::{Group, list_limit};
use crate::chat::{Credentials, Login, Registration};
use crate::model::{Actor, Field, UserId};
use crate::web::identity::{ACCESS_COOKIE, Caller, REFRESH_COOKIE, Tokens};
use crate::web::json::{AccountBody, UserBody};
use crate::web::{App, peer};

pub struct Users;

/// What makes an account.
#[derive(Object)]
#[oai(example)]
struct RegisterForm {
    /// Up to 150 characters, unique without regard to case. Without one, it is derived from the
    /// names or the address.
    #[oai(validator(min_length = 1, max_length = 150))]
    username: Option<String>,
    /// Unique without regard to case.
    #[oai(validator(min_length = 6, max_length = 254))]
    email: String,
    /// At least 8 characters, not common, not all digits, not like the other fields.
    #[oai(validator(min_length = 8, max_length = 1024))]
    password: String,
    /// Up to 150 characters.
    #[oai(validator(max_length = 150))]
    first_name: Option<String>,
    /// Up to 150 characters.
    #[oai(validator(max_length = 150))]
    last_name: Option<String>,
}

impl poem_openapi::types::Example for RegisterForm {
    fn example() -> Self {
        Self {
            username: Some("ann".to_owned()),
            email: "ann@example.org".to_owned(),
            password: "correct horse battery".to_owned(),
            first_name: None,
            last_name: None,
        }
    }
}

/// A new account.
#[derive(Object)]
struct Registered {
    /// The user's id.
    id: i64,
    /// Their unique name, derived if none was sent.
    username: String,
    /// The user's address.
    email: String,
    /// May be empty.
    first_name: String,
    /// May be empty.
    last_name: String,
    /// The same, as login answers it.
    user: AccountBody,
    /// `Registration successful`.
    message: String,
}

/// Who logs in: one of `username` and `email`, and the password.
#[derive(Object)]
#[oai(example)]
struct LoginForm {
    /// The username; an email address works too.
    username: Option<String>,
    /// The email address, instead.
    email: Option<String>,
    /// The password.
    #[oai(validator(min_length = 1))]
    password: String,
}

impl poem_openapi::types::Example for LoginForm {
    fn example() -> Self {
        Self {
            username: Some("ann".to_owned()),
            email: None,
            password: "correct horse battery".to_owned(),
        }
    }
}

/// A login. The two tokens come as cookies too.
#[derive(Object)]
struct LoggedIn {
    /// `Login successful`.
    message: String,
    /// The access token.
    token: String,
    /// The refresh token.
    refresh_token: String,
    /// How long the access token lasts, in seconds.
    expires_in: i64,
    /// Who is logged in.
    user: AccountBody,
}

/// The refresh token, for those who have no cookie.
#[derive(Object)]
struct RefreshForm {
    /// The refresh token that came last.
    refresh_token: Option<String>,
}

/// New tokens. They come as cookies too.
#[derive(Object)]
struct Refreshed {
    /// `Token refreshed successfully`.
    message: String,
    /// Whose they are.
    user_id: i64,
    /// The access token.
    token: String,
    /// The next refresh token.
    refresh_token: String,
    /// How long the access token lasts, in seconds.
    expires_in: i64,
}

/// The end of a session.
#[derive(Object)]
struct LoggedOut {
    /// `Logged out`.
    message: String,
}

#[OpenApi]
impl Users {
    /// Register
    ///
    /// Makes an account. Open to everyone, unless `auth.registration` is off.
    #[oai(
        path = "/register",
        method = "post",
        operation_id = "register",
        tag = "Group::Accounts"
    )]
    async fn register(
        &self,
        req: &Request,
        mut form: Input<RegisterForm>,
    ) -> Result<Created<Registered>, Failure<OpenForm>> {
        let form = Registration {
            username: form.take("username"),
            email: form.take("email"),
            password: form.take("password"),
            first_name: form.take("first_name"),
            last_name: form.take("last_name"),
        };
        let user = App::of(req).chat.register(form).await?;
        Ok(Created(Registered {
            id: user.id.0,
            user: AccountBody::from(&user),
            username: user.username,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            message: "Registration successful".to_owned(),
        }))
    }

    /// Log in
    ///
    /// Begins a session. A failure is a 400 with `non_field_errors`, the same for an unknown user.
    #[oai(
        path = "/login",
        method = "post",
        operation_id = "login",
        tag = "Group::Accounts"
    )]
    async fn login(
        &self,
        req: &Request,
        mut form: Input<LoginForm>,
    ) -> Result<Response<Done<LoggedIn>>, Failure<Form>> {
        let form = Credentials {
            username: form.take("username"),
            email: form.take("email"),
            password: form.take("password"),
        };
        let app = App::of(req);
        let login = app.chat.log_in(form, peer(req)).await?;
        let body = LoggedIn {
            message: "Login successful".to_owned(),
            token: login.access.clone(),
            refresh_token: login.refresh.clone(),
            expires_in: login.access_ttl.num_seconds(),
            user: AccountBody::from(&login.user),
        };
        Ok(with_cookies(Response::new(Done(body)), &login, req))
    }

    /// Refresh
    ///
    /// Changes the refresh token, from the body or the cookie, for the next one and a new access
    /// token. The token before stays good for 30 s and answers with the same successor, for two
    /// tabs that refresh at once; used later, it ends the session.
    #[oai(
        path = "/refresh",
        method = "post",
        operation_id = "refresh",
        tag = "Group::Accounts"
    )]
    async fn refresh(
        &self,
        req: &Request,
        mut form: Input<Option<RefreshForm>>,
    ) -> Result<Response<Done<Refreshed>>, Failure<Renewal>> {
        let token = refresh_token(req, form.take("refresh_token"));
        let login = App::of(req).chat.refresh(token.as_deref()).await?;
        let body = Refreshed {
            message: "Token refreshed successfully".to_owned(),
            user_id: login.user.id.0,
            token: login.access.clone(),
            refresh_token: login.refresh.clone(),
            expires_in: login.access_ttl.num_seconds(),
        };
        Ok(with_cookies(Response::new(Done(body)), &login, req))
    }

    /// Log out
    ///
    /// Ends the session of whichever tokens come along, in the header, the cookies or the body,
    /// with its live sockets, and clears the cookies. Always 200.
    #[oai(
        path = "/logout",
        method = "post",
        operation_id = "logout",
        tag = "Group::Accounts"
    )]
    async fn logout(
        &self,
        req: &Request,
        mut form: AnyInput<Option<RefreshForm>>,
    ) -> Result<Response<Done<LoggedOut>>, Failure<Anything>> {
        let sent = match form.0.take("refresh_token") {
            Field::Text(token) => Some(token),
            _ => None,
        };
        let tokens = Tokens::of(req.headers());
        let access: Vec<_> = [tokens.header, tokens.access_cookie]
            .into_iter()
            .flatten()
            .collect();
        let refresh: Vec<_> = [sent, tokens.refresh_cookie]
            .into_iter()
            .flatten()
            .collect();
        App::of(req).chat.log_out(&access, &refresh).await?;
        let body = LoggedOut {
            message: "Logged out".to_owned(),
        };
        let gone = |name| cookie(name, "", 0, req);
        Ok(Response::new(Done(body))
            .header("set-cookie", gone(ACCESS_COOKIE))
            .header("set-cookie", gone(REFRESH_COOKIE)))
    }

    /// List users
    ///
    /// The active users except the caller, by id. `Link: <…>; rel="next"` leads to the next page.
    #[oai(
        path = "/api/users",
        method = "get",
        operation_id = "listUsers",
        tag = "Group::Users"
    )]
    async fn list(
        &self,
        req: &Request,
        caller: Caller,
        /// Part of a username or a name, without regard to case.
        search: Query<Option<String>>,
        /// How many, 1 to 1,000.
        #[oai(default = "list_limit")]
        limit: Query<u32>,
        /// Only users with greater ids.
        after: Query<Option<i64>>,
    ) -> Result<Response<Done<Vec<UserBody>>>, Failure<List>> {
        let app = App::of(req);
        let who = &caller.0.user;
        let search = search.0.unwrap_or_default();
        let after = UserId(after.0.unwrap_or(0));
        let (users, more) = app
            .chat
            .users(Actor::User(who), &search, after, limit.0)
            .await?;
        let next = users.last().filter(|_| more).map(|last| {
            let mut query = vec![
                ("after", last.id.to_string()),
                ("limit", limit.0.to_string()),
            ];
            if !search.is_empty() {
                query.push(("search", search));
            }
            next_link("/api/users/", &query)
        });
        let with_email = who.is_superuser || app.dialect.shh;
        let list = users.into_iter().map(|user| UserBody {
            id: user.id.0,
            username: user.username,
            first_name: user.first_name,
            last_name: user.last_name,
            email: with_email.then_some(user.email),
        });
        let response = Response::new(Done(list.collect()));
        Ok(match next {
            Some(link) => response.header("link", link),
            None => response,
        })
    }
}

/// The body's token, or else the cookie's.
fn refresh_token(req: &Request, sent: Field) -> Option<String> {
    match sent {
        Field::Text(token) if !token.is_empty() => Some(token),
        _ => Tokens::of(req.headers()).refresh_cookie,
    }
}

fn with_cookies<T>(response: Response<T>, login: &Login, req: &Request) -> Response<T> {
    let access = cookie(
        ACCESS_COOKIE,
        &login.access,
        login.access_ttl.num_seconds(),
        req,
    );
    let refresh = cookie(
        REFRESH_COOKIE,
        &login.refresh,
        login.refresh_ttl.num_seconds(),
        req,
    );
    response
        .header("set-cookie", access)
        .header("set-cookie", refresh)
}

/// A `Set-Cookie` value. Tokens are base64url and dots, which need no quoting.
fn cookie(name: &str, value: &str, max_age: i64, req: &Request) -> String {
    let secure = if is_https(req) { "; Secure" } else { "" };
    format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={max_age}{secure}")
}

/// Whether the client came by https, as the proxy in front says. A client that says so itself only
/// keeps its own cookies from plain http.
fn is_https(req: &Request) -> bool {
    req.header("x-forwarded-proto")
        .is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}
