"""The contracts between the stages: identity, topics, headers, event and change.

Everything here is a value, a name or a codec. This package imports nothing of the
project, opens no connection and reads no clock, so that every stage, and a consumer
of the topics, can rely on it.
"""
