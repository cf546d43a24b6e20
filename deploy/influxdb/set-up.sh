#!/bin/sh
# set-up.sh URL FOLDER: an organisation `jianwei`, the buckets of the file beside this one, and a token that reads and
# writes these and nothing else. Can be run again; what is there stays.
# FOLDER holds admin.password and admin.token, made when they are missing; jianwei.token is for the service.
set -eu
umask 077
url=$1
folder=$2
buckets=$(dirname "$0")/buckets
organisation=jianwei
mkdir -p "$folder"

secret() { [ -s "$1" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$1"; }
secret "$folder/admin.password"
secret "$folder/admin.token"

header=$(mktemp)
answer=$(mktemp)
trap 'rm -f "$header" "$answer"' EXIT
printf 'Authorization: Token %s' "$(cat "$folder/admin.token")" >"$header"

# call METHOD PATH [BODY]: secrets go by files and standard input, not on a command line. Prints what was answered.
call() {
    status=$(printf '%s' "${3-}" | curl -sS -o "$answer" -w '%{http_code}' --max-time 60 -X "$1" -H "@$header" \
        -H 'Content-Type: application/json' --data-binary @- "$url/api/v2/$2")
    case $status in
    2*) cat "$answer" ;;
    *)
        echo "set-up.sh: $1 $2 answered $status: $(cat "$answer")" >&2
        return 1
        ;;
    esac
}

# The first id in an answer.
id() { tr , '\n' | tr '{' '\n' | sed -n 's/^[[:space:]]*"id":[[:space:]]*"\([0-9a-f]*\)".*/\1/p' | head -n 1; }

if curl -sS --max-time 60 "$url/api/v2/setup" | grep -q '"allowed":[[:space:]]*true'; then
    # It asks for a bucket, too; that one goes again when ours are there.
    call POST setup "{\"username\": \"admin\", \"password\": \"$(cat "$folder/admin.password")\", \"org\": \"$organisation\",
        \"bucket\": \"set-up\", \"token\": \"$(cat "$folder/admin.token")\"}" >/dev/null
fi

organisation_id=$(call GET "orgs?org=$organisation" | id)
permissions=
while read -r name seconds; do
    case $name in '' | '#'*) continue ;; esac
    bucket=$(call GET "buckets?orgID=$organisation_id&name=$name" 2>/dev/null | id || true)
    if [ -z "$bucket" ]; then
        bucket=$(call POST buckets "{\"orgID\": \"$organisation_id\", \"name\": \"$name\",
            \"retentionRules\": [{\"type\": \"expire\", \"everySeconds\": $seconds}]}" | id)
    fi
    for action in read write; do
        permissions="$permissions${permissions:+, }{\"action\": \"$action\",
            \"resource\": {\"type\": \"buckets\", \"id\": \"$bucket\", \"orgID\": \"$organisation_id\"}}"
    done
done <"$buckets"

if [ ! -s "$folder/jianwei.token" ]; then
    call POST authorizations "{\"orgID\": \"$organisation_id\", \"description\": \"jianwei\",
        \"permissions\": [$permissions]}" |
        sed -n 's/.*"token":[[:space:]]*"\([^"]*\)".*/\1/p' | tr -d '\n' >"$folder/jianwei.token"
fi
[ -s "$folder/jianwei.token" ] || {
    echo "set-up.sh: InfluxDB gave no token" >&2
    exit 1
}
spare=$(call GET "buckets?orgID=$organisation_id&name=set-up" 2>/dev/null | id || true)
[ -z "$spare" ] || call DELETE "buckets/$spare" >/dev/null
