//! Writing a batch to SQLite: few statements, each for many rows.

use std::sync::LazyLock;

use serde_json::json;
use sqlx::{Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use super::{Appended, Plan, ground, parties, plan, said_by, unless_said};
use crate::model::time::iso;
use crate::model::{Instant, Message, RoomId};
use crate::store::messages::{MessageRow, message_columns};
use crate::store::{NewMessage, Result};

/// Rows that one `insert` takes. Each of these statements is compiled once; a batch is cut into them.
const ROWS: [usize; 4] = [128, 32, 8, 1];

/// The statements, in the order of [`ROWS`].
static INSERTS: LazyLock<[String; 4]> = LazyLock::new(|| {
    ROWS.map(|rows| {
        let row = "(?, ?, ?, ?, ?, ?, ?)";
        let list = vec![row; rows].join(", ");
        format!(
            "insert into messages (room_id, id, seq, user_id, body, nonce, created_at) \
             values {list}{}",
            unless_said!()
        )
    })
});

fn hex(room: RoomId) -> String {
    room.0.simple().to_string()
}

pub async fn append(
    writer: &SqlitePool,
    batch: &[NewMessage],
    now: Instant,
    look: bool,
) -> Result<Option<Vec<Appended>>> {
    let (rooms, senders) = parties(batch);
    let mut tx = writer.begin_with("begin immediate").await?;

    // An id has 32 digits. Pairs are cut as text, since taking JSON apart again for each costs more.
    let ids: Vec<_> = rooms.iter().map(|room| hex(*room)).collect();
    let pairs = senders
        .iter()
        .map(|(room, user)| format!("{}{user}", hex(*room)));
    let pairs: Vec<_> = pairs.collect();
    let rows: Vec<(Option<Uuid>, i64, i64)> = sqlx::query_as(
        "select id, last_seq, last_id from rooms \
         where id in (select unhex(value) from json_each($1)) \
         union all \
         select null, j.key, 0 from json_each($2) j where not exists (select 1 from members m \
         where m.room_id = unhex(substr(j.value, 1, 32)) \
         and m.user_id = cast(substr(j.value, 33) as integer))",
    )
    .bind(json!(ids).to_string())
    .bind(json!(pairs).to_string())
    .fetch_all(&mut *tx)
    .await?;
    let (mut counters, mut outsiders) = (Vec::new(), Vec::new());
    for (room, number, id) in rows {
        match room {
            Some(room) => counters.push((room, number, id)),
            None => outsiders.push(number),
        }
    }

    let said = if look {
        said(&mut tx, batch).await?
    } else {
        Vec::new()
    };
    let plan = plan(batch, ground(counters, &senders, outsiders, said), now);
    if plan.rooms.is_empty() {
        return Ok(Some(plan.answers));
    }
    if !insert(&mut tx, &plan).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    let list: Vec<_> = plan
        .rooms
        .iter()
        .map(|(room, seq, id)| json!([hex(*room), seq.0, id.0]))
        .collect();
    sqlx::query(
        "update rooms set last_seq = j.value ->> 1, last_id = j.value ->> 2 \
         from json_each($1) j where rooms.id = unhex(j.value ->> 0)",
    )
    .bind(json!(list).to_string())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Some(plan.answers))
}

/// The messages that have one of the batch's nonces.
async fn said(tx: &mut Transaction<'_, Sqlite>, batch: &[NewMessage]) -> Result<Vec<MessageRow>> {
    let list: Vec<_> = batch
        .iter()
        .filter_map(said_by)
        .map(|(room, user, nonce)| json!([hex(room), user.0, nonce]))
        .collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as(concat!(
        "select ",
        message_columns!(),
        " from json_each($1) j cross join messages m \
         join users u on u.id = m.user_id where m.room_id = unhex(j.value ->> 0) \
         and m.user_id = j.value ->> 1 and m.nonce = j.value ->> 2"
    ))
    .bind(json!(list).to_string())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Whether all of the rows could be inserted, as none of them was said before.
async fn insert(tx: &mut Transaction<'_, Sqlite>, plan: &Plan) -> Result<bool> {
    let mut messages: Vec<&Message> = plan.stored().collect();
    // In the order of the table, so that neighbours find the same page.
    messages.sort_unstable_by_key(|m| (m.room_id, m.id));
    let at = messages.first().map(|m| iso(m.created_at));
    let mut left = &messages[..];
    for (rows, sql) in ROWS.into_iter().zip(&*INSERTS) {
        while let Some((some, rest)) = left.split_at_checked(rows) {
            let mut insert = sqlx::query(sql.as_str());
            for message in some {
                insert = insert
                    .bind(message.room_id.0)
                    .bind(message.id.0)
                    .bind(message.seq.0)
                    .bind(message.user_id.0)
                    .bind(&message.body)
                    .bind(&message.nonce)
                    .bind(&at);
            }
            if insert.execute(&mut **tx).await?.rows_affected() < some.len() as u64 {
                return Ok(false);
            }
            left = rest;
        }
    }
    Ok(true)
}
