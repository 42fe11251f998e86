"""The conversation of tests/src/conversation.rs in Python, with redis-py's asyncio client."""

import asyncio
import sys

import redis.asyncio as redis

MESSAGES = [("news", "hello"), *(("__job__:events", word) for word in ("pushed", "claimed", "acked"))]


async def main(protocol: int, host: str, port: int) -> None:
    client = redis.Redis(
        host=host, port=port, protocol=protocol, client_name="conversation", decode_responses=True
    )

    assert await client.ping()
    assert (await client.info())["redis_version"].startswith("7.2.")
    ok("connect")

    assert await client.client_getname() == "conversation"
    assert (await client.client_info())["resp"] == str(protocol)
    ok("handshake")

    options = ("GROUP", "wiki", "PRIORITY", 5, "DEDUPE", "once", "STATUS")
    status, id = await client.execute_command("QPUSH", "jobs", "hello", *options)
    assert status == "ready" and len(id) == 16, (status, id)
    assert await client.execute_command("QPUSH", "jobs", "hello", *options) == ["duplicate", id]
    assert len(await client.execute_command("QPUSH", "binary", b"\x00\r\n\xff")) == 16
    assert await client.type("jobs") == "queue" and await client.exists("jobs", "none") == 1
    ok("push")

    async with client.pipeline(transaction=False) as pipeline:
        for n in range(100):
            pipeline.execute_command("QPUSH", "jobs", f"job {n}")
        *ids, ready = await pipeline.execute_command("QLEN", "jobs").execute()
    assert len(set(ids)) == 100 and ready == 101, (ids, ready)
    ok("pipeline")

    # A pipeline is wrapped in MULTI and EXEC unless told otherwise.
    async with client.pipeline() as pipeline:
        pipeline.execute_command("QPUSH", "jobs", "one")
        pipeline.execute_command("QPUSH", "other", "two")
        pipeline.execute_command("QLEN", "other")
        one, two, length = await pipeline.execute()
    assert len(one) == len(two) == 16 and length == 1, (one, two, length)
    ok("transaction")

    jobs = await client.execute_command("QCLAIM", "jobs", "COUNT", 200, "LEASE", 60000)
    payloads = ["hello", *(f"job {n}" for n in range(100)), "one"]
    assert [(queue, payload, attempt) for queue, _, payload, attempt in jobs] == [
        ("jobs", payload, 1) for payload in payloads
    ]
    # While this claim blocks, the event loop and another connection of the pool go on.
    claim = asyncio.create_task(client.execute_command("QCLAIM", "jobs", "BLOCK", 0))
    ask("push jobs")
    assert await client.echo("meanwhile") == "meanwhile"
    [woken] = await claim
    assert woken[2] == "woken", woken
    assert await client.execute_command("QCLAIM", "none") == []
    ok("claim")

    receipts = [receipt for _, receipt, _, _ in [*jobs, woken]]
    assert await client.execute_command("QACK", "jobs", *receipts) == 103
    assert await client.execute_command("QACK", "jobs", *receipts) == 0
    [[_, receipt, _, _]] = await client.execute_command("QCLAIM", "other")
    nack = await client.execute_command("QNACK", "other", receipt, "DELAY", 0, "ERROR", "not yet")
    assert nack == "retry", nack
    [[_, receipt, _, attempt, details]] = await client.execute_command("QCLAIM", "other", "META")
    assert attempt == 2 and as_map(details)["last-error"] == "not yet", details
    assert await client.execute_command("QACK", "other", receipt) == 1
    assert await client.execute_command("QSTATS", "none") is None
    assert as_map(await client.execute_command("QSTATS", "jobs"))["acked"] == 103
    ok("ack")

    await client.execute_command("QPAUSE", "jobs", "PUSH")
    await refused("PAUSED", client, "QPUSH", "jobs", "x")
    await client.execute_command("QRESUME", "jobs")
    await refused("wrong number of arguments for 'qpush' command", client, "QPUSH", "jobs")
    await refused("BOGUS", client, "QPUSH", "jobs", "x", "BOGUS")
    await refused("QPUSH", client, "EVAL", "return 1", 0)
    assert await client.ping()
    ok("errors")

    async with client.pipeline() as pipeline:
        await pipeline.watch("watched")
        await client.execute_command("QPUSH", "watched", "meanwhile")
        pipeline.multi()
        try:
            await pipeline.execute_command("QPUSH", "watched", "never").execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("the watched queue changed, and EXEC did not see it")
        await pipeline.watch("watched")
        pipeline.multi()
        assert len(await pipeline.execute_command("QPUSH", "watched", "now").execute()) == 1
    assert await client.execute_command("QLEN", "watched") == 2
    ok("watch")

    assert await client.publish("nowhere", "hello") == 0
    async with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe("news", "__job__:events")
        ask("publish")
        messages = []
        async for message in subscriber.listen():
            messages.append((message["channel"], message["data"].split()[0]))
            if len(messages) == 4:
                break
    assert messages == MESSAGES, messages
    ok("subscribe")

    await client.execute_command("QPUSH", "jobs", "kept")
    ask("restart")
    await asyncio.to_thread(sys.stdin.readline)
    # redis-py sees the broken connection, makes a new one and sends the command there.
    [[_, receipt, payload, _]] = await client.execute_command("QCLAIM", "jobs")
    assert payload == "kept" and await client.execute_command("QACK", "jobs", receipt) == 1
    assert await client.client_getname() == "conversation"
    ok("reconnect")

    await client.aclose()


async def refused(text: str, client: redis.Redis, *command) -> None:
    try:
        reply = await client.execute_command(*command)
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
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
