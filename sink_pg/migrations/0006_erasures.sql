-- What was erased, and why: the record of each erasure and the changes it is about, by their ids.
-- They are kept when the changes are gone, so that no replay brings back what was erased.
CREATE TABLE public.bemi_erasures (
    id uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    erased_by text NOT NULL,
    reason text NOT NULL,
    -- values, context, primary-key
    parts text[] NOT NULL,
    -- Of before, after and context; NULL for all.
    members text[]
);

CREATE TABLE public.bemi_erased_changes (
    id uuid NOT NULL,
    committed_at timestamptz NOT NULL,
    erasure uuid NOT NULL,
    -- The order of the erasures of one change.
    number bigint GENERATED ALWAYS AS IDENTITY,
    -- created_at of the row that was erased; NULL where none was stored.
    stored_at timestamptz,
    -- The row's hash before and after, where rows are sealed: what its seal says is still provable.
    sealed_hash bytea,
    erased_hash bytea,
    -- The time of the transaction that erased the row, by which its own seal is found.
    sealed_at timestamptz,
    PRIMARY KEY (id, committed_at, erasure)
);

CREATE INDEX bemi_erased_changes_sealed_at_idx ON public.bemi_erased_changes (sealed_at);
CREATE INDEX bemi_erased_changes_committed_at_idx ON public.bemi_erased_changes (committed_at);

COMMENT ON TABLE public.bemi_erasures IS
    'What `bemi-sink erase` was told to erase, and why.';
COMMENT ON TABLE public.bemi_erased_changes IS
    'The changes of each erasure; values of these are replaced whenever they are stored again.';

-- Whoever seals rows has to know of erasures as well: the sink, where the tables are another's.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT quote_ident(pg_get_userbyid(acl.grantee))
        FROM pg_catalog.pg_class AS class, aclexplode(class.relacl) AS acl
        WHERE class.oid = 'public.bemi_seals'::regclass AND acl.privilege_type = 'INSERT'
            AND acl.grantee NOT IN (0, class.relowner)
    LOOP
        EXECUTE 'GRANT SELECT, INSERT ON public.bemi_erasures, public.bemi_erased_changes TO '
            || grantee;
    END LOOP;
END
$$;
