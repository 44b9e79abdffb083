#!/bin/sh
# Track one database by what runs in this container: Kafka, producer, stitcher and sink.
set -eu

if [ -z "${DB_HOST:-}" ]; then
    echo "error: say which database to track: docker run -e DB_HOST -e DB_PORT -e DB_NAME" \
        "-e DB_USER -e DB_PASSWORD ..." >&2
    exit 2
fi
exec python -m deploy.local up --state /var/lib/bemi
