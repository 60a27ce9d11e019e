//! The hub, with listeners that write down what they hear.

use super::*;
use crate::model::Event;

#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Ear {
    fn note(&self, text: String) {
        self.0.lock().expect("a lock").push(text);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("a lock"))
    }
}

impl Listener for Ear {
    fn hear(&self, event: &Event) {
        self.note(match &event.signal {
            Signal::Messages(messages) => format!("messages to {}", messages.len()),
            Signal::Typing { .. } => "typing".to_owned(),
            Signal::Moved(seq) => format!("moved to {seq}"),
        });
    }

    fn lose(&self, end: End) {
        self.note(match end {
            End::Session => "lost the login".to_owned(),
            End::Membership(_) | End::Room(_) => "lost the room".to_owned(),
        });
    }

    fn gain(&self, _: RoomId) {
        self.note("gained a room".to_owned());
    }
}

fn join(hub: &Hub, user: i64, room: RoomId) -> (Connection, Arc<Ear>, SessionId) {
    let (ear, session) = (Arc::new(Ear::default()), SessionId::random());
    let connection = hub.connect(UserId(user), session, false, ear.clone());
    connection.enter(room);
    (connection, ear, session)
}

#[test]
fn a_room_without_listeners_is_forgotten() {
    let hub = Hub::default();
    let room = RoomId::random();
    let (first, ..) = join(&hub, 1, room);
    let (second, ..) = join(&hub, 2, room);
    second.enter(room);
    drop(first);
    assert_eq!(hub.rooms().len(), 1);
    second.leave(room);
    assert!(hub.rooms().is_empty());
    assert!(!hub.is_empty());
    drop(second);
    assert!(hub.is_empty());
    let state = hub.state();
    assert!(state.sessions.is_empty() && state.users.is_empty());
}

#[test]
fn whoever_loses_something_is_told_and_nobody_else() {
    let hub = Hub::default();
    let (here, there) = (RoomId::random(), RoomId::random());
    let (_one, ann, session) = join(&hub, 1, here);
    let (two, bob, _) = join(&hub, 2, there);
    hub.end_session(session);
    assert_eq!((ann.heard().len(), bob.heard().len()), (1, 0));
    hub.end_membership(here, UserId(2));
    hub.end_room(RoomId::random());
    assert_eq!((ann.heard().len(), bob.heard().len()), (0, 0));
    hub.end_membership(there, UserId(2));
    hub.end_room(here);
    assert_eq!((ann.heard().len(), bob.heard().len()), (1, 1));
    two.renew(session);
    hub.end_session(session);
    assert_eq!((ann.heard().len(), bob.heard().len()), (1, 1));
}

#[test]
fn only_those_who_follow_are_told_of_new_rooms() {
    let hub = Hub::default();
    let room = RoomId::random();
    let (_one, ann, session) = join(&hub, 1, room);
    let follower = Arc::new(Ear::default());
    let connection = hub.connect(UserId(1), session, true, follower.clone());
    hub.begin_membership(room, UserId(1));
    assert_eq!((ann.heard().len(), follower.heard().len()), (0, 1));
    connection.enter(room);
    hub.begin_membership(room, UserId(1));
    assert!(follower.heard().is_empty());
}

#[tokio::test]
async fn an_event_reaches_all_listeners_of_its_room_in_order() {
    let hub = Hub::default();
    let room = RoomId::random();
    // Enough for several shards.
    let all: Vec<_> = (0..400).map(|n| join(&hub, n, room)).collect();
    let (_elsewhere, other, _) = join(&hub, 1, RoomId::random());
    for seq in 1..=20 {
        hub.tell(room, Signal::Moved(Seq(seq)));
    }
    let expected: Vec<_> = (1..=20).map(|seq| format!("moved to {seq}")).collect();
    for (_, ear, _) in &all {
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            heard.extend(ear.heard());
            tokio::task::yield_now().await;
        }
        assert_eq!(heard, expected);
    }
    assert!(other.heard().is_empty());
}

#[tokio::test]
async fn typing_pushes_no_message_out_of_what_waits() {
    let hub = Hub::default();
    let room = RoomId::random();
    let (_one, ear, _) = join(&hub, 1, room);
    // Nobody is told before this test gives way.
    hub.tell(room, Signal::Moved(Seq(7)));
    for _ in 0..1000 {
        hub.tell(
            room,
            Signal::Typing {
                user_id: UserId(1),
                username: "ann".to_owned(),
                email: "ann@example.org".to_owned(),
                from: 7,
            },
        );
    }
    let mut heard = Vec::new();
    while heard.is_empty() {
        tokio::task::yield_now().await;
        heard.extend(ear.heard());
    }
    assert_eq!(heard[0], "moved to 7");
}
