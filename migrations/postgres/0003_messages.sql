-- What was said.

create table messages (
    room_id uuid not null references rooms (id) on delete cascade,
    -- Counts the messages of the room: 1, 2, 3 …
    id bigint not null,
    -- Counts the changes of the room; the change that made this message.
    seq bigint not null,
    user_id bigint not null references users (id),
    body text not null,
    nonce text,
    created_at timestamptz not null,
    primary key (room_id, id)
);

create unique index messages_seq on messages (room_id, seq);

-- A retry finds its first attempt here, for ever.
create unique index messages_nonce on messages (room_id, user_id, nonce) where nonce is not null;
