-- Rows as the sink stores them, made by the server: those of the bench's own records, so that the
-- indexes get keys of the same kind. The parameters are the numbers of the changes, and their time.
INSERT INTO public.changes (
    id, database, schema, "table", primary_key, operation, before, after, context, committed_at,
    queued_at, transaction_id, position, commit_lsn, ordinal, epoch
)
SELECT
    -- Commit time, version, microseconds, variant, hash of the transaction, ordinal: as change_id.
    (
        lpad(to_hex(milliseconds), 12, '0') || '8' || lpad(to_hex(microseconds), 3, '0')
        || 'a' || substr(md5(transaction::text), 1, 14) || ordinal
    )::uuid,
    'bench', 'public', 'bench_row', key::text, 'UPDATE',
    row_before, jsonb_set(row_before, '{amount}', to_jsonb((number + 1)::text || '.25')),
    jsonb_build_object(
        'user_id', transaction %% 500, 'endpoint', '/orders/' || transaction, 'method', 'POST',
        'SQL', 'UPDATE bench_row SET amount = %%s, updated = %%s WHERE id = %%s'
    ),
    committed_at, committed_at, transaction, number, transaction, ordinal, %(epoch)s
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number
CROSS JOIN LATERAL (
    SELECT
        number / 10 AS transaction, number %% 10 AS ordinal, number * 7919 %% 100000 AS key,
        %(start)s::timestamptz + number / 10 * %(step)s::interval AS committed_at
) AS place
CROSS JOIN LATERAL (
    SELECT
        floor(extract(epoch FROM committed_at) * 1000)::bigint AS milliseconds,
        (extract(epoch FROM committed_at) * 1000000)::bigint %% 1000 AS microseconds,
        jsonb_build_object(
            'id', key, 'account', key %% 997, 'name', 'Name of account ' || key,
            'email', 'account' || key || '@example.org', 'amount', number || '.25', 'active', true,
            'note', 'A note of some length, as people write them, ' || number,
            'updated', committed_at
        ) AS row_before
) AS made;
