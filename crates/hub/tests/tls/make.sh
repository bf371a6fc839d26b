#!/bin/sh
# Makes authority.pem, localhost.pem and localhost.key.der anew, with OpenSSL 3. `openssl ca`, because it alone of OpenSSL 3.0's
# commands takes the first day of validity: a clock that is wrong by years should not fail a test.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
touch "$work/index"
cat > "$work/ca.conf" <<CONF
[ca]
default_ca = it
[it]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
default_startdate = 20200101000000Z
default_enddate = 21200101000000Z
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[localhost]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
CONF
request() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$2" -out "$work/request"
}
sign() {
    openssl ca -batch -notext -config "$work/ca.conf" -in "$work/request" "$@"
}
request "neuro test authority" "$work/authority.key"
sign -selfsign -keyfile "$work/authority.key" -extensions authority -out authority.pem
request localhost "$work/localhost.key"
sign -cert authority.pem -keyfile "$work/authority.key" -extensions localhost -out localhost.pem
openssl pkcs8 -topk8 -nocrypt -in "$work/localhost.key" -outform DER -out localhost.key.der
