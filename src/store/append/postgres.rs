//! Writing a batch to PostgreSQL: few statements, each for many rows.

use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{Appended, ground, parties, plan, said_by, unless_said};
use crate::model::{Instant, Message};
use crate::store::messages::{MessageRow, message_columns};
use crate::store::{NewMessage, Result};

pub async fn append(
    pool: &PgPool,
    batch: &[NewMessage],
    now: Instant,
    look: bool,
) -> Result<Option<Vec<Appended>>> {
    let (rooms, senders) = parties(batch);
    let mut tx = pool.begin().await?;

    // In the order of ids, so that two nodes never wait for each other. The lock is the one that
    // updates take: it leaves other rows free to refer to the room.
    let list: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
    let counters = sqlx::query_as(
        "select id, last_seq, last_id from rooms where id = any($1) order by id \
         for no key update",
    )
    .bind(list)
    .fetch_all(&mut *tx)
    .await?;

    let (of, who): (Vec<Uuid>, Vec<i64>) = senders.iter().map(|(r, u)| (r.0, u.0)).unzip();
    let outsiders = sqlx::query_scalar(
        "select w.at - 1 from unnest($1::uuid[], $2::bigint[]) with ordinality \
         as w (room_id, user_id, at) where not exists (select 1 from members m \
         where m.room_id = w.room_id and m.user_id = w.user_id)",
    )
    .bind(of)
    .bind(who)
    .fetch_all(&mut *tx)
    .await?;

    let said = if look {
        said(&mut tx, batch).await?
    } else {
        Vec::new()
    };
    let plan = plan(batch, ground(counters, &senders, outsiders, said), now);
    if plan.rooms.is_empty() {
        return Ok(Some(plan.answers));
    }
    let stored: Vec<&Message> = plan.stored().collect();
    let inserted = sqlx::query(concat!(
        "with new as (select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], \
         $5::text[], $6::text[]) as n (room_id, id, seq, user_id, body, nonce)), \
         moved as (update rooms set last_seq = heads.seq, last_id = heads.id from \
         (select room_id, max(seq) as seq, max(id) as id from new group by room_id) as heads \
         where rooms.id = heads.room_id) \
         insert into messages (room_id, id, seq, user_id, body, nonce, created_at) \
         select room_id, id, seq, user_id, body, nonce, $7 from new",
        unless_said!()
    ))
    .bind(stored.iter().map(|m| m.room_id.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.id.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.seq.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.user_id.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.body.as_str()).collect::<Vec<_>>())
    .bind(
        stored
            .iter()
            .map(|m| m.nonce.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(now)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() < stored.len() as u64 {
        // Before it is tried again, by another connection: this one holds the rooms' locks.
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(plan.answers))
}

async fn said(tx: &mut Transaction<'_, Postgres>, batch: &[NewMessage]) -> Result<Vec<MessageRow>> {
    let nonces: Vec<_> = batch.iter().filter_map(said_by).collect();
    if nonces.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as(concat!(
        "select ",
        message_columns!(),
        " from unnest($1::uuid[], $2::bigint[], $3::text[]) \
         as n (room_id, user_id, nonce) join messages m on m.room_id = n.room_id \
         and m.user_id = n.user_id and m.nonce = n.nonce join users u on u.id = m.user_id"
    ))
    .bind(nonces.iter().map(|(room, ..)| room.0).collect::<Vec<_>>())
    .bind(nonces.iter().map(|(_, user, _)| user.0).collect::<Vec<_>>())
    .bind(nonces.iter().map(|(.., nonce)| *nonce).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}
