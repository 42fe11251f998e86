// The conversation of tests/src/conversation.rs in Go, with Redigo.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// The pool makes a connection where it has none, and tries one that has rested before it gives it out.
var pool *redis.Pool

func main() {
	address := os.Args[1] + ":" + os.Args[2]
	pool = &redis.Pool{
		MaxIdle: 2,
		Dial: func() (redis.Conn, error) {
			return redis.Dial("tcp", address, redis.DialClientName("conversation"))
		},
		TestOnBorrow: func(conn redis.Conn, _ time.Time) error {
			_, err := conn.Do("PING")
			return err
		},
	}
	defer pool.Close()
	connect()
	push()
	pipeline()
	transaction()
	claimAndAck()
	errors()
	watch()
	subscribe()
	reconnect()
}

func connect() {
	check(text(call("PING")) == "PONG")
	check(strings.Contains(text(call("INFO")), "\r\nredis_version:7.2."))
	ok("connect")

	check(text(call("CLIENT", "GETNAME")) == "conversation")
	ok("handshake")
}

func push() {
	once := redis.Args{"jobs", "hello", "GROUP", "wiki", "PRIORITY", 5, "DEDUPE", "once", "STATUS"}
	first, err := redis.Strings(call("QPUSH", once...), nil)
	check(err == nil && first[0] == "ready" && len(first[1]) == 16)
	second, err := redis.Strings(call("QPUSH", once...), nil)
	check(err == nil && second[0] == "duplicate" && second[1] == first[1])
	check(len(text(call("QPUSH", "binary", []byte{0x00, '\r', '\n', 0xff}))) == 16)
	check(text(call("TYPE", "jobs")) == "queue")
	check(integer(call("EXISTS", "jobs", "none")) == 1)
	ok("push")
}

func pipeline() {
	conn := pool.Get()
	defer conn.Close()
	for n := 0; n < 100; n++ {
		check(conn.Send("QPUSH", "jobs", fmt.Sprintf("job %d", n)) == nil)
	}
	check(conn.Send("QLEN", "jobs") == nil)
	// Do without a command flushes and reads every reply that is due.
	replies, err := redis.Values(conn.Do(""))
	check(err == nil && len(replies) == 101)
	ids := map[string]bool{}
	for _, reply := range replies[:100] {
		ids[text(reply)] = true
	}
	check(len(ids) == 100 && integer(replies[100]) == 101)
	ok("pipeline")
}

func transaction() {
	conn := pool.Get()
	defer conn.Close()
	conn.Send("MULTI")
	conn.Send("QPUSH", "jobs", "one")
	conn.Send("QPUSH", "other", "two")
	conn.Send("QLEN", "other")
	replies, err := redis.Values(conn.Do("EXEC"))
	check(err == nil)
	check(len(text(replies[0])) == 16 && len(text(replies[1])) == 16 && integer(replies[2]) == 1)
	ok("transaction")
}

// job is what a claim hands out.
type job struct {
	queue, receipt, payload string
	attempt                 int
	details                 map[string]string
}

func claim(args ...interface{}) []job {
	replies, err := redis.Values(call("QCLAIM", args...), nil)
	check(err == nil)
	jobs := make([]job, len(replies))
	for i, reply := range replies {
		fields, err := redis.Values(reply, nil)
		check(err == nil)
		_, err = redis.Scan(fields, &jobs[i].queue, &jobs[i].receipt, &jobs[i].payload, &jobs[i].attempt)
		check(err == nil)
		if len(fields) > 4 {
			// RESP2 has no maps: one comes as a flat list.
			jobs[i].details = map[string]string{}
			flat := fields[4].([]interface{})
			for at := 0; at < len(flat); at += 2 {
				jobs[i].details[text(flat[at])] = fmt.Sprintf("%s", flat[at+1])
			}
		}
	}
	return jobs
}

