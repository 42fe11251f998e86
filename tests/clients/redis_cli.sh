#!/usr/bin/env bash
# The conversation of tests/src/conversation.rs with one redis-cli that reads its commands from a pipe.
set -euo pipefail

protocol=$1 host=$2 port=$3
coproc CLI { redis-cli "-$protocol" -h "$host" -p "$port"; }
ok() { echo "ok $1"; }
ask() { echo "please $1"; }

# call COMMAND...: sends lines, and sets the array `reply` to the lines that answer them.
call() {
    printf '%s\n' "$@" 'ECHO end-of-reply' >&"${CLI[1]}"
    reply=()
    local line
    while IFS= read -r line <&"${CLI[0]}" && [ "$line" != end-of-reply ]; do
        reply+=("$line")
    done
}

# check WHAT-CAME WHAT-SHOULD
check() {
    # shellcheck disable=SC2053 # it is a pattern
    [[ $1 == $2 ]] || { echo "not '$2' but '$1'" >&2; exit 1; }
}

# expect PATTERN COMMAND...: the lines of the reply, joined by blanks, match.
expect() {
    call "${@:2}"
    check "${reply[*]}" "$1"
}

# refused TEXT COMMAND: an error is a line and an empty one.
refused() {
    call "$2"
    check "${reply[0]}" "$1"
    check "${#reply[@]}" 2
}

id=$(printf '[0-9a-f]%.0s' {1..16})

expect PONG PING
expect '*redis_version:7.2.*' INFO
ok connect

expect OK 'CLIENT SETNAME conversation'
expect conversation 'CLIENT GETNAME'
expect "* resp=$protocol*" 'CLIENT INFO'
ok handshake

once='QPUSH jobs hello GROUP wiki PRIORITY 5 DEDUPE once STATUS'
expect "ready $id" "$once"
expect "duplicate ${reply[1]}" "$once"
expect "$id" 'QPUSH binary "\x00\r\n\xff"'
expect queue 'TYPE jobs'
expect 1 'EXISTS jobs none'
ok push

mapfile -t pushes < <(printf 'QPUSH jobs "job %d"\n' {0..99})
call "${pushes[@]}" 'QLEN jobs'
check "$(printf '%s\n' "${reply[@]:0:100}" | sort -u | wc -l) ${reply[100]}" '100 101'
ok pipeline

expect "OK QUEUED QUEUED QUEUED $id $id 1" MULTI 'QPUSH jobs one' 'QPUSH other two' 'QLEN other' EXEC
ok transaction

# A job is four lines: queue, receipt, payload, attempt.
call 'QCLAIM jobs COUNT 200 LEASE 60000'
jobs=("${reply[@]}")
check "${#jobs[@]} ${jobs[2]} ${jobs[6]} ${jobs[402]} ${jobs[406]}" '408 hello job 0 job 99 one'
ask 'push jobs'
expect "jobs $id-* woken 1" 'QCLAIM jobs BLOCK 0'
jobs+=("${reply[@]}")
expect '' 'QCLAIM none'
ok claim

receipts=$(printf '%s\n' "${jobs[@]}" | sed -n '2~4p' | tr '\n' ' ')
expect 103 "QACK jobs $receipts"
expect 0 "QACK jobs $receipts"
expect "other $id-* two 1" 'QCLAIM other'
expect retry "QNACK other ${reply[1]} DELAY 0 ERROR \"not yet\""
expect 'other * two 2 *last-error not yet*' 'QCLAIM other META'
expect 1 "QACK other ${reply[1]}"
expect '' 'QSTATS none'
expect '* acked 103 *' 'QSTATS jobs'
ok ack

expect OK 'QPAUSE jobs PUSH'
refused 'PAUSED *' 'QPUSH jobs x'
expect OK 'QRESUME jobs'
refused "*wrong number of arguments for 'qpush' command" 'QPUSH jobs'
refused '*BOGUS*' 'QPUSH jobs x BOGUS'
refused '*QPUSH*' 'EVAL "return 1" 0'
expect PONG PING
ok errors

# What the very connection that watches changes counts, too. EXEC answers nil then, which is an empty line.
expect "OK $id OK QUEUED " 'WATCH watched' 'QPUSH watched meanwhile' MULTI 'QPUSH watched never' EXEC
expect "OK OK QUEUED $id" 'WATCH watched' MULTI 'QPUSH watched now' EXEC
expect 2 'QLEN watched'
ok watch

expect 0 'PUBLISH nowhere hello'
# Two subscriptions and four messages, each of three lines; from then on it would only wait.
exec {messages}< <(exec redis-cli "-$protocol" -h "$host" -p "$port" SUBSCRIBE news __job__:events)
subscriber=$!
ask publish
mapfile -t -n 18 -u "$messages" lines
kill "$subscriber"
check "${lines[*]:6}" 'message news hello message __job__:events pushed* message __job__:events claimed* message __job__:events acked*'
ok subscribe

expect "$id" 'QPUSH jobs kept'
ask restart
read -r _
# The command that met the broken connection is said to have failed; the next one makes a new connection.
expect '' PING
expect "jobs $id-* kept 1" 'QCLAIM jobs'
expect 1 "QACK jobs ${reply[-3]}"
ok reconnect
