#!/usr/bin/env bash
# Runs an image as its README does, and checks that it works: no root, nothing written but /var/lib/bedside and /tmp,
# the same labels from the command, from the service and, where `bedside` is on PATH, from this machine.
#
#   examples/container/check.sh IMAGE BUNDLE SCAN
#   CONTAINER_TOOL=podman RUN_OPTIONS="--network host" examples/container/check.sh IMAGE BUNDLE SCAN
set -euo pipefail
image=$1 bundle=$(realpath "$2") scan=$(realpath "$3")
read -ra tool <<< "${CONTAINER_TOOL:-docker}"
read -ra more <<< "${RUN_OPTIONS:-}"
port=${PORT:-8650}
work=$(mktemp -d)
service=
finish() {
    [ -z "$service" ] || "${tool[@]}" rm --force "$service" > /dev/null
    rm -rf "$work"
}
trap finish EXIT
chmod 755 "$work"
name=scan.${scan#*.}
cp "$scan" "$work/$name" && chmod 444 "$work/$name"
od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$work/token" && chmod 444 "$work/token"

given=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges "${more[@]}"
    --volume "$bundle:/bundles/student.bedside:ro" --volume "$work:/run/given:ro")
contained() { "${tool[@]}" run --rm "${given[@]}" "$@"; }
fail() { echo "failed: $1" >&2; exit 1; }
content() { gzip --decompress --stdout "$1" | sha256sum; }

contained "$image" --version | grep '^bedside ' || fail "--version"

contained --entrypoint sh "$image" -c '[ "$(id -u)" = 10001 ] && ! grep -q "^CapEff:.*[1-9a-f]" /proc/self/status' ||
    fail "it has the rights of root"
contained --entrypoint sh "$image" -c '! touch /opt/bedside/x /etc/x /x 2> /dev/null && touch /tmp/x /var/lib/bedside/x' ||
    fail "what can be written is not /var/lib/bedside and /tmp alone"
! contained --entrypoint /opt/bedside/bin/python "$image" -c 'import torch' 2> /dev/null || fail "it has torch"
echo "user 10001 without capabilities, root file system read-only, no torch"

# The first run on a machine also compares every candidate's labels of the bundle's golden patch. 6: a person should look.
contained --entrypoint sh "$image" -c "bedside segment /bundles/student.bedside -i /run/given/$name \
    -o /var/lib/bedside/labels.nii.gz --engine onnxruntime --precision fp32 --quiet >&2 || [ \$? -eq 6 ]; \
    cat /var/lib/bedside/labels.nii.gz" > "$work/command.nii.gz" || fail "segment"
echo "segment: $(stat --format %s "$work/command.nii.gz") bytes of labels, the golden patch agrees"

service=$("${tool[@]}" run --detach --init --publish "127.0.0.1:$port:$port" "${given[@]}" "$image" \
    serve /bundles/student.bedside --host 0.0.0.0 --port "$port" --token-file /run/given/token \
    --engine onnxruntime --precision fp32)
url=http://127.0.0.1:$port/api/v1
ask() { curl --silent --show-error --fail --header "Authorization: Bearer $(cat "$work/token")" "$@"; }
# It opens the bundle first: minutes where another processor is emulated.
until ask --output /dev/null "$url" 2> /dev/null; do
    [ "$("${tool[@]}" inspect --format '{{.State.Running}}' "$service")" = true ] || fail "the service ended at its start"
    sleep 0.5
done
[ "$(curl --silent --output /dev/null --write-out '%{http_code}' "$url")" = 401 ] || fail "it answers without a token"
job=$(ask --header 'Content-Type: application/octet-stream' --data-binary "@$work/$name" "$url/jobs" |
    sed 's/^{"id":"\([0-9a-f]*\)".*/\1/')
ask --no-buffer --max-time 3600 "$url/jobs/$job/events" > "$work/events"
grep -q '"state":"done"' "$work/events" || fail "the service: $(tail -2 "$work/events")"
ask --output "$work/service.nii.gz" "$url/jobs/$job/labels"
"${tool[@]}" stop --time 60 "$service" > /dev/null
code=$("${tool[@]}" inspect --format '{{.State.ExitCode}}' "$service")
[ "$code" = 143 ] || fail "the service ended with $code on SIGTERM"
[ "$(content "$work/service.nii.gz")" = "$(content "$work/command.nii.gz")" ] || fail "command and service differ"
echo "serve: the same labels; it ends on SIGTERM"

if command -v bedside > /dev/null; then
    bedside segment "$bundle" -i "$scan" -o "$work/here.nii.gz" --engine onnxruntime --precision fp32 --quiet || [ $? -eq 6 ]
    [ "$(content "$work/here.nii.gz")" = "$(content "$work/command.nii.gz")" ] || fail "this machine gives other labels"
    echo "this machine: the same labels"
fi
echo "size: $(($("${tool[@]}" image inspect --format '{{.Size}}' "$image") / 1000000)) MB"
