#!/bin/bash
# Takes the options that Kafka's own script takes from the environment.
exec java ${KAFKA_HEAP_OPTS:--Xmx512m} ${KAFKA_LOG4J_OPTS:-} -cp '/kafka/libs/*' \
    org.apache.kafka.connect.cli.ConnectStandalone "$@"
