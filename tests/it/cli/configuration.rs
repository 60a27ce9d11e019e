//! The configuration, as the program finds it.

use std::fs;
use std::net::TcpListener;

use reqwest::Method;
use serde_json::json;

use super::program::Site;
use crate::harness::client::answer;
use crate::harness::{Db, User};

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_key() {
    let site = Site::bare();
    site.write(
        "config.toml",
        "[server]\n# where\nbnid = \"127.0.0.1:0\"\n\n[servre]\nbind = \"x\"\n",
    );
    for line in [
        "serve",
        "migrate",
        "rooms list",
        "createsuperuser --noinput",
    ] {
        site.run(line).refused(
            1,
            &[
                "error: config.toml:3: unknown key server.bnid\nhint: did you mean server.bind?\n",
                "error: config.toml:5: unknown section servre\nhint: did you mean [server]?\n",
            ],
        );
    }
    fs::remove_file(site.folder().join("config.toml")).expect("a file");
    site.write(".env", "\nCHATROOM_LOG_LEVLE=debug\n");
    site.call("migrate").env("CHATROOM_SERVER_BNID", "x").run().refused(
        1,
        &[
            "error: .env:2: unknown key CHATROOM_LOG_LEVLE\nhint: did you mean CHATROOM_LOG_LEVEL?\n",
            "error: environment variable CHATROOM_SERVER_BNID: unknown key\nhint: did you mean CHATROOM_SERVER_BIND?\n",
        ],
    );
    assert!(!site.folder().join("data").exists());
}

#[test]
fn flags_are_stronger_than_the_environment_than_dotenv_than_the_file() {
    // The ports are taken: which one is complained about tells which one was tried.
    let held: Vec<_> = (0..6)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    let ports: Vec<_> = held
        .iter()
        .map(|held| held.local_addr().expect("an address").port())
        .collect();
    let site = Site::bare();
    let tried = |line: &str, env: &[(&str, String)], port: u16| {
        let call = env
            .iter()
            .fold(site.call(line), |call, (name, value)| call.env(name, value));
        let error = format!("error: cannot listen on 127.0.0.1:{port}: address already in use\n");
        call.run().refused(1, &[&error]);
    };
    site.write(
        "config.toml",
        &format!("[server]\nbind = \"127.0.0.1:{}\"\n", ports[0]),
    );
    tried("serve", &[], ports[0]);
    site.write(".env", &format!("PORT={}\n", ports[1]));
    tried("serve", &[], ports[1]);
    let port = ("PORT", ports[2].to_string());
    tried("serve", std::slice::from_ref(&port), ports[2]);
    let bind = ("CHATROOM_SERVER_BIND", format!("127.0.0.1:{}", ports[3]));
    tried("serve", std::slice::from_ref(&bind), ports[3]);
    // In one layer our own name is the stronger.
    tried("serve", &[port.clone(), bind.clone()], ports[3]);
    let set = format!("serve --set server.bind=127.0.0.1:{}", ports[4]);
    tried(&set, &[port.clone(), bind.clone()], ports[4]);
    tried(
        &format!("{set} --port {}", ports[5]),
        &[port, bind],
        ports[5],
    );
}

#[test]
fn another_file_may_be_named() {
    let site = Site::bare();
    site.write("config.toml", "data_dir = \"one\"\n");
    site.write("other.toml", "data_dir = \"two\"\n");
    let made = |folder: &str| site.folder().join(folder).join("chatroom.sqlite3").exists();
    site.run("--config other.toml migrate").ok();
    assert_eq!((made("one"), made("two")), (false, true));
    site.run("migrate --data-dir three").ok();
    assert_eq!((made("one"), made("three")), (false, true));
    let by_environment = site
        .call("migrate")
        .env("CHATROOM_CONFIG", "missing.toml")
        .run();
    by_environment.refused(
        1,
        &["error: missing.toml: there is no such file\nhint: CHATROOM_CONFIG names it\n"],
    );
    site.run("migrate").ok();
    assert!(made("one"));
}

on_both! {
    async fn the_names_of_django_projects_work(db) {
        let site = Site::migrated(db)
            .with("PORT", "0")
            .with("ALLOWED_HOSTS", "chat.example.org,127.0.0.1")
            .with("CORS_ALLOWED_ORIGINS", "https://front.example.org");
        let url = site.place.database_url.clone();
        site.write(".env", &format!("DATABASE_URL='{url}'\n"));
        let server = site.with("DATABASE_URL", "").call("serve").serve();
        let shown = format!("  database    {url}\n");
        assert!(server.said().contains(&shown), "{}", server.said());

        let stranger = server.stranger();
        let sent_to = |host: &'static str| answer(stranger.request(Method::GET, "/openapi.json").header("Host", host));
        assert_eq!(sent_to("chat.example.org").await.status, 200);
        sent_to("localhost").await.refused(400, "host_not_allowed");
        let from = |origin: &'static str| answer(stranger.request(Method::GET, "/rooms/").header("Origin", origin));
        let allowed = "access-control-allow-origin";
        assert_eq!(from("https://front.example.org").await.header(allowed), "https://front.example.org");
        assert_eq!(from("http://localhost:5173").await.header(allowed), "");
        User::register(server.address, "ann").await;
        server.stop();
    }
}

#[tokio::test]
async fn a_key_in_a_file_is_the_same_key() {
    let key = "0123456789abcdef0123456789abcdef";
    let site = Site::new(Db::Sqlite).with("SECRET_KEY", key);
    let server = site.serve();
    let ann = User::register(server.address, "ann").await;
    server.stop();
    site.write("key", &format!("{key}\n"));
    let site = site.with("SECRET_KEY", "").with("SECRET_KEY_FILE", "key");
    let server = site.serve();
    assert_eq!(
        ann.at(server.address).get("/rooms/").await.expect(200)["rooms"],
        json!([])
    );
    server.stop();
    // And another key makes every token worthless.
    let site = site.with("SECRET_KEY_FILE", "");
    let server = site.serve();
    ann.at(server.address)
        .get("/rooms/")
        .await
        .refused(401, "token_invalid");
    server.stop();
}
