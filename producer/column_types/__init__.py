"""How the values of each PostgreSQL type become Kafka Connect's, in every value mode. Pure.

`registry.column_type(facts, modifier, modes)` is the way in. Everything here is pure; what the
catalogue knows of a type comes in as `TypeFacts`.
"""
