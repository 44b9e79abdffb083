"""`bemi-producer status`: the whole pipeline at a glance, from database, brokers, destination.

reading -> glance -> command
"""
