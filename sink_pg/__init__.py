"""Stage 3: stitched changes from Kafka into the table `changes`.

kafka_reader -> change_rows -> batch -> pg_writer -> `changes`; progress goes back as the
watermark in PostgreSQL, from which kafka_reader goes on.
"""
