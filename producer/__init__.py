"""Stage 1: PostgreSQL's write-ahead log as Debezium events in Kafka.

replication_stream -> pgoutput -> relations + column_types -> change_events
-> kafka_publisher -> topics;  progress <- delivery reports,  slot <- progress
"""
