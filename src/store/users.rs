//! Users.

use chrono::{DateTime, Utc};

use super::{Result, Store, reading, transaction};
use crate::model::{Email, Instant, PersonName, User, UserId, Username};

/// The columns of a user, from a table that is called `u`.
macro_rules! user_columns {
    () => {
        "u.id as user_id, u.username, u.email, u.first_name, u.last_name, u.is_active, \
         u.is_superuser, u.created_at as user_since"
    };
}
pub(super) use user_columns;

#[derive(sqlx::FromRow)]
pub(super) struct UserRow {
    user_id: i64,
    username: String,
    email: String,
    first_name: String,
    last_name: String,
    is_active: bool,
    is_superuser: bool,
    user_since: DateTime<Utc>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.user_id),
            username: row.username,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            is_active: row.is_active,
            is_superuser: row.is_superuser,
            created_at: row.user_since,
        }
    }
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    #[sqlx(flatten)]
    user: UserRow,
    password_hash: String,
}

/// A user with what the password is checked against.
#[derive(Debug)]
pub struct Account {
    /// Who.
    pub user: User,
    /// A PHC string.
    pub password_hash: String,
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Unique, folded.
    pub username: Username,
    /// Unique, folded.
    pub email: Email,
    /// May be empty.
    pub first_name: PersonName,
    /// May be empty.
    pub last_name: PersonName,
    /// A PHC string.
    pub password_hash: String,
    /// May do everything.
    pub is_superuser: bool,
    /// Now.
    pub created_at: Instant,
}

/// Which of a new user's unique things somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The username.
    pub username: bool,
    /// The email address.
    pub email: bool,
}

/// The text that `?search=` looks into; the line feed keeps a match within one name.
fn search_key(user: &NewUser) -> String {
    [
        user.username.key(),
        user.first_name.key(),
        user.last_name.key(),
    ]
    .join("\n")
}

/// A `like` pattern that finds the text anywhere; `\` is the escape character.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl Store {
    /// Makes a user, unless somebody has the username or the address.
    pub async fn insert_user(&self, new: &NewUser) -> Result<std::result::Result<UserId, Taken>> {
        match self.try_insert_user(new).await {
            // Somebody was faster between the look and the insert.
            Err(e) if e.is_taken() => self.try_insert_user(new).await,
            other => other,
        }
    }

    async fn try_insert_user(&self, new: &NewUser) -> Result<std::result::Result<UserId, Taken>> {
        let (username_key, email_key) = (new.username.key(), new.email.key());
        let id: i64 = transaction!(self, tx => {
            let found: Vec<(String, String)> = sqlx::query_as(
                "select username_key, email_key from users \
                 where username_key = $1 or email_key = $2",
            )
            .bind(&username_key)
            .bind(&email_key)
            .fetch_all(&mut *tx)
            .await?;
            if !found.is_empty() {
                return Ok(Err(Taken {
                    username: found.iter().any(|(key, _)| *key == username_key),
                    email: found.iter().any(|(_, key)| *key == email_key),
                }));
            }
            sqlx::query_scalar(
                "insert into users (username, username_key, email, email_key, first_name, \
                 last_name, search_key, password_hash, is_superuser, created_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id",
            )
            .bind(new.username.as_str())
            .bind(&username_key)
            .bind(new.email.as_str())
            .bind(&email_key)
            .bind(new.first_name.as_str())
            .bind(new.last_name.as_str())
            .bind(search_key(new))
            .bind(&new.password_hash)
            .bind(new.is_superuser)
            .bind(new.created_at)
            .fetch_one(&mut *tx)
            .await?
        });
        Ok(Ok(UserId(id)))
    }

    /// The account with this folded email address.
    pub async fn account_by_email(&self, email_key: &str) -> Result<Option<Account>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            ", u.password_hash from users u where u.email_key = $1"
        );
        self.account(sql, email_key).await
    }

    /// The account with this folded username.
    pub async fn account_by_username(&self, username_key: &str) -> Result<Option<Account>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            ", u.password_hash from users u where u.username_key = $1"
        );
        self.account(sql, username_key).await
    }

    async fn account(&self, sql: &'static str, key: &str) -> Result<Option<Account>> {
        let row: Option<AccountRow> =
            reading!(self, db => sqlx::query_as(sql).bind(key).fetch_optional(db).await?);
        Ok(row.map(|row| Account {
            user: row.user.into(),
            password_hash: row.password_hash,
        }))
    }

    /// Up to `limit` active users with ids above `after`, by id; without `except`. With a folded
    /// `search`, only those whose username or names (and `by_email`, whose address) contain it.
    pub async fn active_users(
        &self,
        except: Option<UserId>,
        search: &str,
        by_email: bool,
        after: UserId,
        limit: u32,
    ) -> Result<Vec<User>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            " from users u \
             where u.is_active and u.id > $1 and u.id <> $2 \
             and (u.search_key like $3 escape '\\' or ($4 and u.email_key like $3 escape '\\')) \
             order by u.id limit $5"
        );
        let rows: Vec<UserRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(after.0)
            .bind(except.map_or(0, |id| id.0))
            .bind(containing(search))
            .bind(by_email)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?);
        Ok(rows.into_iter().map(User::from).collect())
    }

    /// Whether there is a superuser yet.
    pub async fn any_superuser(&self) -> Result<bool> {
        let sql = "select count(*) from users where is_superuser and is_active";
        let count: i64 = reading!(self, db => sqlx::query_scalar(sql).fetch_one(db).await?);
        Ok(count > 0)
    }

    /// Sets a new password, makes the user an active superuser, and ends all of their sessions.
    pub async fn promote(&self, id: UserId, password_hash: &str) -> Result<()> {
        transaction!(self, tx => {
            sqlx::query(
                "update users set password_hash = $2, is_superuser = $3, is_active = $3 \
                 where id = $1",
            )
            .bind(id.0)
            .bind(password_hash)
            .bind(true)
            .execute(&mut *tx)
            .await?;
            sqlx::query("delete from sessions where user_id = $1")
                .bind(id.0)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }
}
