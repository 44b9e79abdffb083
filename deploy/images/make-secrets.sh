#!/bin/sh
# Make each password that is missing below /run/secrets: one folder, so one volume, a reader.
# Whoever mounts a folder can read what is in it; nobody else can.
set -eu

for folder in /run/secrets/*/; do
    if [ ! -e "${folder}password" ]; then
        # Renamed when whole: a password that was cut off would stay for ever.
        python3 -c 'import secrets; print(secrets.token_urlsafe(24))' >"${folder}password.new"
        mv "${folder}password.new" "${folder}password"
        echo "made ${folder}password"
    fi
done
