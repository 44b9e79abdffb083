#!/bin/sh
# Make the roles of the stack, once, when the server's data is made. Each has the one job that
# its name says; none is a superuser.
set -eu

secret() { cat "/run/secrets/$1/password"; }

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set producer="$(secret producer)" --set sink="$(secret sink)" --set site="$(secret site)" \
    --set database="$POSTGRES_DB" <<'SQL'
-- Reads the log; rows of tables only where a snapshot is asked for.
CREATE ROLE bemi_source LOGIN REPLICATION PASSWORD :'producer';
GRANT pg_read_all_data TO bemi_source;
-- Owns the table `changes` and what the sink keeps beside it.
CREATE ROLE bemi_sink LOGIN PASSWORD :'sink';
GRANT CREATE, USAGE ON SCHEMA public TO bemi_sink;
-- The example site: owns the database and its tables.
CREATE ROLE site LOGIN PASSWORD :'site';
ALTER DATABASE :"database" OWNER TO site;
GRANT CREATE, USAGE ON SCHEMA public TO site;
SQL
