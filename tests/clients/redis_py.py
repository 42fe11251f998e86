"""The conversation of tests/src/conversation.rs in Python, with redis-py's ordinary client."""

import itertools
import sys

import redis

MESSAGES = [("news", "hello"), *(("__job__:events", word) for word in ("pushed", "claimed", "acked"))]


def main(protocol: int, host: str, port: int) -> None:
    client = redis.Redis(
        host=host, port=port, protocol=protocol, client_name="conversation", decode_responses=True
    )

    assert client.ping()
    assert client.info()["redis_version"].startswith("7.2.")
    ok("connect")

    assert client.client_getname() == "conversation"
    assert client.client_info()["resp"] == str(protocol)
    ok("handshake")

    options = ("GROUP", "wiki", "PRIORITY", 5, "DEDUPE", "once", "STATUS")
    status, id = client.execute_command("QPUSH", "jobs", "hello", *options)
    assert status == "ready" and len(id) == 16, (status, id)
    assert client.execute_command("QPUSH", "jobs", "hello", *options) == ["duplicate", id]
    assert len(client.execute_command("QPUSH", "binary", b"\x00\r\n\xff")) == 16
    assert client.type("jobs") == "queue" and client.exists("jobs", "none") == 1
    ok("push")

    with client.pipeline(transaction=False) as pipeline:
        for n in range(100):
            pipeline.execute_command("QPUSH", "jobs", f"job {n}")
        *ids, ready = pipeline.execute_command("QLEN", "jobs").execute()
    assert len(set(ids)) == 100 and ready == 101, (ids, ready)
    ok("pipeline")

    # A pipeline is wrapped in MULTI and EXEC unless told otherwise.
    with client.pipeline() as pipeline:
        pipeline.execute_command("QPUSH", "jobs", "one")
        pipeline.execute_command("QPUSH", "other", "two")
        pipeline.execute_command("QLEN", "other")
        one, two, length = pipeline.execute()
    assert len(one) == len(two) == 16 and length == 1, (one, two, length)
    ok("transaction")

    jobs = client.execute_command("QCLAIM", "jobs", "COUNT", 200, "LEASE", 60000)
    payloads = ["hello", *(f"job {n}" for n in range(100)), "one"]
    assert [(queue, payload, attempt) for queue, _, payload, attempt in jobs] == [
        ("jobs", payload, 1) for payload in payloads
    ]
    ask("push jobs")
    [woken] = client.execute_command("QCLAIM", "jobs", "BLOCK", 0)
    assert woken[2] == "woken", woken
    assert client.execute_command("QCLAIM", "none") == []
    ok("claim")

    receipts = [receipt for _, receipt, _, _ in [*jobs, woken]]
    assert client.execute_command("QACK", "jobs", *receipts) == 103
    assert client.execute_command("QACK", "jobs", *receipts) == 0
    [[_, receipt, _, _]] = client.execute_command("QCLAIM", "other")
    nack = client.execute_command("QNACK", "other", receipt, "DELAY", 0, "ERROR", "not yet")
    assert nack == "retry", nack
    [[_, receipt, _, attempt, details]] = client.execute_command("QCLAIM", "other", "META")
    assert attempt == 2 and as_map(details)["last-error"] == "not yet", details
    assert client.execute_command("QACK", "other", receipt) == 1
    assert client.execute_command("QSTATS", "none") is None
    assert as_map(client.execute_command("QSTATS", "jobs"))["acked"] == 103
    ok("ack")

    client.execute_command("QPAUSE", "jobs", "PUSH")
    refused("PAUSED", client, "QPUSH", "jobs", "x")
    client.execute_command("QRESUME", "jobs")
    refused("wrong number of arguments for 'qpush' command", client, "QPUSH", "jobs")
    refused("BOGUS", client, "QPUSH", "jobs", "x", "BOGUS")
    refused("QPUSH", client, "EVAL", "return 1", 0)
    assert client.ping()
    ok("errors")

    with client.pipeline() as pipeline:
        pipeline.watch("watched")
        client.execute_command("QPUSH", "watched", "meanwhile")
        pipeline.multi()
        try:
            pipeline.execute_command("QPUSH", "watched", "never").execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("the watched queue changed, and EXEC did not see it")
        pipeline.watch("watched")
        pipeline.multi()
        assert len(pipeline.execute_command("QPUSH", "watched", "now").execute()) == 1
    assert client.execute_command("QLEN", "watched") == 2
    ok("watch")

    assert client.publish("nowhere", "hello") == 0
    with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("news", "__job__:events")
        ask("publish")
        messages = [
            (message["channel"], message["data"].split()[0])
            for message in itertools.islice(subscriber.listen(), 4)
        ]
    assert messages == MESSAGES, messages
    ok("subscribe")

    client.execute_command("QPUSH", "jobs", "kept")
    ask("restart")
    sys.stdin.readline()
    # redis-py sees the broken connection, makes a new one and sends the command there.
    [[_, receipt, payload, _]] = client.execute_command("QCLAIM", "jobs")
    assert payload == "kept" and client.execute_command("QACK", "jobs", receipt) == 1
    assert client.client_getname() == "conversation"
    ok("reconnect")

    client.close()


def refused(text: str, client: redis.Redis, *command) -> None:
    try:
        reply = client.execute_command(*command)
    except redis.ResponseError as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"{command} was answered {reply}")


def as_map(reply) -> dict:
    """A map comes as one on RESP3, as a flat list on RESP2."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def ok(step: str) -> None:
    print("ok", step, flush=True)


def ask(what: str) -> None:
    print("please", what, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
