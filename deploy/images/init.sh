#!/bin/sh
# Make what the stages need and may not make themselves. Running it again changes nothing.
set -eu

bemi-sink migrate
if [ "${BEMI_STITCHER_WAL_FROM:-bemi}" = debezium ]; then
    # The connector makes its slot; one of ours, which nobody reads, would only hold back WAL.
    # With a snapshot to come none is made, and a connector's `.wal` has one partition.
    export BEMI_PRODUCER_SNAPSHOT_MODE=initial BEMI_PRODUCER_PUBLISH_TABLES=false
    export BEMI_PRODUCER_WAL_PARTITIONS=1 BEMI_PRODUCER_PUBLICATION_NAME=bemi_debezium
fi
bemi-producer prepare
