#!/bin/sh
# Turns a bare Debian 13 host into a converged droplet. Running it again is harmless.
#
#   ./bootstrap.sh MINION_ID [--no-apply]
#   ./bootstrap.sh MINION_ID --restore-from TARGET --key-file FILE
#                  [--endpoint URL --access-key ID --secret-file FILE] [--region NAME] [--time TIME]
#
# MINION_ID is the environment (a directory of pillar/), optionally with a suffix: production, staging-2.
# --no-apply installs Salt and its configuration and stops there: `salt-call state.apply test=True` then shows the plan.
# --restore-from makes this fresh droplet the lost one, from the copy of its backups: data, ledger, secrets, certificates
# and the live release. TARGET is s3:BUCKET/PREFIX or a directory, as backup:storage:target had it; the key file holds what
# `backup.key` showed, the secret file the secret of the storage's access key. Run again, it goes on where it stopped.
set -eu

say() { printf '==> %s\n' "$*" >&2; }
die() {
    printf 'bootstrap: %s\n' "$*" >&2
    exit 1
}

usage="usage: ./bootstrap.sh MINION_ID [--no-apply], for example ./bootstrap.sh production; --help says more"
id=
apply=yes
restore=
key_file='' endpoint='' access_key='' secret_file='' region='' time=''
while [ $# -gt 0 ]; do
    argument=$1
    shift
    case $argument in
        -h | --help)
            sed -n '2,13s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        --no-apply) apply=no ;;
        --restore-from | --key-file | --endpoint | --access-key | --secret-file | --region | --time)
            [ $# -gt 0 ] || die "$argument wants a value. $usage"
            case $1 in
                "" | *[\'\"\\[:space:]]*) die "the value of $argument is '$1', which is empty or has spaces or quotes in it" ;;
            esac
            case $argument in
                --restore-from) restore=$1 ;;
                --key-file) key_file=$1 ;;
                --endpoint) endpoint=$1 ;;
                --access-key) access_key=$1 ;;
                --secret-file) secret_file=$1 ;;
                --region) region=$1 ;;
                --time) time=$1 ;;
            esac
            shift
            ;;
        -*) die "unknown option $argument. $usage" ;;
        *)
            [ -z "$id" ] || die "more than one minion id: $id and $argument. $usage"
            id=$argument
            ;;
    esac
done
[ -n "$id" ] || die "no minion id. $usage"
if [ -n "$restore" ]; then
    [ "$apply" = yes ] || die "--no-apply and --restore-from don't go together: a rebuild applies what it needs"
    [ -n "$key_file" ] || die "--restore-from wants --key-file: a file with the copy's key, as backup.key showed it"
    for file in "$key_file" ${secret_file:+"$secret_file"}; do
        [ -r "$file" ] || die "$file can't be read"
    done
elif [ -n "$key_file$endpoint$access_key$secret_file$region$time" ]; then
    die "--key-file, --endpoint, --access-key, --secret-file, --region and --time belong to --restore-from. $usage"
fi

tree=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
environment=${id%%-*}
environments=$(find "$tree/pillar" -mindepth 1 -maxdepth 1 -type d ! -name base ! -name local ! -name '*[!a-z0-9]*' -exec basename {} \; | sort | tr '\n' ' ')
case " $environments" in
    *" $environment "*) ;;
    *) die "unknown environment '$environment' (from minion id '$id'). Expected one of: ${environments}. A new one is a directory: pillar/$environment/init.sls" ;;
esac
case $id in *[!a-z0-9-]*) die "minion id '$id' may hold lower-case letters, digits and dashes only" ;; esac

[ "$(id -u)" = 0 ] || die "must run as root, for example: sudo ./bootstrap.sh $id"
# shellcheck disable=SC1091
. /etc/os-release
[ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 13 ] ||
    die "this is ${PRETTY_NAME:-an unknown system}; the tree is made for Debian 13. Create the droplet from the debian-13-x64 image"
