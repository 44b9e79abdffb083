"""`bemi-producer doctor`: look at source and brokers, and say what is wrong and what to do.

source_facts, kafka_facts -> facts -> server_checks, table_checks, hiding_checks, kafka_checks
                                                       -> findings -> report, fixes
"""
