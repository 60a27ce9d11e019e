-- Rooms and who is in them.

create table rooms (
    id uuid not null primary key,
    name text not null,
    name_key text not null,
    created_by bigint not null references users (id),
    created_at timestamptz not null,
    -- How many changes, and how many messages, the room has had. Whoever holds this row's lock
    -- hands out the next numbers, so they have no gap.
    last_seq bigint not null default 0,
    last_id bigint not null default 0
);

create unique index rooms_name_key on rooms (name_key);

create table members (
    room_id uuid not null references rooms (id) on delete cascade,
    user_id bigint not null references users (id) on delete cascade,
    role text not null,
    joined_at timestamptz not null,
    primary key (room_id, user_id)
);

create index members_user on members (user_id, joined_at);
