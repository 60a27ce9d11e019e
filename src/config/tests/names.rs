//! What each environment name does, the old ones and the new.

use super::*;

#[test]
fn every_old_name_works() {
    let config = Place::new()
        .env("SECRET_KEY", KEY)
        .env("DEBUG", "True")
        .env("DATABASE_URL", "postgres://ann:pw@db/chat")
        .env("REDIS_URL", "redis://redis:6379/0")
        .env("ALLOWED_HOSTS", " chat.example.org , .example.net,,")
        .env(
            "CORS_ALLOWED_ORIGINS",
            "https://a.example,https://b.example:8443",
        )
        .env("HOST", "0.0.0.0")
        .env("PORT", "9000")
        .env("RUST_LOG", "info,chatroom=debug")
        .config();
    assert_eq!(config.secret_key.unwrap().expose(), KEY);
    assert!(config.debug);
    assert_eq!(
        config.database.url.to_string(),
        "postgres://ann:***@db/chat"
    );
    assert_eq!(config.redis.url.unwrap().expose(), "redis://redis:6379/0");
    assert_eq!(
        config.server.allowed_hosts,
        ["chat.example.org", ".example.net"]
    );
    assert_eq!(
        config.cors.allowed_origins,
        ["https://a.example", "https://b.example:8443"]
    );
    assert_eq!(config.server.bind.to_string(), "0.0.0.0:9000");
    assert_eq!(config.log.level, "info,chatroom=debug");
}

#[test]
fn every_key_has_its_own_name_in_the_environment() {
    let config = Place::new()
        .env("CHATROOM_DATA_DIR", "/srv/chat")
        .env("CHATROOM_SERVER_DRAIN_TIMEOUT", "0s")
        .env("CHATROOM_DATABASE_MAX_CONNECTIONS", "3")
        .env("CHATROOM_AUTH_REGISTRATION", "no")
        .env("CHATROOM_COMPAT_SHH_FRONTEND", "1")
        .env("CHATROOM_LIMITS_ENABLED", "false")
        .env("CHATROOM_LIMITS_SENDS_BURST", "7")
        .env("CHATROOM_LOG_FORMAT", "json")
        .config();
    assert_eq!(
        config.database.url.to_string(),
        "sqlite:////srv/chat/chatroom.sqlite3"
    );
    assert_eq!(config.server.drain_timeout, Duration::ZERO);
    assert_eq!(config.database.max_connections, 3);
    assert!(!config.auth.registration && config.compat.shh_frontend && !config.limits.enabled);
    assert_eq!(config.limits.sends_burst.get(), 7);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_new_name_wins_over_the_old_one_of_the_same_layer_only() {
    let place = Place::new()
        .env("RUST_LOG", "warn")
        .env("CHATROOM_LOG_LEVEL", "trace");
    assert_eq!(place.config().log.level, "trace");
    let place = Place::new()
        .dotenv("CHATROOM_LOG_LEVEL=trace")
        .env("RUST_LOG", "warn");
    assert_eq!(place.config().log.level, "warn");
}

#[test]
fn host_and_port_change_their_half_of_whatever_lies_below() {
    let bind = |place: &Place| place.config().server.bind.to_string();
    let place = Place::new()
        .toml("server.bind = \"10.0.0.1:1\"")
        .dotenv("HOST=::1");
    assert_eq!(bind(&place), "[::1]:1");
    let place = place.env("PORT", "9");
    assert_eq!(bind(&place), "[::1]:9");
    let place = place.env("CHATROOM_SERVER_BIND", "127.0.0.2:3");
    assert_eq!(bind(&place), "127.0.0.2:3", "the new name wins over both");
    assert_eq!(
        bind(&Place::new().env("HOST", "localhost")),
        "127.0.0.1:8000"
    );
    assert_eq!(
        bind(&Place::new().env("PORT", "9").set("server.bind", "[::]:80")),
        "[::]:80"
    );
}

#[test]
fn an_empty_variable_is_not_set_but_a_lists_own_name_is_the_empty_list() {
    let place = Place::new()
        .toml("redis.url = \"redis://r\"\n[cors]\nallowed_origins = [\"https://a.example\"]\n")
        .env("REDIS_URL", "")
        .env("CHATROOM_REDIS_URL", " ")
        .env("DEBUG", "")
        .env("PORT", "")
        .env("CHATROOM_CONFIG", "")
        .env("CORS_ALLOWED_ORIGINS", "");
    let config = place.config();
    assert_eq!(config.redis.url.unwrap().expose(), "redis://r");
    assert_eq!(config.cors.allowed_origins, ["https://a.example"]);
    let place = place.env("CHATROOM_CORS_ALLOWED_ORIGINS", "");
    assert!(place.config().cors.allowed_origins.is_empty());
}
