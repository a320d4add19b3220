#!/bin/bash
#
# check_layers.sh [ROOT] - who may include what.
#
#   base <- model <- config <- db <- binlog, appliers, service <- supervisor <- cli, main
#
# binlog, appliers and service never include each other, service knows no
# database, and each third-party header has one home. Prints one line for each
# include that breaks this (file:line: rule) and exits 1 if there is any.

set -euo pipefail

root=${1:-$(dirname "$0")/..}
cd "$root"

# Which folders of ours a folder may include; a name stands for itself alone, not for what lies in it.
declare -A may_include=(
    [cdc/base]="cdc/base"
    [cdc/model]="cdc/base cdc/model"
    [config]="cdc/base cdc/model config"
    [cdc/db]="cdc/base cdc/model config cdc/db"
    [cdc/binlog]="cdc/base cdc/model config cdc/db cdc/binlog"
    [appliers]="cdc/base cdc/model config cdc/db appliers"
    [cdc/service]="cdc/base cdc/model config cdc/service"
    [cdc]="cdc/base cdc/model config cdc/db cdc/binlog appliers cdc/service cdc"
    [cdc/cli]="cdc/base cdc/model config cdc/db cdc/binlog appliers cdc/service cdc cdc/cli"
)

# Headers made by the build, and the folders below which they are not known.
generated=" sql_embedded.h version.h "
not_generated_in=" cdc/base cdc/model config cdc/db cdc/binlog "

# Headers of the C library and the system.
system_headers=" assert.h ctype.h dirent.h endian.h errno.h fcntl.h float.h getopt.h inttypes.h langinfo.h libgen.h
 limits.h locale.h malloc.h math.h netdb.h poll.h pthread.h pwd.h sched.h semaphore.h setjmp.h signal.h stdalign.h stdarg.h
 stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h sysexits.h syslog.h
 termios.h time.h unistd.h wchar.h "

failures=0

fail() # where rule
{
    printf '%s: %s\n' "$1" "$2"
    failures=$((failures + 1))
}

# The homes of a third-party header; nothing for a header that has none.
homes_of() # header
{
    case $1 in
    mysql.h | mysql/* | mysqld_error.h | errmsg.h | ma_*.h | mariadb*) echo "cdc/db" ;;
    openssl/*) echo "cdc/base" ;;
    libconfig.h) echo "config" ;;
    microhttpd.h | curl/*) echo "cdc/service" ;;
    jansson.h) echo "cdc/service cdc/cli" ;;
    libdeflate.h) echo "cdc/db" ;; # the checksums of events
    zlib.h) echo "cdc/binlog" ;;   # compressed events
    zstd.h) echo "cdc/binlog" ;;
    iconv.h) echo "cdc/model" ;;
    esac
}

check_ours() # where folder file header
{
    local where=$1 folder=$2 file=$3 header=$4 target

    if [[ $generated == *" $header "* ]]; then
        [[ $not_generated_in != *" $folder "* ]] || fail "$where" "$folder does not include $header"
        return 0
    fi
    target=${header%/*}
    if [[ $header != */* || -z ${may_include[$target]+known} ]]; then
        fail "$where" "\"$header\" is not a path from the root to one of our headers"
    elif [[ $header != *.h ]]; then
        fail "$where" "\"$header\" is not a header"
    elif [[ $file == cdc/main.c ]]; then
        return 0 # it starts everything
    elif [[ " ${may_include[$folder]} " != *" $target "* ]]; then
        fail "$where" "$folder does not include $target (it may: ${may_include[$folder]})"
    fi
}

check_theirs() # where folder header
{
    local where=$1 folder=$2 header=$3 homes

    case $header in
    sys/* | netinet/* | arpa/* | linux/*) return 0 ;;
    esac
    [[ ${system_headers//$'\n'/ } != *" $header "* ]] || return 0
    homes=$(homes_of "$header")
    if [[ -z $homes ]]; then
        fail "$where" "<$header> has no home: give it one in check_layers.sh"
    elif [[ " $homes " != *" $folder "* ]]; then
        fail "$where" "<$header> is included in $homes only"
    fi
}

sources=$(find cdc config appliers -name '*.[ch]' 2>/dev/null | LC_ALL=C sort || true)
if [[ -z $sources ]]; then
    echo "no C file under cdc, config and appliers in $PWD" >&2
    exit 1
fi

while IFS=: read -r file line text; do
    folder=${file%/*}
    if [[ -z ${may_include[$folder]+known} ]]; then
        fail "$file:$line" "folder $folder has no layer: give it one in check_layers.sh"
    elif [[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*\"([^\"]+)\" ]]; then
        if [[ -n $(homes_of "${BASH_REMATCH[1]}") ]]; then
            check_theirs "$file:$line" "$folder" "${BASH_REMATCH[1]}"
        else
            check_ours "$file:$line" "$folder" "$file" "${BASH_REMATCH[1]}"
        fi
    elif [[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*\<([^\>]+)\> ]]; then
        if [[ -n ${may_include[${BASH_REMATCH[1]%/*}]+known} ]]; then
            fail "$file:$line" "our own headers stand in quotes"
        else
            check_theirs "$file:$line" "$folder" "${BASH_REMATCH[1]}"
        fi
    else
        fail "$file:$line" "an include names its header"
    fi
done < <(xargs -d '\n' grep -HnE '^[[:space:]]*#[[:space:]]*include' <<<"$sources")

[[ $failures -eq 0 ]]
