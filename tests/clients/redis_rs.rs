//! The conversation of tests/src/conversation.rs in Rust, with redis-rs.

#![expect(clippy::print_stdout, reason = "what it prints is its half of the conversation")]

use std::collections::HashMap;
use std::error::Error;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Value, cmd};

/// Queue, receipt, payload, attempt.
type Job = (String, String, String, u32);
type Done = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let words: Vec<String> = std::env::args().collect();
    let [_, protocol, host, port] = words.as_slice() else { return Err("PROTOCOL HOST PORT".into()) };
    let client = redis::Client::open(format!("redis://{host}:{port}/?protocol=resp{protocol}"))?;
    // A claim that blocks may wait as long as it likes; the default is half a second.
    let config = ConnectionManagerConfig::new().set_response_timeout(None);
    let mut talk = Talk { connection: client.get_connection_manager_with_config(config).await? };

    talk.connect().await?;
    talk.push().await?;
    talk.pipeline().await?;
    talk.transaction().await?;
    talk.claim_and_ack().await?;
    talk.errors().await?;
    talk.watch().await?;
    talk.subscribe(&client).await?;
    talk.reconnect().await
}

struct Talk {
    connection: ConnectionManager,
}

impl Talk {
    async fn call<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        command.query_async(&mut self.connection).await
    }

    async fn connect(&mut self) -> Done {
        assert_eq!(self.call::<String>(&cmd("PING")).await?, "PONG");
        let info: String = self.call(&cmd("INFO")).await?;
        assert!(info.contains("\r\nredis_version:7.2."), "{info}");
        ok("connect");

        let () = self.call(cmd("CLIENT").arg("SETNAME").arg("conversation")).await?;
        assert_eq!(self.call::<String>(cmd("CLIENT").arg("GETNAME")).await?, "conversation");
        ok("handshake");
        Ok(())
    }

    async fn push(&mut self) -> Done {
        let mut once = cmd("QPUSH");
        once.arg("jobs").arg("hello").arg("GROUP").arg("wiki").arg("PRIORITY").arg(5);
        once.arg("DEDUPE").arg("once").arg("STATUS");
        let (status, id): (String, String) = self.call(&once).await?;
        assert_eq!((status.as_str(), id.len()), ("ready", 16));
        let again: (String, String) = self.call(&once).await?;
        assert_eq!(again, ("duplicate".to_owned(), id));
        let id: String = self.call(cmd("QPUSH").arg("binary").arg(b"\x00\r\n\xff")).await?;
        assert_eq!(id.len(), 16);
        assert_eq!(self.call::<String>(cmd("TYPE").arg("jobs")).await?, "queue");
        assert_eq!(self.call::<u32>(cmd("EXISTS").arg("jobs").arg("none")).await?, 1);
        ok("push");
        Ok(())
    }

    async fn pipeline(&mut self) -> Done {
        let mut pipeline = redis::pipe();
        for n in 0..100 {
            pipeline.cmd("QPUSH").arg("jobs").arg(format!("job {n}"));
        }
        pipeline.cmd("QLEN").arg("jobs");
        let mut replies: Vec<Value> = pipeline.query_async(&mut self.connection).await?;
        assert_eq!(replies.pop(), Some(Value::Int(101)));
        let mut ids: Vec<String> = redis::from_redis_value(Value::Array(replies))?;
        ids.dedup();
        assert_eq!(ids.len(), 100);
        ok("pipeline");
        Ok(())
    }

    async fn transaction(&mut self) -> Done {
        let mut transaction = redis::pipe();
        transaction.atomic().cmd("QPUSH").arg("jobs").arg("one").cmd("QPUSH").arg("other").arg("two");
        transaction.cmd("QLEN").arg("other");
        let (one, two, length): (String, String, u32) = transaction.query_async(&mut self.connection).await?;
        assert_eq!((one.len(), two.len(), length), (16, 16, 1));
        ok("transaction");
        Ok(())
    }

    async fn claim_and_ack(&mut self) -> Done {
        let mut jobs: Vec<Job> =
            self.call(cmd("QCLAIM").arg("jobs").arg("COUNT").arg(200).arg("LEASE").arg(60_000)).await?;
        let numbered = (0..100).map(|n| format!("job {n}"));
        let payloads: Vec<String> =
            ["hello".to_owned()].into_iter().chain(numbered).chain(["one".to_owned()]).collect();
        assert!(jobs.iter().map(|job| &job.2).eq(&payloads), "{jobs:?}");
        assert!(jobs.iter().all(|job| job.0 == "jobs" && job.3 == 1), "{jobs:?}");
        ask("push jobs");
        let woken: [Job; 1] = self.call(cmd("QCLAIM").arg("jobs").arg("BLOCK").arg(0)).await?;
        assert_eq!(woken[0].2, "woken");
        let none: Vec<Job> = self.call(cmd("QCLAIM").arg("none")).await?;
        assert!(none.is_empty());
        ok("claim");

        jobs.extend(woken);
        let receipts: Vec<&String> = jobs.iter().map(|job| &job.1).collect();
        let mut ack = cmd("QACK");
        ack.arg("jobs").arg(receipts);
        assert_eq!(self.call::<u32>(&ack).await?, 103);
        assert_eq!(self.call::<u32>(&ack).await?, 0);

        let [(_, receipt, ..)]: [Job; 1] = self.call(cmd("QCLAIM").arg("other")).await?;
        let mut nack = cmd("QNACK");
        nack.arg("other").arg(receipt).arg("DELAY").arg(0).arg("ERROR").arg("not yet");
        assert_eq!(self.call::<String>(&nack).await?, "retry");
        // A map is read as one, on RESP2 too.
        type Detailed = (String, String, String, u32, HashMap<String, String>);
        let [(_, receipt, _, attempt, details)]: [Detailed; 1] =
            self.call(cmd("QCLAIM").arg("other").arg("META")).await?;
        assert_eq!((attempt, details["last-error"].as_str()), (2, "not yet"));
        assert_eq!(self.call::<u32>(cmd("QACK").arg("other").arg(receipt)).await?, 1);
        let none: Option<HashMap<String, String>> = self.call(cmd("QSTATS").arg("none")).await?;
        assert_eq!(none, None);
        let stats: HashMap<String, String> = self.call(cmd("QSTATS").arg("jobs")).await?;
        assert_eq!(stats["acked"], "103");
        ok("ack");
        Ok(())
    }

    async fn errors(&mut self) -> Done {
        let () = self.call(cmd("QPAUSE").arg("jobs").arg("PUSH")).await?;
        let paused = self.refused(cmd("QPUSH").arg("jobs").arg("x")).await;
        assert_eq!(paused.code(), Some("PAUSED"));
        let () = self.call(cmd("QRESUME").arg("jobs")).await?;
        for (command, text) in [
            (cmd("QPUSH").arg("jobs"), "wrong number of arguments for 'qpush' command"),
            (cmd("QPUSH").arg("jobs").arg("x").arg("BOGUS"), "BOGUS"),
            (cmd("EVAL").arg("return 1").arg(0), "QPUSH"),
        ] {
            let error = self.refused(command).await;
            assert_eq!(error.code(), Some("ERR"));
            assert!(error.detail().is_some_and(|detail| detail.contains(text)), "{error}");
        }
        assert_eq!(self.call::<String>(&cmd("PING")).await?, "PONG");
        ok("errors");
        Ok(())
    }

    async fn refused(&mut self, command: &Cmd) -> RedisError {
        match self.call::<Value>(command).await {
            Ok(reply) => panic!("not refused but answered {reply:?}"),
            Err(error) => error,
        }
    }

    async fn watch(&mut self) -> Done {
        for (meanwhile, payload) in [(true, "never"), (false, "now")] {
            let () = self.call(cmd("WATCH").arg("watched")).await?;
            if meanwhile {
                // What this very connection changes counts, too.
                let _id: String = self.call(cmd("QPUSH").arg("watched").arg("meanwhile")).await?;
            }
            let mut transaction = redis::pipe();
            transaction.atomic().cmd("QPUSH").arg("watched").arg(payload);
            let reply: Option<[String; 1]> = transaction.query_async(&mut self.connection).await?;
            assert_eq!(reply.is_none(), meanwhile, "{reply:?}");
        }
        assert_eq!(self.call::<u32>(cmd("QLEN").arg("watched")).await?, 2);
        ok("watch");
        Ok(())
    }

    async fn subscribe(&mut self, client: &redis::Client) -> Done {
        let nobody: u32 = self.call(cmd("PUBLISH").arg("nowhere").arg("hello")).await?;
        assert_eq!(nobody, 0);
        let mut connection = client.get_connection()?;
        let mut subscriber = connection.as_pubsub();
        subscriber.subscribe(&["news", "__job__:events"])?;
        ask("publish");
        for (channel, word) in [
            ("news", "hello"),
            ("__job__:events", "pushed"),
            ("__job__:events", "claimed"),
            ("__job__:events", "acked"),
        ] {
            let message = subscriber.get_message()?;
            let payload: String = message.get_payload()?;
            assert_eq!((message.get_channel_name(), payload.split(' ').next()), (channel, Some(word)));
        }
        ok("subscribe");
        Ok(())
    }

    async fn reconnect(&mut self) -> Done {
        let () = self.call(cmd("QPUSH").arg("jobs").arg("kept")).await?;
        ask("restart");
        std::io::stdin().read_line(&mut String::new())?;
        // The command that met the broken connection fails, because nobody knows what became of it; the manager
        // connects again, and the next command goes there.
        let mut claim = self.call::<[Job; 1]>(cmd("QCLAIM").arg("jobs")).await;
        if claim.as_ref().is_err_and(RedisError::is_connection_dropped) {
            claim = self.call(cmd("QCLAIM").arg("jobs")).await;
        }
        let [(_, receipt, payload, _)] = claim?;
        assert_eq!(payload, "kept");
        assert_eq!(self.call::<u32>(cmd("QACK").arg("jobs").arg(receipt)).await?, 1);
        ok("reconnect");
        Ok(())
    }
}

fn ok(step: &str) {
    println!("ok {step}");
}

fn ask(what: &str) {
    println!("please {what}");
}
