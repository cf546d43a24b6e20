#!/bin/sh
# start.sh FILE [--override NAME=VALUE]...: Kafka with the settings of FILE, in the foreground. The folder of `log.dirs`
# is formatted when it is new, and never again. KAFKA_HOME says where Kafka lies.
set -eu
file=$1
shift
home=${KAFKA_HOME:-/opt/kafka}
folder=$(sed -n 's/^log\.dirs=//p' "$file")
if [ ! -e "$folder/meta.properties" ]; then
    "$home/bin/kafka-storage.sh" format -t "$("$home/bin/kafka-storage.sh" random-uuid)" -c "$file"
fi
exec "$home/bin/kafka-server-start.sh" "$file" "$@"
