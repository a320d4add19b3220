#!/bin/sh
# Makes the golden files anew: runs each *.sql on a private MariaDB and keeps its binary log, what
# information_schema says of the tables, and the changes that the code decodes from them.
# Look at the difference before it is committed: it is what a reader of the log will see.
#
#   tests/golden/rewrite.sh BUILD_DIR      (with BUILD_DIR/tests/unit/test_assemble built)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?which build directory}" && pwd)
work=$(mktemp -d)
server=

stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

sql() { mariadb --no-defaults --user=root --socket="$work/socket" --batch --skip-column-names "$@"; }

start() { # an empty server
    rm -rf "$work/data"
    mkdir "$work/data"
    mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --datadir="$work/data" \
        --user="$(id -un)" >"$work/install.log" 2>&1
    mariadbd --no-defaults --datadir="$work/data" --socket="$work/socket" --pid-file="$work/pid" --skip-networking \
        --log-bin=bin --binlog-format=ROW --server-id=1 --innodb-buffer-pool-size=16M --innodb-log-file-size=8M \
        --user="$(id -un)" >"$work/error.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        sql -e 'SELECT 1' >/dev/null 2>&1 && return
        kill -0 "$server"
        sleep 0.2
    done
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

version=$(mariadbd --version | sed 's/.*Ver \([0-9]*\.[0-9]*\).*/\1/')
sealed=$("$build/tests/unit/test_assemble" --seal)

for file in "$here"/*.sql; do
    name=mariadb-$version-$(basename "$file" .sql)
    start
    sql -e "RESET MASTER"
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
    "$build/tests/unit/test_assemble" --print "$here/$name" >"$here/$name.txt"
    echo "$name: $(wc -c <"$here/$name.binlog") bytes of log, $(wc -l <"$here/$name.txt") lines"
done
