#!/bin/sh
# Make what the stages need and may not make themselves, and look whether they can do their work
# then. The argument is the role that reads the log. Running it again changes nothing.
set -eu

bemi-sink migrate
if [ "${BEMI_STITCHER_WAL_FROM:-bemi}" = debezium ]; then
    # The connector makes its slot; one of ours, which nobody reads, would only hold back WAL.
    # With a snapshot to come none is made.
    export BEMI_PRODUCER_SNAPSHOT_MODE=initial BEMI_PRODUCER_PUBLISH_TABLES=false
    export BEMI_PRODUCER_PUBLICATION_NAME=bemi_debezium BEMI_PRODUCER_SLOT_NAME=bemi_debezium
fi
prepared=0
bemi-producer prepare || prepared=$?

# By the role that reads the log, so that its password and rights are looked at as well.
export DB_USER="$1" DB_PASSWORD_FILE=/run/secrets/producer/password
found=0
bemi-producer doctor || found=$?
# Warnings, 1, are worth reading and stop nothing.
if [ "$prepared" -ne 0 ] || [ "$found" -gt 1 ]; then
    echo "error: the stages are not started. Mend what stands above, marked by ✗, and start" \
        "again: docker compose up" >&2
    exit 2
fi
