#!/bin/sh
# Install PostgreSQL and MariaDB for the tests, which start servers of their own. What the packages would set up by
# themselves is not wanted: no cluster is made, none is started, and those that are there stay as they are.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"
is_there() { command -v "$1" >/dev/null 2>&1; }
has_postgresql() { is_there initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
has_mariadb() { is_there mariadbd && is_there mariadb-install-db && is_there my_print_defaults; }

if has_postgresql && has_mariadb; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! is_there apt-get; then
  echo "The registry's tests need PostgreSQL (15 or newer) and MariaDB. Run: sudo apt-get install postgresql mariadb-server-core mariadb-client-core"
  exit 1
fi

install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
if ! has_postgresql; then
  echo "Installing Debian's postgresql ..."
  install postgresql-common
  config=/etc/postgresql-common/createcluster.conf
  cp -p "$config" "$config.before-tests"
  trap 'mv "$config.before-tests" "$config"' EXIT
  echo "create_main_cluster = false" >>"$config"
  install postgresql
fi
if ! has_mariadb; then
  # The programs alone: the package mariadb-server would run one as a service. What fills a data folder needs one
  # of the client's.
  echo "Installing Debian's mariadb-server-core and mariadb-client-core ..."
  install mariadb-server-core mariadb-client-core
fi