[ "$tree" = /srv/deploy ] ||
    die "the tree lives in /srv/deploy on a droplet, this checkout is $tree. Do: git clone $tree /srv/deploy && /srv/deploy/bootstrap.sh $id"

# A droplet keeps its identity: another environment's settings on this one's data would be a disaster.
for stamp in /etc/salt/minion_id /etc/marketplace/environment; do
    [ -s "$stamp" ] || continue
    known=$(cat "$stamp")
    case $stamp in
        */environment) wanted=$environment ;;
        *) wanted=$id ;;
    esac
    way="Run ./bootstrap.sh with its own id, or use a fresh droplet"
    [ -e /etc/marketplace/environment ] || way="Nothing was converged here yet: rm /etc/salt/minion_id, then ./bootstrap.sh $id"
    [ "$known" = "$wanted" ] || die "this host is '$known' ($stamp), not '$wanted'. $way"
done

[ -n "$restore" ] || [ ! -e /var/lib/marketplace/rebuild.json ] ||
    die "a rebuild of this droplet was interrupted: the same --restore-from goes on with it"

# Another apt may be at work, as on a droplet's first boot: its own waiting covers dpkg's lock, not that on the lists.
# Or one was cut off, by a power loss or a kill: what it left half configured is finished first, once.
apt() {
    deadline=$(($(date +%s) + 300)) finished=
    until said=$(LC_ALL=C.UTF-8 apt-get -qq -y -o DPkg::Lock::Timeout=300 "$@" 2>&1); do
        case $said in
            *"Could not get lock"*) [ "$(date +%s)" -ge "$deadline" ] || { sleep 2 && continue; } ;;
            *"dpkg was interrupted"*)
                [ -n "$finished" ] || { finished=yes && dpkg --force-confdef --force-confold --configure --pending >&2 && continue; }
                ;;
        esac
        printf '%s\n' "$said" >&2
        return 1
    done
}

missing=
encrypted=$(grep -rlsE '^#!.*gpg' "$tree/pillar" || :)
for package in python3-venv ca-certificates ${restore:+rclone zstd} ${encrypted:+gpg}; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2> /dev/null | grep -q '^ii' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    say "Installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt update && apt install --no-install-recommends $missing; } ||
        die "apt could not install$missing. Check the network and /etc/apt/sources.list*, then run ./bootstrap.sh $id again"
fi

say "Installing Salt into /opt/salt"
"$tree/formulas/minion/files/install-salt" "$tree/formulas/minion/files/requirements.txt" ||
    die "Salt could not be installed. Check that pip reaches its package index, then run ./bootstrap.sh $id again"

# The bot's token is there, and an editor makes files that everybody may read.
[ ! -d "$tree/pillar/local" ] || chmod -R go-rwx "$tree/pillar/local"

mkdir -p /etc/salt/minion.d
cmp -s "$tree/minion.conf" /etc/salt/minion.d/marketplace.conf || cp "$tree/minion.conf" /etc/salt/minion.d/marketplace.conf
[ -s /etc/salt/minion_id ] || printf '%s' "$id" > /etc/salt/minion_id

if [ "$apply" = no ]; then
    say "Salt is ready. Next: salt-call state.apply test=True, then salt-call state.apply"
    exit 0
fi
if [ -n "$restore" ]; then
    # Quoted for Salt, which else takes digits for a number.
    set --
    for given in "target=$restore" "key_file=$key_file" "endpoint=$endpoint" "access_key=$access_key" \
        "secret_file=$secret_file" "region=$region" "time=$time"; do
        [ -z "${given#*=}" ] || set -- "$@" "${given%%=*}='${given#*=}'"
    done
    say "Rebuilding $id from $restore (salt-call backup.rebuild)"
    exec /usr/local/bin/salt-call --retcode-passthrough backup.rebuild "$@"
fi
say "Converging $id (salt-call state.apply)"
# Everything is new: a line for each state, and all of what fails. As differences it would be thousands of lines.
exec /usr/local/bin/salt-call --retcode-passthrough --state-output=mixed_id state.apply
