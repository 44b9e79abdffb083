-- One chain over what was stored, where BEMI_SINK_SEALS is set: each seal holds the hash of the
-- rows that its transaction stored, and the hash of the seal before.
CREATE TABLE public.bemi_seals (
    number bigint PRIMARY KEY,
    -- Of which columns, written how, a row's hash is made; see sink_pg/seals.sql.
    form smallint NOT NULL,
    -- created_at of the rows that are sealed: it says which they are.
    sealed_at timestamptz NOT NULL DEFAULT now() UNIQUE,
    row_count bigint NOT NULL,
    rows_hash bytea NOT NULL,
    oldest timestamptz,
    newest timestamptz,
    -- {topic: {partition: [first offset, next offset]}}
    places jsonb NOT NULL,
    -- Of a seal of retention, which seals no rows: everything older was removed.
    removed_before timestamptz,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL
);

COMMENT ON TABLE public.bemi_seals IS
    'Hash chain over the rows of changes; `bemi-sink verify --seals` checks it.';