func claimAndAck() {
	jobs := claim("jobs", "COUNT", 200, "LEASE", 60000)
	payloads := []string{"hello"}
	for n := 0; n < 100; n++ {
		payloads = append(payloads, fmt.Sprintf("job %d", n))
	}
	payloads = append(payloads, "one")
	check(len(jobs) == len(payloads))
	for i, payload := range payloads {
		check(jobs[i].queue == "jobs" && jobs[i].payload == payload && jobs[i].attempt == 1)
	}
	ask("push jobs")
	woken := claim("jobs", "BLOCK", 0)
	check(len(woken) == 1 && woken[0].payload == "woken")
	check(len(claim("none")) == 0)
	ok("claim")

	ack := redis.Args{"jobs"}
	for _, job := range append(jobs, woken...) {
		ack = ack.Add(job.receipt)
	}
	check(integer(call("QACK", ack...)) == 103)
	check(integer(call("QACK", ack...)) == 0)
	other := claim("other")
	check(text(call("QNACK", "other", other[0].receipt, "DELAY", 0, "ERROR", "not yet")) == "retry")
	other = claim("other", "META")
	check(other[0].attempt == 2 && other[0].details["last-error"] == "not yet")
	check(integer(call("QACK", "other", other[0].receipt)) == 1)
	check(call("QSTATS", "none") == nil)
	stats := call("QSTATS", "jobs").([]interface{})
	check(len(stats)%2 == 0)
	for at := 0; at < len(stats); at += 2 {
		check(text(stats[at]) != "acked" || integer(stats[at+1]) == 103)
	}
	ok("ack")
}

func errors() {
	call("QPAUSE", "jobs", "PUSH")
	check(strings.HasPrefix(refused("QPUSH", "jobs", "x"), "PAUSED "))
	call("QRESUME", "jobs")
	check(strings.Contains(refused("QPUSH", "jobs"), "wrong number of arguments for 'qpush' command"))
	check(strings.Contains(refused("QPUSH", "jobs", "x", "BOGUS"), "BOGUS"))
	check(strings.Contains(refused("EVAL", "return 1", 0), "QPUSH"))
	check(text(call("PING")) == "PONG")
	ok("errors")
}

func watch() {
	conn := pool.Get()
	defer conn.Close()
	pushWatched := func(payload string, meanwhile bool) interface{} {
		conn.Send("WATCH", "watched")
		check(conn.Flush() == nil)
		_, err := conn.Receive()
		check(err == nil)
		if meanwhile {
			call("QPUSH", "watched", "meanwhile")
		}
		conn.Send("MULTI")
		conn.Send("QPUSH", "watched", payload)
		reply, err := conn.Do("EXEC")
		check(err == nil)
		return reply
	}
	check(pushWatched("never", true) == nil)
	check(len(pushWatched("now", false).([]interface{})) == 1)
	check(integer(call("QLEN", "watched")) == 2)
	ok("watch")
}

func subscribe() {
	check(integer(call("PUBLISH", "nowhere", "hello")) == 0)
	subscriber := redis.PubSubConn{Conn: pool.Get()}
	defer subscriber.Close()
	check(subscriber.Subscribe("news", "__job__:events") == nil)
	ask("publish")
	var messages []string
	for len(messages) < 4 {
		switch message := subscriber.Receive().(type) {
		case redis.Message:
			messages = append(messages, message.Channel+" "+strings.Fields(string(message.Data))[0])
		case redis.Subscription:
		case error:
			panic(message)
		}
	}
	check(strings.Join(messages, ", ") ==
		"news hello, __job__:events pushed, __job__:events claimed, __job__:events acked")
	ok("subscribe")
}

func reconnect() {
	call("QPUSH", "jobs", "kept")
	ask("restart")
	bufio.NewReader(os.Stdin).ReadString('\n')
	jobs := claim("jobs")
	check(jobs[0].payload == "kept" && integer(call("QACK", "jobs", jobs[0].receipt)) == 1)
	check(text(call("CLIENT", "GETNAME")) == "conversation")
	ok("reconnect")
}

// call sends a command on a connection of the pool.
func call(command string, args ...interface{}) interface{} {
	conn := pool.Get()
	defer conn.Close()
	reply, err := conn.Do(command, args...)
	if err != nil {
		panic(fmt.Sprint(command, " ", args, ": ", err))
	}
	return reply
}

// refused is the message of a command's error; one of the network would be another type.
func refused(command string, args ...interface{}) string {
	conn := pool.Get()
	defer conn.Close()
	_, err := conn.Do(command, args...)
	return string(err.(redis.Error))
}

func text(reply interface{}) string {
	text, err := redis.String(reply, nil)
	check(err == nil)
	return text
}

func integer(reply interface{}) int64 {
	number, err := redis.Int64(reply, nil)
	check(err == nil)
	return number
}

func check(condition bool) {
	if !condition {
		panic("not what was expected")
	}
}

func ok(step string) { fmt.Println("ok", step) }

func ask(what string) { fmt.Println("please", what) }
