#!/bin/sh
# Makes the golden files of one server anew: runs each KIND-*.sql on a private one and keeps its binary log, what
# information_schema says of the tables, and the changes that the code decodes from them.
# Look at the difference before it is committed: it is what a reader of the log will see.
#
#   tests/golden/rewrite.sh BUILD_DIR [mariadb|mysql [PREFIX]]
#   tests/golden/rewrite.sh BUILD_DIR text       decodes the logs that are there anew
#
# BUILD_DIR has tests/unit/test_assemble built. PREFIX: a folder that tests/servers/install.sh made; without it the server
# is this machine's own (mariadb, if nothing is said).
# A file may ask for options of the server in a line "-- server: --option ...".
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?which build directory}" && pwd)
kind=${2-mariadb}
prefix=${3-}
work=$(mktemp -d)
server=

decode() { "$build/tests/unit/test_assemble" --print "$1" >"$1.txt"; }

case $kind in
text)
    rmdir "$work"
    for file in "$here"/*.binlog; do
        decode "${file%.binlog}"
    done
    exit
    ;;
mariadb) program=mariadbd ;;
mysql) program=mysqld ;;
*)
    echo "$0: mariadb, mysql or text" >&2
    exit 2
    ;;
esac

stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

sql() { mariadb --no-defaults --user=root --socket="$work/socket" --batch --skip-column-names --default-character-set=utf8mb4 "$@"; }

# Becomes the server. The loader of the prefix brings the libraries of the prefix; the server cannot tell then where it is.
run_server() {
    if [ -z "$prefix" ]; then
        exec "$program" --no-defaults --datadir="$work/data" --user="$(id -un)" "$@"
    fi
    loader=$(find "$prefix/usr/lib" -maxdepth 2 -name 'ld-linux*.so.*' | head -n 1)
    exec "$loader" --library-path "$(dirname "$loader"):$prefix/usr/lib" "$prefix/usr/sbin/$program" --no-defaults \
        --basedir="$prefix/usr" --lc-messages-dir="$prefix/usr/share/$kind" --character-sets-dir="$prefix/usr/share/$kind/charsets" \
        --plugin-dir="$prefix/usr/lib/mysql/plugin" --datadir="$work/data" --user="$(id -un)" "$@"
}

make_data() {
    rm -rf "$work/data"
    mkdir "$work/data"
    if [ "$kind" = mysql ]; then
        (run_server --initialize-insecure)
        # The same in every log made: it is in each GTID.
        printf '[auto]\nserver-uuid=11111111-2222-3333-4444-555555555555\n' >"$work/data/auto.cnf"
    elif [ -z "$prefix" ]; then
        mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --datadir="$work/data" \
            --user="$(id -un)"
    else
        cd "$prefix/usr/share/mariadb"
        {
            printf '%s;\n' 'CREATE DATABASE mysql' 'USE mysql' 'SET @auth_root_socket = NULL'
            sed '/@current_hostname/d' mariadb_system_tables.sql mariadb_performance_tables.sql mariadb_system_tables_data.sql
        } | (run_server --bootstrap)
        cd "$here"
    fi
}

start() { # an empty server, with these options
    make_data >"$work/install.log" 2>&1 || {
        cat "$work/install.log" >&2
        exit 1
    }
    if [ "$kind" = mysql ]; then
        set -- --secure-file-priv=NULL --mysqlx=OFF --performance-schema=OFF --gtid-mode=ON --enforce-gtid-consistency=ON "$@"
    fi
    (run_server --socket="$work/socket" --pid-file="$work/pid" --skip-networking --log-bin=bin --binlog-format=ROW \
        --server-id=1 --innodb-buffer-pool-size=16M "$@") >"$work/error.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        sql -e 'SELECT 1' >/dev/null 2>&1 && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$work/error.log" >&2
    echo "the server did not come up" >&2
    exit 1
}

# One line a column, separated by tabs.
describe() {
    sql -e "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLUMN_KEY, EXTRA,
                   IFNULL(CHARACTER_SET_NAME, '-'), IFNULL(CHARACTER_MAXIMUM_LENGTH, 0), IFNULL(NUMERIC_PRECISION, 0),
                   IFNULL(NUMERIC_SCALE, 0), IFNULL(DATETIME_PRECISION, 0)
            FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ('types', 'app')
            ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
}

sealed=$("$build/tests/unit/test_assemble" --seal)

for file in "$here/$kind"-*.sql; do
    # shellcheck disable=SC2046 # options, separated by spaces
    start $(sed -n 's/^-- server: //p' "$file")
    version=$(sql -e "SELECT SUBSTRING_INDEX(VERSION(), '.', 2)")
    part=$(basename "$file" .sql)
    name=$kind-$version-${part#"$kind"-}
    if [ "$kind" = mysql ]; then
        sql -e "RESET BINARY LOGS AND GTIDS"
    else
        sql -e "RESET MASTER"
    fi
    sed "s|@CONTROL_TABLES@|$here/../../sql/control_tables.sql|; s|@SEALED@|$sealed|" "$file" >"$work/run.sql"
    # What stands before the first write defines the tables; later statements may change or drop them.
    sed '/^INSERT\|^BEGIN/,$d' "$work/run.sql" >"$work/define.sql"
    sed -n '/^INSERT\|^BEGIN/,$p' "$work/run.sql" >"$work/write.sql"
    sql <"$work/define.sql"
    describe >"$here/$name.columns"
    { grep '^SET' "$work/define.sql"; grep '^USE' "$work/define.sql" | tail -n 1; cat "$work/write.sql"; } | sql
    sql -e "FLUSH BINARY LOGS"
    cat "$work/data/bin.000001" >"$here/$name.binlog" # not cp: the server's file is for itself alone
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
    echo "$name: $(wc -c <"$here/$name.binlog") bytes of log"
    decode "$here/$name"
    echo "$name: $(wc -l <"$here/$name.txt") lines"
done
