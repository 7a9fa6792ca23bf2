#!/bin/sh
# Starts redis-server as the user redis; a first argument that is an option or a *.conf file is one for redis-server.
set -e

case ${1-} in
  -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
fi
if [ "$(umask)" = 0022 ]; then umask 0077; fi
# Containers have no loopback peers: like the official build, no protected mode unless a configuration file decides.
if [ "$1" = redis-server ]; then
  case ${2-} in
    *.conf | --help | --version | -h | -v) ;;
    *) set -- "$@" --protected-mode no ;;
  esac
fi
exec "$@"
