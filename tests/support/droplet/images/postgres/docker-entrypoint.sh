#!/bin/bash
# Starts PostgreSQL; makes a database first where PGDATA is empty. Variables (each also as NAME_FILE):
# POSTGRES_PASSWORD, POSTGRES_USER (postgres), POSTGRES_DB (the user's name), POSTGRES_INITDB_ARGS,
# POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD (scram-sha-256).
set -euo pipefail

fail() { echo "docker-entrypoint: $*" >&2; exit 1; }

# setting NAME [DEFAULT]: the value of NAME, or of the file that NAME_FILE names.
setting() {
  local file="$1_FILE"
  if [ -n "${!1-}" ] && [ -n "${!file-}" ]; then fail "both $1 and $file are set: give one of them"; fi
  if [ -n "${!file-}" ]; then cat -- "${!file}"; else printf '%s' "${!1:-${2-}}"; fi
}

# local_server start|stop: a server that only the socket reaches, while the database is made ready.
local_server() {
  case $1 in
    start) pg_ctl --pgdata="$PGDATA" --wait --silent --options="-c listen_addresses='' -p 5432" start ;;
    stop) pg_ctl --pgdata="$PGDATA" --wait --silent --mode=fast stop ;;
  esac
}

run_scripts() {
  local script query=(psql --no-psqlrc --set=ON_ERROR_STOP=1 --no-password --username="$user" --dbname="$database")
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh)
        # shellcheck source=/dev/null
        if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
      *.sql) "${query[@]}" --file="$script" ;;
      *.sql.gz) gunzip --stdout "$script" | "${query[@]}" ;;
      *.sql.xz) xzcat "$script" | "${query[@]}" ;;
    esac
  done
}

initialise() {
  local password method waldir arguments=()
  password=$(setting POSTGRES_PASSWORD)
  method=$(setting POSTGRES_HOST_AUTH_METHOD scram-sha-256)
  waldir=$(setting POSTGRES_INITDB_WALDIR)
  eval "arguments=($(setting POSTGRES_INITDB_ARGS))"  # The variable holds shell words by definition.
  if [ -z "$password" ] && [ "$method" != trust ]; then
    fail "the database is new and has no superuser password: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE"
  fi
  initdb --username="$user" --pwfile=<(printf '%s\n' "$password") ${waldir:+--waldir="$waldir"} "${arguments[@]}"
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"

  export PGPASSWORD=$password
  local_server start
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE :"name";\n' \
      | psql --no-psqlrc --set=ON_ERROR_STOP=1 --no-password --username="$user" --dbname=postgres --set=name="$database"
  fi
  run_scripts
  local_server stop
  unset PGPASSWORD
}

if [ "${1-}" = "" ] || [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi
for argument in "$@"; do
  case $argument in -'?' | --help | --describe-config | -V | --version) exec "$@" ;; esac
done

if [ "$(id -u)" = 0 ]; then
  install -d -m 0700 "$PGDATA"
  find "$PGDATA" \! -user postgres -exec chown postgres {} +
  find /var/run/postgresql \! -user postgres -exec chown postgres {} +
  exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

mkdir -p "$PGDATA"
chmod 0700 "$PGDATA" 2>/dev/null || true
user=$(setting POSTGRES_USER postgres)
database=$(setting POSTGRES_DB "$user")
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  shopt -s nullglob
  initialise
fi
unset POSTGRES_PASSWORD
exec "$@"
