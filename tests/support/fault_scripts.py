"""Faults on a droplet that the watchdog tells of, and their ends, as shell scripts, SQL and Python."""

# A repository of one package, which says that it is Debian's for security, with a newer version than the installed one.
OUTDATED = """set -e; umask 022
mkdir -p /srv/updates/held/DEBIAN && cd /srv/updates
printf 'Package: held-back\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: a test\\nDescription: old\\n' \
  > held/DEBIAN/control
dpkg-deb --build held held.deb > /dev/null && dpkg --install held.deb > /dev/null
printf 'Package: held-back\\nVersion: 2.0\\nArchitecture: all\\nMaintainer: a test\\nDescription: new\\n' > Packages
printf 'Filename: ./held.deb\\nSize: %s\\nSHA256: %s\\n' "$(stat -c %s held.deb)" \
  "$(sha256sum held.deb | cut -d' ' -f1)" >> Packages
printf 'Origin: Debian\\nLabel: Debian-Security\\nSuite: stable-security\\nVersion: 13\\nSHA256:\\n %s %s Packages\\n' \
  "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
echo 'deb [trusted=yes] file:/srv/updates ./' > /etc/apt/sources.list.d/test-updates.list
apt-get update -qq -o Dir::Etc::SourceList=/etc/apt/sources.list.d/test-updates.list -o Dir::Etc::SourceParts=- \
  -o APT::Get::List-Cleanup=0
"""
UPDATED = """rm -rf /srv/updates /etc/apt/sources.list.d/test-updates.list /var/lib/apt/lists/*srv_updates*
dpkg --purge held-back > /dev/null"""
# The certificate that the edge serves is replaced by one that ended long ago.
ENDED = """set -e
file=$(ls /etc/haproxy/certs/*.pem | head -1); name=$(basename "$file" .pem)
cp --preserve "$file" /root/kept.pem
case "$name" in *[a-z]*) alt="DNS:$name" ;; *) alt="IP:$name" ;; esac
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -addext "subjectAltName=$alt" \
  -not_before 20250101000000Z -not_after 20250102000000Z -keyout /root/old.key -out /root/old.crt 2> /dev/null
cat /root/old.crt /root/old.key > "$file"
systemctl reload haproxy
"""
SERVED_AGAIN = (
    'cp --preserve /root/kept.pem "$(ls /etc/haproxy/certs/*.pem | head -1)" && systemctl reload haproxy'
)


SAVE = """docker exec --env REDISCLI_AUTH="$(cat /etc/marketplace/secrets/redis_operator_password)" redis redis-cli \
--tls --insecure -p "$(jq .redis.port /etc/marketplace/settings.json)" \
--user "$(jq -r .redis.users.operator /etc/marketplace/settings.json)" BGSAVE"""
CROWD = "for n in \\$(seq 84); do psql -qU postgres -c 'SELECT pg_sleep(300)' & done; wait"
SENT_AWAY = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(300)'"
)


DRILLS = "/var/backups/marketplace/data/drills"
OLD_DRILL = f"""mkdir -p {DRILLS} && date -d '40 days ago' +'{{"id": "20200101T000000Z", "outcome": "passed", \
"time": "%Y-%m-%dT%H:%M:%S+00:00", "rpo_seconds": 1, "rto_seconds": 1, "size": 1}}' > {DRILLS}/20200101T000000Z.json"""
# Of a service that has just said too much, the journal takes less for a while.
FLOOD = """for n in 1 2 3 4; do
  docker exec redis sh -c 'head -c 40M /dev/urandom | base64 -w 1500 > /proc/1/fd/1'
  sleep 3
  salt-call --out=quiet health.logs || break
done"""
# No time server is in reach of a local droplet: its own clock is one, if it is told so.
FOLLOWED = "until chronyc local stratum 8; do sleep 0.5; done"
SPENT = """
import json, pathlib, time
file = pathlib.Path("/var/lib/marketplace/watch.json")
state = json.loads(file.read_text()) if file.exists() else {}
file.write_text(json.dumps(state | {"budget": [["redis", time.time() - ago] for ago in (900, 600, 300)]}))
"""
# Every update that the bot handles comes by here, and nothing that asks for its health does.
TRIGGER = (
    "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; RETURN NEW; END $$;"
)


TRIGGERED = "CREATE TRIGGER fault BEFORE INSERT ON handled_updates FOR EACH ROW EXECUTE FUNCTION fault()"
