"""Publish the rows that exist already, as Debezium's read events.

`initial` does it before streaming, by `readers` in processes of their own; `incremental` does
it while streaming, in small chunks between watermarks.
"""
