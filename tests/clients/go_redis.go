// The conversation of tests/src/conversation.rs in Go, with go-redis.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"gopkg.in/redis.v5"
)

var client *redis.Client

func main() {
	client = redis.NewClient(&redis.Options{
		Addr: os.Args[1] + ":" + os.Args[2],
		// A claim that blocks may wait as long as it likes.
		ReadTimeout: -1,
		// A command that met a broken connection is sent again on a new one.
		MaxRetries: 1,
	})
	defer client.Close()
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
	check(client.Ping().Val() == "PONG")
	check(strings.Contains(client.Info().Val(), "\r\nredis_version:7.2."))
	ok("connect")

	_, err := client.Pipelined(func(pipe *redis.Pipeline) error {
		pipe.ClientSetName("conversation")
		return nil
	})
	check(err == nil)
	check(text(call("CLIENT", "GETNAME")) == "conversation")
	ok("handshake")
}

func push() {
	once := words("QPUSH jobs hello GROUP wiki PRIORITY 5 DEDUPE once STATUS")
	first := list(call(once...))
	check(first[0] == "ready" && len(first[1].(string)) == 16)
	second := list(call(once...))
	check(second[0] == "duplicate" && second[1] == first[1])
	check(len(text(call("QPUSH", "binary", []byte{0x00, '\r', '\n', 0xff}))) == 16)
	check(client.Type("jobs").Val() == "queue")
	check(client.ExistsMulti("jobs", "none").Val() == 1)
	ok("push")
}

func pipeline() {
	pipe := client.Pipeline()
	pushes := make([]*redis.Cmd, 100)
	for n := range pushes {
		pushes[n] = redis.NewCmd("QPUSH", "jobs", fmt.Sprintf("job %d", n))
		pipe.Process(pushes[n])
	}
	ready := redis.NewCmd("QLEN", "jobs")
	pipe.Process(ready)
	_, err := pipe.Exec()
	check(err == nil)
	ids := map[string]bool{}
	for _, push := range pushes {
		ids[text(push.Val())] = true
	}
	check(len(ids) == 100 && ready.Val() == int64(101))
	ok("pipeline")
}

func transaction() {
	one := redis.NewCmd("QPUSH", "jobs", "one")
	two := redis.NewCmd("QPUSH", "other", "two")
	length := redis.NewCmd("QLEN", "other")
	_, err := client.TxPipelined(func(pipe *redis.Pipeline) error {
		pipe.Process(one)
		pipe.Process(two)
		pipe.Process(length)
		return nil
	})
	check(err == nil)
	check(len(text(one.Val())) == 16 && len(text(two.Val())) == 16 && length.Val() == int64(1))
	ok("transaction")
}

func claimAndAck() {
	jobs := list(call("QCLAIM", "jobs", "COUNT", 200, "LEASE", 60000))
	payloads := []string{"hello"}
	for n := 0; n < 100; n++ {
		payloads = append(payloads, fmt.Sprintf("job %d", n))
	}
	payloads = append(payloads, "one")
	check(len(jobs) == len(payloads))
	for i, payload := range payloads {
		job := list(jobs[i])
		check(job[0] == "jobs" && job[2] == payload && job[3] == int64(1))
	}
	ask("push jobs")
	woken := list(call("QCLAIM", "jobs", "BLOCK", 0))
	check(list(woken[0])[2] == "woken")
	check(len(list(call("QCLAIM", "none"))) == 0)
	ok("claim")

	ack := words("QACK jobs")
	for _, job := range append(jobs, woken...) {
		ack = append(ack, list(job)[1])
	}
	check(call(ack...) == int64(103))
	check(call(ack...) == int64(0))
	job := list(list(call("QCLAIM", "other"))[0])
	check(call("QNACK", "other", job[1], "DELAY", 0, "ERROR", "not yet") == "retry")
	job = list(list(call("QCLAIM", "other", "META"))[0])
	check(job[3] == int64(2) && field(job[4], "last-error") == "not yet")
	check(call("QACK", "other", job[1]) == int64(1))
	_, err := try("QSTATS", "none")
	check(err == redis.Nil)
	check(field(call("QSTATS", "jobs"), "acked") == int64(103))
	ok("ack")
}

func errors() {
	call("QPAUSE", "jobs", "PUSH")
	check(strings.HasPrefix(refused("QPUSH", "jobs", "x"), "PAUSED "))
	call("QRESUME", "jobs")
	check(strings.Contains(refused("QPUSH", "jobs"), "wrong number of arguments for 'qpush' command"))
	check(strings.Contains(refused("QPUSH", "jobs", "x", "BOGUS"), "BOGUS"))
	check(strings.Contains(refused("EVAL", "return 1", 0), "QPUSH"))
	check(client.Ping().Val() == "PONG")
	ok("errors")
}

func watch() {
	pushWatched := func(payload string, meanwhile bool) error {
		return client.Watch(func(tx *redis.Tx) error {
			if meanwhile {
				call("QPUSH", "watched", "meanwhile")
			}
			_, err := tx.Pipelined(func(pipe *redis.Pipeline) error {
				return pipe.Process(redis.NewCmd("QPUSH", "watched", payload))
			})
			return err
		}, "watched")
	}
	check(pushWatched("never", true) == redis.TxFailedErr)
	check(pushWatched("now", false) == nil)
	check(call("QLEN", "watched") == int64(2))
	ok("watch")
}

func subscribe() {
	check(client.Publish("nowhere", "hello").Val() == 0)
	subscription, err := client.Subscribe("news", "__job__:events")
	check(err == nil)
	defer subscription.Close()
	ask("publish")
	for _, expected := range []string{
		"news hello", "__job__:events pushed", "__job__:events claimed", "__job__:events acked",
	} {
		message, err := subscription.ReceiveMessage()
		check(err == nil)
		check(message.Channel+" "+strings.Fields(message.Payload)[0] == expected)
	}
	ok("subscribe")
}

func reconnect() {
	call("QPUSH", "jobs", "kept")
	ask("restart")
	bufio.NewReader(os.Stdin).ReadString('\n')
	job := list(list(call("QCLAIM", "jobs"))[0])
	check(job[2] == "kept" && call("QACK", "jobs", job[1]) == int64(1))
	ok("reconnect")
}

func try(command ...interface{}) (interface{}, error) {
	cmd := redis.NewCmd(command...)
	client.Process(cmd)
	return cmd.Result()
}

func call(command ...interface{}) interface{} {
	reply, err := try(command...)
	if err != nil {
		panic(fmt.Sprint(command, ": ", err))
	}
	return reply
}

// refused is the message of a command's error; one of the network would be another type.
func refused(command ...interface{}) string {
	_, err := try(command...)
	check(fmt.Sprintf("%T", err) == "internal.RedisError")
	return err.Error()
}

func words(text string) []interface{} {
	var words []interface{}
	for _, word := range strings.Fields(text) {
		words = append(words, word)
	}
	return words
}

func list(reply interface{}) []interface{} { return reply.([]interface{}) }

func text(reply interface{}) string { return reply.(string) }

// field looks into a map, which is a flat list on RESP2.
func field(reply interface{}, name string) interface{} {
	flat := list(reply)
	for i := 0; i+1 < len(flat); i += 2 {
		if flat[i] == name {
			return flat[i+1]
		}
	}
	panic("there is no field " + name)
}

func check(condition bool) {
	if !condition {
		panic("not what was expected")
	}
}

func ok(step string) { fmt.Println("ok", step) }

func ask(what string) { fmt.Println("please", what) }
