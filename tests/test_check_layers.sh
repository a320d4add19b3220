#!/bin/bash
#
# Feeds check_layers.sh small trees, each with one include that is or is not
# allowed, and looks at what it says.

set -euo pipefail

check=$(cd "$(dirname "$0")" && pwd)/check_layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
wrong=0

run_with() # file include-line
{
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/$(dirname "$1")"
    printf '/* A comment. */\n%s\n' "$2" >"$tree/$1"
    "$check" "$tree" 2>&1
}

allowed() # file include-line
{
    local said

    said=$(run_with "$1" "$2") && [[ -z $said ]] && return 0
    echo "$1 with $2 is allowed, but: $said"
    wrong=$((wrong + 1))
}

refused() # file include-line words-of-the-rule
{
    local said status=0

    said=$(run_with "$1" "$2") || status=$?
    [[ $status -eq 1 && $said == "$1:2: "*"$3"* && $said != *$'\n'* ]] && return 0
    echo "$1 with $2 is refused with exit 1 and one line \"$1:2: ...$3...\", but ($status): $said"
    wrong=$((wrong + 1))
}

allowed cdc/base/buf.c '#include "cdc/base/buf.h"'
allowed cdc/base/buf.c '#include <sys/socket.h>'
allowed cdc/base/cipher.c '#include <openssl/evp.h>'
allowed cdc/model/pos.c '#include "cdc/base/buf.h"'
allowed config/config.c '#include <libconfig.h>'
allowed cdc/db/dbconn.c '#  include   <mysql.h> /* the client library */'
allowed cdc/db/dbconn.c '#include "config/config.h"'
allowed cdc/binlog/event.c '#include <zlib.h>'
allowed appliers/apply.c '#include "cdc/db/dbconn.h"'
allowed appliers/apply.c '#include "sql_embedded.h"'
allowed cdc/service/http.c '#include <microhttpd.h>'
allowed cdc/cli/status.c '#include <jansson.h>'
allowed cdc/supervisor.c '#include "appliers/applier.h"'
allowed cdc/main.c '#include "cdc/cli/cli.h"'

refused cdc/base/buf.c '#include "cdc/model/pos.h"' 'cdc/base does not include cdc/model'
refused cdc/model/pos.h '#include "config/config.h"' 'cdc/model does not include config'
refused config/config.c '#include "cdc/db/dbconn.h"' 'config does not include cdc/db'
refused cdc/db/stream.c '#include "cdc/binlog/reader.h"' 'cdc/db does not include cdc/binlog'
refused cdc/binlog/rows.c '#include "appliers/store.h"' 'cdc/binlog does not include appliers'
refused appliers/apply.c '#include "cdc/binlog/reader.h"' 'appliers does not include cdc/binlog'
refused appliers/apply.c '#include "cdc/service/status.h"' 'appliers does not include cdc/service'
refused cdc/service/http.c '#include "cdc/db/dbconn.h"' 'cdc/service does not include cdc/db'
refused cdc/service/http.c '#include "cdc/supervisor.h"' 'cdc/service does not include cdc '
refused cdc/supervisor.c '#include "cdc/cli/cli.h"' 'cdc does not include cdc/cli'
refused cdc/base/log.c '#include "version.h"' 'cdc/base does not include version.h'
refused appliers/store_mysql.c '#include <mysql.h>' '<mysql.h> is included in cdc/db only'
refused appliers/store_mysql.c '#include "mysql.h"' '<mysql.h> is included in cdc/db only'
refused appliers/store_mysql.c '	# include <mysql/mysql.h>' 'is included in cdc/db only'
refused cdc/model/value.c '#include <openssl/evp.h>' 'is included in cdc/base only'
refused cdc/supervisor.c '#include <libconfig.h>' 'is included in config only'
refused cdc/cli/status.c '#include <curl/curl.h>' 'is included in cdc/service only'
refused cdc/binlog/json.c '#include <jansson.h>' 'is included in cdc/service cdc/cli only'
refused cdc/base/buf.c '#include <zstd.h>' 'is included in cdc/binlog only'
refused cdc/base/buf.c '#include <expat.h>' 'has no home'
refused cdc/base/buf.c '#include "mem.h"' 'not a path from the root'
refused cdc/base/buf.c '#include "../base/mem.h"' 'not a path from the root'
refused cdc/base/buf.c '#include "tests/support/x.h"' 'not a path from the root'
refused cdc/base/buf.c '#include "cdc/base/mem.c"' 'is not a header'
refused cdc/base/buf.c '#include <cdc/base/mem.h>' 'in quotes'
refused cdc/base/buf.c '#include HEADER' 'names its header'
refused cdc/other/x.c '#include "cdc/base/mem.h"' 'has no layer'

rm -rf "${tree:?}"/*
if "$check" "$tree" >"$tree/said" 2>&1; then
    echo "an empty tree passes"
    wrong=$((wrong + 1))
fi

[[ $wrong -eq 0 ]]
