#!/bin/sh
# Puts the variables named like the placeholders into the configuration, then becomes Asterisk.
set -eu
umask 077
templates=/usr/local/share/salehi
names=$(cat "$templates"/*.conf | grep -oE '@[A-Z][A-Z_]*@' | sort -u | tr -d '@')

refuse() { echo "asterisk: $*" >&2; exit 3; }
# The carrier's calls come from where ours go, and the operators are there too, unless told otherwise.
[ -n "${TRUNK_ADDRESS-}" ] || refuse "TRUNK_ADDRESS is not set: host:port of the carrier's SIP over UDP"
: "${TRUNK_HOST:=${TRUNK_ADDRESS%:*}}" "${OPERATORS_ADDRESS:=$TRUNK_ADDRESS}"
export TRUNK_HOST OPERATORS_ADDRESS

for name in $names; do
    value=$(printenv "$name") || refuse "$name is not set: see deploy/asterisk/README.md"
    [ -n "$value" ] || refuse "$name is empty: see deploy/asterisk/README.md"
    # A line of its own, or a comment, would be configuration of its own.
    [ "$(printf '%s' "$value" | tr -d '[:cntrl:];')" = "$value" ] \
        || refuse "$name is not allowed: no line breaks and no semicolon"
    escaped=$(printf '%s' "$value" | sed 's/[\\&|]/\\&/g')
    script="${script:-}s|@$name@|$escaped|g;"
done
for folder in etc run log spool spool/recording db; do
    mkdir -p "$ASTERISK_DIR/$folder" || refuse "ASTERISK_DIR=$ASTERISK_DIR cannot be written to"
done
for template in "$templates"/*.conf; do
    printf '%s' "$script" | sed -f - "$template" > "$ASTERISK_DIR/etc/${template##*/}"
done
exec /usr/sbin/asterisk -f -C "$ASTERISK_DIR/etc/asterisk.conf"
