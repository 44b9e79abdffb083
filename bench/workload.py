"""What is written: transactions of ten changes with a context message each.

The table has nine columns and REPLICA IDENTITY FULL, as an audit trail wants it. A
transaction inserts five rows, updates four and deletes one.
"""

from __future__ import annotations

import psycopg

CHANGES_A_TRANSACTION = 10
TABLE_RECORDS_A_TRANSACTION = 11  # The delete's tombstone comes to them.

_SCHEMA = """
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
);
ALTER TABLE bench_row REPLICA IDENTITY FULL;
CREATE PROCEDURE write_transactions(transactions integer) LANGUAGE plpgsql AS $$
DECLARE
    first_id bigint;
BEGIN
    FOR number IN 1..transactions LOOP
        PERFORM pg_logical_emit_message(
            true, '_bemi',
            format('{"user_id": %s, "endpoint": "/orders/%s", "SQL": "INSERT INTO bench_row"}',
                   number % 100, number)
        );
        INSERT INTO bench_row (account, name, email, amount, active, note)
        SELECT i, 'Name of account ' || i, 'account' || i || '@example.org', i * 1.25, i % 2 = 0,
               'A note of some length, as people write them about an order, number ' || number
        FROM generate_series(number, number + 4) AS i;
        SELECT currval('bench_row_id_seq') - 4 INTO first_id;
        UPDATE bench_row SET amount = amount + 1, updated = localtimestamp
        WHERE id BETWEEN first_id AND first_id + 3;
        DELETE FROM bench_row WHERE id = first_id + 4;
        COMMIT;
    END LOOP;
END $$;
CREATE PUBLICATION bench FOR TABLE bench_row;
"""


def create(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Make the table, the procedure that writes and the publication `bench`."""
    connection.execute(_SCHEMA)


def write(connection: psycopg.Connection[tuple[object, ...]], changes: int) -> int:
    """Write so many changes, rounded to whole transactions; return how many."""
    transactions = max(1, changes // CHANGES_A_TRANSACTION)
    # The writer is not what is measured: waiting for the disk at each commit, it took longer
    # for 100,000 changes (14.1 s beside the running stages) than they took to store them.
    connection.execute("SET synchronous_commit = off")
    connection.execute(f"CALL write_transactions({transactions})")
    return transactions * CHANGES_A_TRANSACTION
