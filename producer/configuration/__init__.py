"""What the producer is told: Debezium's properties, from a file or from the environment. Pure."""
