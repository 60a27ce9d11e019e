//! Both databases have the same tables, columns, keys and indexes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Database, TABLES, postgres};
use crate::store::Store;

/// A table as both databases can describe it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// In order: name, class of type, whether it may be null.
    columns: Vec<(String, &'static str, bool)>,
    primary_key: Vec<String>,
    indexes: BTreeSet<Index>,
    /// Column, table it refers to, whether deletion there deletes here.
    references: BTreeSet<(String, String, bool)>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Index {
    name: String,
    columns: Vec<String>,
    unique: bool,
    /// Whether only some rows are in it.
    partial: bool,
}

/// What SQLite, which has few types, keeps a type as.
fn class(kind: &str) -> &'static str {
    match kind.to_ascii_lowercase().as_str() {
        "integer" | "bigint" | "boolean" => "number",
        "text" | "timestamp with time zone" => "text",
        "blob" | "uuid" | "bytea" => "bytes",
        other => panic!("a type that has no counterpart: {other}"),
    }
}

fn list(names: &str) -> Vec<String> {
    names.split(' ').map(str::to_owned).collect()
}

async fn of_sqlite(store: &Store) -> BTreeMap<String, Table> {
    let Store::Sqlite(sqlite) = store else {
        panic!("not SQLite")
    };
    let db = &sqlite.reader;
    let names: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' \
         escape '\\' and name not like '\\_sqlx%' escape '\\'",
    )
    .fetch_all(db)
    .await
    .expect("tables");
    let mut tables = BTreeMap::new();
    for name in names {
        let mut table = Table::default();
        let columns: Vec<(String, String, bool, i64)> = sqlx::query_as(
            "select name, type, \"notnull\" or pk > 0, pk from pragma_table_info($1) order by cid",
        )
        .bind(&name)
        .fetch_all(db)
        .await
        .expect("columns");
        let mut key: Vec<_> = columns.iter().filter(|(.., pk)| *pk > 0).collect();
        key.sort_by_key(|(.., pk)| *pk);
        table.primary_key = key.into_iter().map(|(name, ..)| name.clone()).collect();
        table.columns = columns
            .into_iter()
            .map(|(name, kind, not_null, _)| (name, class(&kind), !not_null))
            .collect();
        let indexes: Vec<(String, bool, bool, String)> = sqlx::query_as(
            "select l.name, l.\"unique\", l.partial, (select group_concat(name, ' ') \
             from (select name from pragma_index_info(l.name) order by seqno)) \
             from pragma_index_list($1) l where l.origin <> 'pk'",
        )
        .bind(&name)
        .fetch_all(db)
        .await
        .expect("indexes");
        table.indexes = indexes.into_iter().map(index).collect();
        let references: Vec<(String, String, bool)> = sqlx::query_as(
            "select \"from\", \"table\", on_delete = 'CASCADE' from pragma_foreign_key_list($1)",
        )
        .bind(&name)
        .fetch_all(db)
        .await
        .expect("references");
        table.references = references.into_iter().collect();
        tables.insert(name, table);
    }
    tables
}

async fn of_postgres(store: &Store) -> BTreeMap<String, Table> {
    let Store::Postgres(db) = store else {
        panic!("not PostgreSQL")
    };
    let names: Vec<String> = sqlx::query_scalar(
        "select tablename::text from pg_tables where schemaname = 'public' \
         and tablename <> '_sqlx_migrations'",
    )
    .fetch_all(db)
    .await
    .expect("tables");
    let mut tables = BTreeMap::new();
    for name in names {
        let mut table = Table::default();
        let columns: Vec<(String, String, bool)> = sqlx::query_as(
            "select column_name::text, data_type::text, is_nullable = 'YES' \
             from information_schema.columns where table_schema = 'public' and table_name = $1 \
             order by ordinal_position",
        )
        .bind(&name)
        .fetch_all(db)
        .await
        .expect("columns");
        table.columns = columns
            .into_iter()
            .map(|(name, kind, nullable)| (name, class(&kind), nullable))
            .collect();
        let indexes: Vec<(String, bool, bool, String, bool)> = sqlx::query_as(
            "select indexrelid::regclass::text, indisunique, indpred is not null, \
             (select string_agg(attname, ' ' order by n) from unnest(indkey) \
             with ordinality as k (attnum, n) join pg_attribute a using (attnum) \
             where a.attrelid = indrelid), indisprimary \
             from pg_index where indrelid = to_regclass($1)",
        )
        .bind(&name)
        .fetch_all(db)
        .await
        .expect("indexes");
        for (name, unique, partial, columns, primary) in indexes {
            if primary {
                table.primary_key = list(&columns);
            } else {
                table
                    .indexes
                    .insert(index((name, unique, partial, columns)));
            }
        }
        let references: Vec<(String, String, bool)> = sqlx::query_as(
            "select attname::text, confrelid::regclass::text, confdeltype = 'c' \
             from pg_constraint join pg_attribute on attrelid = conrelid \
             and attnum = conkey[1] where contype = 'f' and conrelid = to_regclass($1)",
        )
        .bind(&name)
        .fetch_all(db)
        .await
        .expect("references");
        table.references = references.into_iter().collect();
        tables.insert(name, table);
    }
    tables
}

fn index((name, unique, partial, columns): (String, bool, bool, String)) -> Index {
    Index {
        name,
        columns: list(&columns),
        unique,
        partial,
    }
}

#[tokio::test]
async fn both_databases_have_the_same_shape() {
    let sqlite = Database::sqlite().await;
    sqlite.store.migrate(|_| {}).await.expect("a schema");
    let here = of_sqlite(&sqlite.store).await;
    let mut names: Vec<_> = here.keys().map(String::as_str).collect();
    names.sort_by_key(|name| TABLES.iter().position(|table| table == name));
    assert_eq!(names, TABLES);
    // The description itself has to see what matters.
    let messages = &here["messages"];
    assert_eq!(messages.columns[5], ("nonce".to_owned(), "text", true));
    assert_eq!(messages.primary_key, ["room_id", "id"]);
    assert_eq!((messages.indexes.len(), messages.references.len()), (2, 2));

    if postgres::available("both_databases_have_the_same_shape") {
        let postgres = Database::postgres().await;
        postgres.store.migrate(|_| {}).await.expect("a schema");
        let there = of_postgres(&postgres.store).await;
        for (name, table) in &here {
            assert_eq!(Some(table), there.get(name), "{name}");
        }
        assert_eq!(here, there);
        let steps = postgres.store.schema().await.expect("a schema");
        assert_eq!(sqlite.store.schema().await.expect("a schema"), steps);
    }
}
