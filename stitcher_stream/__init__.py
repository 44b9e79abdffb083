"""Stage 2: put the application's context on each change.

    topic `.wal` -> faust_driver -> app -> stitch -> change_records -> publisher -> topic `.changes`

Progress flows back by the consumer group's offsets, which stand on transaction boundaries.
Only `app` and `faust_driver` import Faust; the stitching itself is `stitch`, a pure function.
"""
