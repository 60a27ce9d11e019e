//! The bare SQLite loop: what durable messages are compared with.
//!
//! One connection to the SQLite that the server is built with, through `rusqlite`, on a file in the
//! folder where the server's would be: WAL, `synchronous=FULL`, so each transaction is on disk when
//! it is over. A transaction is 100 rows, each one run of a prepared statement: a text of 100 bytes
//! beside its room and number, which an index covers. No one waits for it, numbers it, or hears of
//! it. Its rows are of 100 rooms in turn, as the server's messages are: each transaction touches a
//! page of the index for each room. Beside it stands the best case, rows of one room, where the
//! index grows at its end.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Result;
use crate::usage::real;

/// Rows of a transaction.
const ROWS: i64 = 100;
/// Files are synchronised so often to time it.
const SYNCS: u32 = 50;

/// Rows a second, of so many rooms in turn, over so many seconds.
pub fn rows_a_second(folder: &Path, rooms: i64, seconds: f64) -> Result<f64> {
    let connection = Connection::open(folder.join(format!("bare{rooms}.sqlite3")))?;
    let mode: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(format!("SQLite keeps its journal in {mode}, not in a WAL").into());
    }
    connection.execute_batch(
        "pragma synchronous = full;
         create table messages (id integer primary key, room integer not null, seq integer not null, body text not null);
         create unique index messages_seq on messages (room, seq);",
    )?;
    let mut insert =
        connection.prepare("insert into messages (room, seq, body) values (?1, ?2, ?3)")?;
    let body = "x".repeat(100);
    let began = Instant::now();
    let mut rows: i64 = 0;
    while began.elapsed().as_secs_f64() < seconds {
        connection.execute_batch("begin immediate")?;
        for _ in 0..ROWS {
            insert.execute((rows % rooms, rows / rooms, &body))?;
            rows += 1;
        }
        connection.execute_batch("commit")?;
    }
    Ok(real(rows.unsigned_abs()) / began.elapsed().as_secs_f64())
}

/// How long `fdatasync` of 4 KiB takes in this folder, in milliseconds: much less than 0.05 says
/// that nothing is on disk.
pub fn sync_time(folder: &Path) -> Result<f64> {
    let mut file = File::create(folder.join("synced"))?;
    let mut spent = Duration::ZERO;
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        spent += began.elapsed();
    }
    Ok(spent.as_secs_f64() * 1e3 / f64::from(SYNCS))
}
