-- The table has nine columns and REPLICA IDENTITY FULL, as an audit trail wants it. No vacuum:
-- when it comes is chance, and what it does is not measured.
CREATE TABLE bench_row (
    id bigserial PRIMARY KEY,
    account integer NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    active boolean NOT NULL,
    note text,
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated timestamp
) WITH (autovacuum_enabled = false);
ALTER TABLE bench_row REPLICA IDENTITY FULL;
CREATE PUBLICATION bench FOR TABLE bench_row;

CREATE FUNCTION tell_context(number bigint) RETURNS void LANGUAGE sql AS $$
    SELECT pg_logical_emit_message(
        true, '_bemi',
        format('{"user_id": %s, "endpoint": "/orders/%s", "SQL": "INSERT INTO bench_row"}',
               number % 100, number)
    )
$$;

CREATE FUNCTION insert_rows(number bigint, amount_of_rows bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO bench_row (account, name, email, amount, active, note)
    SELECT i, 'Name of account ' || i, 'account' || i || '@example.org', i * 1.25, i % 2 = 0,
           'A note of some length, as people write them about an order, number ' || number
    FROM generate_series(number, number + amount_of_rows - 1) AS i
$$;

-- Half of a transaction's changes insert, four tenths update, one tenth deletes.
CREATE PROCEDURE write_transactions(transactions bigint, changes_a_transaction bigint)
LANGUAGE plpgsql AS $$
DECLARE
    inserts bigint := changes_a_transaction / 2;
    updates bigint := changes_a_transaction * 4 / 10;
    first_id bigint;
BEGIN
    FOR number IN 1..transactions LOOP
        PERFORM tell_context(number);
        PERFORM insert_rows(number, inserts);
        first_id := currval('bench_row_id_seq') - inserts + 1;
        UPDATE bench_row SET amount = amount + 1, updated = localtimestamp
        WHERE id >= first_id AND id < first_id + updates;
        DELETE FROM bench_row WHERE id >= first_id + updates AND id < first_id + inserts;
        COMMIT;
    END LOOP;
END $$;

-- The same changes in the same order, each in a transaction of its own.
CREATE PROCEDURE write_single_rows(transactions bigint) LANGUAGE plpgsql AS $$
DECLARE
    step integer;
    last_id bigint;
BEGIN
    FOR number IN 0..transactions - 1 LOOP
        PERFORM tell_context(number);
        step := number % 10;
        IF step < 5 THEN
            PERFORM insert_rows(number, 1);
            last_id := currval('bench_row_id_seq');
        ELSIF step < 9 THEN
            UPDATE bench_row SET amount = amount + 1, updated = localtimestamp
            WHERE id = last_id - 9 + step;
        ELSE
            DELETE FROM bench_row WHERE id = last_id;
        END IF;
        COMMIT;
    END LOOP;
END $$;

-- One inserted row a transaction; one that comes late is not waited for by the next.
CREATE PROCEDURE write_at_rate(
    transactions bigint, a_second double precision, delay_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    FOR number IN 0..transactions - 1 LOOP
        PERFORM pg_sleep(
            delay_seconds + number / a_second
            - extract(epoch FROM clock_timestamp() - began)::double precision
        );
        PERFORM tell_context(number);
        PERFORM insert_rows(number, 1);
        COMMIT;
    END LOOP;
END $$;
