"""What a Python program does with redis-py: no part of it knows that this is not Redis."""

import sys

import redis


def main(port: int) -> None:
    for protocol in (2, 3):
        client = redis.Redis(port=port, protocol=protocol, decode_responses=True, client_name="e2e")
        session(client)
        client.close()
    print("ok")


def session(client: redis.Redis) -> None:
    assert client.ping()
    assert client.info()["redis_version"].startswith("7.2")
    assert client.client_getname() == "e2e"

    # One job, plain.
    job_id = client.execute_command("QPUSH", "py", "hello", "GROUP", "wiki")
    assert len(job_id) == 16, job_id
    assert client.exists("py") == 1
    assert client.type("py") == "queue"
    [[queue, receipt, payload, attempt]] = client.execute_command("QCLAIM", "py", "BLOCK", 1000)
    assert (queue, payload, attempt) == ("py", "hello", 1)
    assert client.execute_command("QACK", "py", receipt) == 1

    # A pipeline with a transaction, which is redis-py's default, and one without.
    for transaction in (True, False):
        with client.pipeline(transaction=transaction) as pipeline:
            for i in range(100):
                pipeline.execute_command("QPUSH", "py", f"job {i}")
            pipeline.execute_command("QLEN", "py")
            *ids, ready = pipeline.execute()
        assert len(set(ids)) == 100 and ready == 100, (ids, ready)
        jobs = client.execute_command("QCLAIM", "py", "COUNT", 100)
        assert [job[2] for job in jobs] == [f"job {i}" for i in range(100)], jobs
        assert client.execute_command("QACK", "py", *[job[1] for job in jobs]) == 100

    # A mistake is an exception that says so.
    try:
        client.execute_command("QPUSH", "py", "x", "BOGUS")
    except redis.ResponseError as error:
        assert "BOGUS" in str(error), error
    else:
        raise AssertionError("QPUSH with an unknown option was accepted")
    try:
        client.eval("return 1", 0)
    except redis.ResponseError as error:
        assert "QPUSH" in str(error), error
    else:
        raise AssertionError("EVAL was accepted")

    # A second connection of the pool waits while the first one pushes.
    blocked = client.client()
    blocked.connection.send_command("QCLAIM", "py", "BLOCK", 0)
    client.execute_command("QPUSH", "py", "woken")
    [[_, receipt, payload, _]] = blocked.connection.read_response()
    assert payload == "woken"
    assert client.execute_command("QACK", "py", receipt) == 1
    blocked.close()
    assert "py" in list(client.scan_iter(match="p*"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
