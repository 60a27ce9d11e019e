-- People and their logins.
--
-- A *_key column holds the folded form of its neighbour (Unicode NFKC, case folded, invisible
-- characters dropped), so that uniqueness does not depend on case or on look-alikes.
-- Instants are UTC text, `2026-11-22T09:13:53.435539+00:00`, cut to microseconds as PostgreSQL cuts
-- them. Zeros at the end of the fraction may be left out; it sorts as text all the same, since `+`
-- comes before `.` and both before digits.

create table users (
    id integer primary key autoincrement,
    username text not null,
    username_key text not null,
    email text not null,
    email_key text not null,
    first_name text not null,
    last_name text not null,
    -- The folded username and names, for `?search=`.
    search_key text not null,
    -- A PHC string, `$argon2id$…`.
    password_hash text not null,
    is_active integer not null default 1,
    is_superuser integer not null default 0,
    created_at text not null,
    last_login_at text
) strict;

create unique index users_username_key on users (username_key);
create unique index users_email_key on users (email_key);

-- One row for each login. An access token names its row, so deleting the row ends the token.
create table sessions (
    id blob not null primary key,
    user_id integer not null references users (id) on delete cascade,
    -- SHA-256 of the refresh token in force, and of the one before it.
    refresh_hash blob not null,
    previous_hash blob,
    -- The refresh token in force, readable only with the one before it.
    sealed_refresh blob,
    rotated_at text,
    created_at text not null,
    expires_at text not null
) strict;

create index sessions_user on sessions (user_id);
create index sessions_expiry on sessions (expires_at);
