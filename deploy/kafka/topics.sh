#!/bin/sh
# topics.sh SERVER: makes the topics of the file beside this one that are not there; those that are stay as they are.
# SERVER: such as 127.0.0.1:9092. Kafka's own tool makes them: KAFKA_TOPICS says where it lies, REPLICAS how many nodes.
set -eu
server=$1
tool=${KAFKA_TOPICS:-/opt/kafka/bin/kafka-topics.sh}
grep -v '^[[:space:]]*\(#\|$\)' "$(dirname "$0")/topics" | while read -r name partitions settings; do
    set --
    for setting in $settings; do
        set -- "$@" --config "$setting"
    done
    "$tool" --bootstrap-server "$server" --create --if-not-exists --topic "$name" --partitions "$partitions" \
        --replication-factor "${REPLICAS:-1}" "$@" </dev/null
done
