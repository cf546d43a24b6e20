#!/bin/sh
# accounts.sh FOLDER NAME...: an account with a random password for each NAME that has none yet.
# FOLDER/NAME.password is for the one who bears the name; FOLDER/jianwei.passwd is for the broker, and anybody may read it:
# hashes of long random words tell nothing.
# A name again gets a new password when its file is deleted first. Tell a running broker with SIGHUP.
set -eu
umask 077
folder=$1
shift
mkdir -p "$folder"
hashes=$folder/jianwei.passwd
touch "$hashes"
chmod 644 "$hashes"
for name in "$@"; do
    case $name in
    *[!A-Za-z0-9_.-]* | '')
        echo "accounts.sh: '$name' is no name: A-Z a-z 0-9 _ . -" >&2
        exit 2
        ;;
    esac
    secret=$folder/$name.password
    [ ! -s "$secret" ] || continue
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secret"
    # Not on a command line, where others could read it.
    printf '%s:%s\n' "$name" "$(cat "$secret")" >"$folder/new"
    mosquitto_passwd -U "$folder/new"
    { grep -v "^$name:" "$hashes" || true; } >"$folder/old"
    cat "$folder/old" "$folder/new" >"$hashes"
    rm "$folder/old" "$folder/new"
done
