//! A reader who takes nothing for a while: what he gets when he reads again.

use super::{Seen, number, open, path, say_all, text, two_in};
use crate::harness::{App, Socket};

/// Nobody is let go for being stuck.
const PATIENT: [(&str, &str); 1] = [("sockets.stall_timeout", "10m")];

on_both! {
    async fn who_does_not_read_for_long_gets_everything_of_each_room_in_order(db) {
        let app = App::start_with(db, &PATIENT).await;
        let (ann, bob, rooms) = two_in(&app, ["one", "two"]).await;
        let mut b = Socket::open_narrow(app.address, &path(&bob)).await;
        let mut seen = Seen::of(&b.expect("ready").await);
        let (mut a, _) = open(&ann).await;
        // More than the two systems keep for a connection with so small a window.
        say_all(&mut a, &rooms, 1..=3000, 1200).await;
        while seen.0.values().any(|seq| *seq < 3000) {
            let frame = b.next().await;
            seen.hear(&frame);
            let said = text(&frame, "message");
            assert_eq!(said.trim_end_matches('.'), number(&frame, "seq").to_string());
        }
        b.quiet().await;
        say_all(&mut a, &rooms, 3001..=3003, 0).await;
        seen.read_up_to(&mut b, 3003).await;
        b.quiet().await;
    }

    async fn who_loses_a_room_while_he_does_not_read_is_cut_off_and_comes_back_without_it(db) {
        let app = App::start_with(db, &PATIENT).await;
        let (ann, bob, rooms) = two_in(&app, ["one", "two"]).await;
        let mut b = Socket::open_narrow(app.address, &path(&bob)).await;
        b.expect("ready").await;
        let (mut a, _) = open(&ann).await;
        say_all(&mut a, &rooms[..1], 1..=600, 16 * 1024).await;
        ann.delete(&format!("/room/delete/{}/", rooms[0])).await.expect(200);
        assert_eq!(a.expect("room_left").await["reason"], "deleted");
        // What his system has taken cannot be taken back. The rest is not sent.
        let mut got = 0;
        let code = loop {
            match b.next_or_close().await {
                Ok(frame) => got = number(&frame, "seq"),
                Err(code) => break code,
            }
        };
        assert!(got < 600, "{got}");
        assert_eq!(code, 1006);
        let (mut b, ready) = open(&bob).await;
        let mut seen = Seen::of(&ready);
        assert_eq!(seen.0.keys().collect::<Vec<_>>(), [&rooms[1]]);
        say_all(&mut a, &rooms[1..], 1..=1, 0).await;
        seen.read_up_to(&mut b, 1).await;
    }
}
