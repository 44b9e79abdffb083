-- How far each partition of each topic is stored. Written in the transaction that stores the
-- rows, and only by the sink that knows the last value: that is what makes a change stored
-- once, and what fences a second sink.
CREATE TABLE public.bemi_sink_progress (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    epoch text,
    commit_lsn bigint NOT NULL,
    ordinal bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);

-- Records that are no change, or that PostgreSQL cannot store, as they stood in Kafka.
CREATE TABLE public.bemi_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    value bytea,
    -- [[name, value in base64 or null], ...]
    headers jsonb NOT NULL DEFAULT '[]',
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, partition, "offset")
);
