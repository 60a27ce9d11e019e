-- Rooms and who is in them.

create table rooms (
    id blob not null primary key,
    name text not null,
    name_key text not null,
    created_by integer not null references users (id),
    created_at text not null,
    -- How many changes, and how many messages, the room has had. Whoever holds this row's lock
    -- hands out the next numbers, so they have no gap.
    last_seq integer not null default 0,
    last_id integer not null default 0
) strict;

create unique index rooms_name_key on rooms (name_key);

create table members (
    room_id blob not null references rooms (id) on delete cascade,
    user_id integer not null references users (id) on delete cascade,
    role text not null,
    joined_at text not null,
    primary key (room_id, user_id)
) strict, without rowid;

create index members_user on members (user_id, joined_at);
