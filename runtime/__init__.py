"""What every stage needs around its work: settings, logs, exit codes, topics.

It knows no stage. Stages import it; it imports `schemas` at most.
"""
