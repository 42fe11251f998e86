#!/bin/sh
# The conversation of tests/src/conversation.rs in a shell script: one redis-cli a command.
set -eu

host=$1 port=$2
cli() { redis-cli -h "$host" -p "$port" "$@"; }
ok() { echo "ok $1"; }
ask() { echo "please $1"; }

# check WHAT-CAME WHAT-SHOULD
check() {
    case $1 in
        $2) ;;
        *) echo "not '$2' but '$1'" >&2; exit 1 ;;
    esac
}

# refused PATTERN COMMAND...: with -e an error is told by the exit code.
refused() {
    pattern=$1; shift
    if said=$(cli -e "$@" 2>&1); then
        echo "$*: not refused but '$said'" >&2; exit 1
    fi
    check "$said" "$pattern"
}

# field NAME: the line after the name, of a map that comes as a flat list.
field() { sed -n "/^$1\$/{n;p;}"; }

id='[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
line_end='
'

check "$(cli PING)" PONG
check "$(cli INFO)" '*redis_version:7.2.*'
ok connect

check "$(cli -3 HELLO 3 SETNAME conversation)" '*proto 3*'
ok handshake

once='GROUP wiki PRIORITY 5 DEDUPE once STATUS'
# shellcheck disable=SC2086 # the options are words
first=$(cli QPUSH jobs hello $once)
check "$first" "ready$line_end$id"
# shellcheck disable=SC2086
check "$(cli QPUSH jobs hello $once)" "duplicate$line_end${first#ready?}"
# With -x the last word comes from standard input, whatever its bytes are.
check "$(printf '\000\r\n\377' | cli -x QPUSH binary)" "$id"
check "$(cli TYPE jobs)" queue
check "$(cli EXISTS jobs none)" 1
ok push

pushes=$(seq 0 99 | sed 's/.*/QPUSH jobs "job &"/' | cli --pipe)
check "$pushes" '*errors: 0, replies: 100'
check "$(cli QLEN jobs)" 101
ok pipeline

transaction=$(printf '%s\n' MULTI 'QPUSH jobs one' 'QPUSH other two' 'QLEN other' EXEC | cli | tr '\n' ' ')
check "$transaction" "OK QUEUED QUEUED QUEUED $id $id 1 "
ok transaction

# A job is four lines: queue, receipt, payload, attempt.
jobs=$(cli QCLAIM jobs COUNT 200 LEASE 60000)
payloads=$(echo "$jobs" | sed -n '3~4p')
check "$payloads" "hello$line_end$(seq -f 'job %g' 0 99)${line_end}one"
check "$(echo "$jobs" | sed -n '4~4p' | sort -u)" 1
ask 'push jobs'
woken=$(cli QCLAIM jobs BLOCK 0)
check "$woken" "jobs$line_end$id-*${line_end}woken${line_end}1"
check "$(cli QCLAIM none)" ''
ok claim

receipts=$(printf '%s\n' "$jobs" "$woken" | sed -n '2~4p')
# shellcheck disable=SC2086
check "$(cli QACK jobs $receipts)" 103
# shellcheck disable=SC2086
check "$(cli QACK jobs $receipts)" 0
receipt=$(cli QCLAIM other | sed -n 2p)
check "$(cli QNACK other "$receipt" DELAY 0 ERROR 'not yet')" retry
again=$(cli QCLAIM other META)
check "$(echo "$again" | sed -n 4p)" 2
check "$(echo "$again" | field last-error)" 'not yet'
check "$(cli QACK other "$(echo "$again" | sed -n 2p)")" 1
check "$(cli QSTATS none)" ''
check "$(cli QSTATS jobs | field acked)" 103
ok ack

check "$(cli QPAUSE jobs PUSH)" OK
refused 'PAUSED *' QPUSH jobs x
check "$(cli QRESUME jobs)" OK
refused "*wrong number of arguments for 'qpush' command*" QPUSH jobs
refused '*BOGUS*' QPUSH jobs x BOGUS
refused '*QPUSH*' EVAL 'return 1' 0
check "$(cli PING)" PONG
ok errors

# What the very connection that watches changes counts, too. EXEC answers nothing then.
watched() { printf '%s\n' 'WATCH watched' "$@" | cli | tr '\n' ' '; }
check "$(watched 'QPUSH watched meanwhile' MULTI 'QPUSH watched never' EXEC)" "OK $id OK QUEUED  "
check "$(watched MULTI 'QPUSH watched now' EXEC)" "OK OK QUEUED $id "
check "$(cli QLEN watched)" 2
ok watch

check "$(cli PUBLISH nowhere hello)" 0
pipe=$(mktemp -u)
mkfifo "$pipe"
cli SUBSCRIBE news __job__:events >"$pipe" &
ask publish
# Two subscriptions and four messages, each of three lines.
messages=$(head -n 18 <"$pipe" | tail -n 12 | tr '\n' ' ')
kill $!
rm "$pipe"
check "$messages" "message news hello message __job__:events pushed* message __job__:events claimed* message __job__:events acked*"
ok subscribe

check "$(cli QPUSH jobs kept)" "$id"
ask restart
read -r _
# Each command is a connection of its own: there is nothing to make anew.
kept=$(cli QCLAIM jobs)
check "$(echo "$kept" | sed -n 3p)" kept
check "$(cli QACK jobs "$(echo "$kept" | sed -n 2p)")" 1
ok reconnect
