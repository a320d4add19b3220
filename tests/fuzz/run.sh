#!/bin/bash
#
# run.sh - runs the fuzz targets of build/fuzz, two at a time, from the repository's root.
#
#   tests/fuzz/run.sh SECONDS REPORT [TARGET...]   each target for so long, a short one for a third; REPORT: a JUnit file
#   tests/fuzz/run.sh merge                        corpus/ anew: of what is in it, of the golden logs and of all that
#                                                  was found since (var/fuzz), the least that reaches as far
#
# What is found goes to var/fuzz/TARGET/, the input that breaks something to var/fuzz/TARGET-crash-..., -leak-,
# -timeout- or -oom-..., the output to var/fuzz/TARGET.log. Such an input goes into corpus/TARGET/ with the mending.

set -euo pipefail

programs=build/fuzz/tests/fuzz
found=var/fuzz
corpus=tests/fuzz/corpus

# An input may take 5 s and 1 GiB at most, and no allocation 512 MiB.
limits=(-timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=512)

short=" charset cipher jsontext statement " # soon know all their ways

all_targets()
{
    for source in tests/fuzz/fuzz_*.c; do
        source=${source##*/fuzz_}
        printf '%s\n' "${source%.c}"
    done
}

run_one() # target seconds
{
    local began=$SECONDS seconds=$2 status=0 say="ok" words=()

    [[ ! -e tests/fuzz/$1.dict ]] || words=("-dict=tests/fuzz/$1.dict")
    [[ $short != *" $1 "* ]] || seconds=$(((seconds + 2) / 3))
    mkdir -p "$found/$1" "$corpus/$1"
    "$programs/fuzz_$1" "${limits[@]}" "${words[@]}" -max_len=65536 -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$found/$1-" \
        "$found/$1" "$corpus/$1" >"$found/$1.log" 2>&1 || status=$?
    [[ $status -eq 0 ]] || say="FAILED ($status)"
    say+=", $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$1.log") inputs in $((SECONDS - began)) s"
    printf '%s: %s\n' "$1" "$say"
    printf '%s\n' "$status" >"$found/$1.status"
    [[ $status -eq 0 ]] || tail -n 40 "$found/$1.log"
}

report() # file target...
{
    local file=$1 failures=0 cases=""

    shift
    for target in "$@"; do
        if [[ $(cat "$found/$target.status" 2>/dev/null) == 0 ]]; then
            cases+="  <testcase classname=\"fuzz\" name=\"$target\"/>"$'\n'
        else
            failures=$((failures + 1))
            cases+="  <testcase classname=\"fuzz\" name=\"$target\"><failure message=\"see $found/$target.log\"/></testcase>"$'\n'
        fi
    done
    printf '<testsuite name="fuzz" tests="%d" failures="%d" errors="0" skipped="0">\n%s</testsuite>\n' \
        $# "$failures" "$cases" >"$file"
    [[ $failures -eq 0 ]]
}

run()
{
    local seconds=$1 file=$2 running=0

    shift 2
    if [[ $# -eq 0 ]]; then mapfile -t targets < <(all_targets); else targets=("$@"); fi
    mkdir -p "$found"
    printf '%s\n' "$$" >"$found/run.pid" # for who wants to stop it
    trap 'rm -f "$found/run.pid"' EXIT
    for target in "${targets[@]}"; do
        [[ -x $programs/fuzz_$target ]] || {
            printf 'there is no fuzz target %s; there are: %s\n' "$target" "$(all_targets | xargs)" >&2
            exit 2
        }
        rm -f "$found/$target.status"
    done
    for target in "${targets[@]}"; do
        if [[ $running -eq 2 ]]; then
            wait -n
            running=1
        fi
        run_one "$target" "$seconds" &
        running=$((running + 1))
    done
    wait
    report "$file" "${targets[@]}"
}

merge()
{
    local seeds=$found/seeds logs

    rm -rf "$seeds"
    mkdir -p "$seeds"
    mapfile -t logs < <(printf '%s\n' tests/golden/*.binlog | sed 's/\.binlog$//')
    "$programs/make_seeds" "$seeds" "${logs[@]}"
    mkdir -p "$seeds/config"
    # Without comments; and once more with each key that the example has in one.
    sed 's/ *#.*//; /^ *$/d' config/twinlog.conf.example >"$seeds/config/example"
    sed -E 's/^( *)# ( *(listen|ca|cert|key|notify|url|events|token_env) *=|\};)/\1\2/; s/(mode = )"off"/\1"verify_identity"/; s/ *#.*//; /^ *$/d' \
        config/twinlog.conf.example >"$seeds/config/every-key"
    for target in $(all_targets); do
        mkdir -p "$seeds/$target" "$found/$target" "$corpus/$target"
        rm -rf "$found/merged"
        mkdir -p "$found/merged"
        # What stands first is kept where others reach no further. Long inputs are for var/ alone.
        "$programs/fuzz_$target" "${limits[@]}" -max_len=8192 -use_counters=0 -merge=1 "$found/merged" \
            "$corpus/$target" "$seeds/$target" "$found/$target" >"$found/merge.log" 2>&1 || {
            tail -n 20 "$found/merge.log"
            exit 1
        }
        find "$corpus/$target" -type f ! -name 'regression-*' -delete
        find "$found/merged" -type f -exec cp -t "$corpus/$target" {} +
        printf '%s: %s inputs\n' "$target" "$(find "$corpus/$target" -type f | wc -l)"
    done
}

case ${1-} in
merge) merge ;;
[0-9]*) run "$@" ;;
*)
    sed -n '3,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
