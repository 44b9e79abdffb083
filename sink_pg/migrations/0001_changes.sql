-- The trail. Bemi's columns in their order, names and types, so that queries written for it
-- keep working, then those of this sink.
--
-- Partitioned by commit time, so that old changes go by dropping a partition. The default
-- partition takes what no other does, so that no clock can make a change refused.
CREATE TABLE public.changes (
    id uuid NOT NULL,
    database varchar NOT NULL,
    schema varchar NOT NULL,
    "table" varchar NOT NULL,
    primary_key varchar,
    operation text NOT NULL,
    before jsonb NOT NULL DEFAULT '{}',
    after jsonb NOT NULL DEFAULT '{}',
    context jsonb NOT NULL DEFAULT '{}',
    committed_at timestamptz NOT NULL,
    queued_at timestamptz NOT NULL,
    -- now() and not clock_timestamp(): with a volatile default COPY inserts row by row.
    created_at timestamptz NOT NULL DEFAULT now(),
    transaction_id bigint NOT NULL,
    position bigint NOT NULL,
    commit_lsn bigint,
    ordinal bigint,
    epoch text,
    context_error text,
    characters_replaced boolean NOT NULL DEFAULT false,
    -- The id alone says which change it is, and the same change has the same commit time; a
    -- key of a partitioned table has to hold the partition key.
    PRIMARY KEY (id, committed_at)
) PARTITION BY RANGE (committed_at);

-- Partitions are named bemi_changes_*, by which the producer knows them also when they are gone.
CREATE TABLE public.bemi_changes_default PARTITION OF public.changes DEFAULT;

COMMENT ON TABLE public.changes IS
    'Every change of the tracked database with the context it was made in (Bemi).';
COMMENT ON COLUMN public.changes.position IS 'LSN of the row; rows of one statement may share it.';
COMMENT ON COLUMN public.changes.ordinal IS
    'Place in the transaction; (commit_lsn, ordinal) is the order of the changes of an epoch.';
COMMENT ON COLUMN public.changes.epoch IS
    'The stretch of the source''s history in which commit_lsn only grows.';
COMMENT ON COLUMN public.changes.context_error IS 'Why a context that was sent is not in context.';
COMMENT ON COLUMN public.changes.characters_replaced IS
    'Whether U+0000 stands here as U+2400, or half a surrogate pair as U+FFFD.';

-- The latest changes, and a period of them. Ids sort by commit time too, but plain queries
-- order by committed_at; inserts go to the right end of the index, so it is cheap.
CREATE INDEX changes_committed_at_idx ON public.changes (committed_at);

-- The history of a row. Not btree: it refuses a key over 2704 bytes, and the row with it.
-- Not hash: a row changed very often makes one long chain of pages, which each insert walks.
CREATE INDEX changes_primary_key_idx ON public.changes USING spgist (primary_key);
