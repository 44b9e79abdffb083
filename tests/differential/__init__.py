"""The real Debezium connector and the producer side by side on the same SQL.

    column_kinds + generator -> script -> sides (both run it) -> topics -> comparison -> report

What may differ, and is not compared, is listed in `comparison` and nowhere else.
`python -m tests.differential --help` runs it by hand.
"""
