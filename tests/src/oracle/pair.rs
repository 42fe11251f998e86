//! The two servers, and one conversation held with both.
//!
//! Redis is asked word by word: each command is sent alone, and because Redis has one thread and serves its clients in
//! the order in which their bytes came, all of its effects are there once a second connection has been answered twice.
//! So each reply and each message to another client is known to belong to its command, with nothing guessed and no
//! time waited. Stanchion gets the same as a client sends it, many commands in one piece or one in many, and has to
//! say the same on every connection.

use std::time::{Duration, Instant};

use super::compare::Reader;
use super::conversation::{Conversation, Turn};
use super::frame::Frame;
use super::line::Line;
use super::utterance::{Form, Utterance};
use super::vocabulary::PASSWORD;
use crate::connection::encode;
use crate::{Options, PATIENCE, RedisServer, Server};

/// The two servers, configured alike.
pub struct Pair {
    redis: RedisServer,
    server: Server,
    redis_control: Line,
    our_control: Line,
    password: bool,
}

/// What one conversation's clients know.
struct Client {
    redis: Line,
    ours: Line,
    reader: Reader,
    /// What Redis has said in this turn, and to which of its utterances.
    expected: Vec<(usize, Frame)>,
}

impl Pair {
    /// Starts both; with a password, clients have to say it.
    pub(super) fn start(password: bool) -> Pair {
        // How replies wait for the disk is not Redis's to say, and a sync per command would be most of the time.
        let mut options = Options::new().arguments(&["--durability", "never"]);
        let mut arguments = vec!["--databases", "1"];
        if password {
            options = options.environment("STANCHION_REQUIREPASS", PASSWORD);
            arguments.extend(["--requirepass", PASSWORD]);
        }
        let (redis, server) = (RedisServer::start_with(&arguments), options.start());
        let (redis_control, our_control) = (Line::unix(redis.socket()), Line::tcp(server.address()));
        let mut pair = Pair { redis, server, redis_control, our_control, password };
        if password {
            pair.control(&["AUTH", PASSWORD]);
        }
        // Which of them is slow is for the machine to say.
        pair.control(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
        pair
    }

    /// Says something to Stanchion alone, so that the two are no longer the same.
    pub fn plant(&mut self, words: &[&str]) {
        call(&mut self.our_control, words);
    }

    /// Holds a conversation with both; the error says where they disagree. `used` counts how often each row of the
    /// table of differences was needed.
    pub(super) fn hold(
        &mut self,
        conversation: &Conversation,
        patience: Duration,
        used: &mut [u64],
    ) -> Result<(), String> {
        let (mut clients, ids, our_ids) = self.connect(conversation.clients);
        let mut result = Ok(());
        for turn in &conversation.turns {
            if clients[turn.client].redis.ended {
                continue;
            }
            let said = self.ask_redis(&mut clients, turn, &ids);
            tell(&mut clients[turn.client].ours, turn, &said, &our_ids);
            result = compare(&mut clients, turn.client, &said, &ids, patience, used);
            if result.is_err() {
                break;
            }
        }
        let ended = self.part(clients, patience);
        for theme in &conversation.themes {
            for words in theme.afterwards {
                self.control(words);
            }
        }
        result.and(ended)
    }

    /// Connects the clients of a conversation and asks for their numbers.
    fn connect(&self, count: usize) -> (Vec<Client>, Vec<i64>, Vec<i64>) {
        let mut clients = Vec::new();
        let (mut ids, mut our_ids) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut client = Client {
                redis: Line::unix(self.redis.socket()),
                ours: Line::tcp(self.server.address()),
                reader: Reader::default(),
                expected: Vec::new(),
            };
            for (line, ids) in [(&mut client.redis, &mut ids), (&mut client.ours, &mut our_ids)] {
                if self.password {
                    call(line, &["AUTH", PASSWORD]);
                }
                let id = call(line, &["CLIENT", "ID"]).text();
                ids.push(id.parse().expect("a number"));
                // It forgets the password.
                call(line, &["RESET"]);
            }
            clients.push(client);
        }
        (clients, ids, our_ids)
    }

    /// Says each utterance of a turn to Redis and collects what its clients hear; gives what was said, which is more
    /// when Redis has become silent.
    fn ask_redis(&mut self, clients: &mut [Client], turn: &Turn, ids: &[i64]) -> Vec<Utterance> {
        let mut said = turn.utterances.clone();
        let mut at = 0;
        while at < said.len() {
            let bytes = said[at].bytes_for_redis(ids);
            clients[turn.client].redis.send(&bytes);
            self.settle();
            for client in &mut *clients {
                self.collect(client, at);
            }
            let acting = &clients[turn.client];
            if acting.redis.ended {
                break;
            }
            // Once: a user may not be allowed to break the silence.
            let is_last = at + 1 == turn.utterances.len();
            let answered = acting.expected.last().is_some_and(|(last, _)| *last == at);
            if is_last && !answered && said[at].form != Form::Raw {
                // After CLIENT REPLY nobody could tell when the other server is done.
                said.push(Utterance::plain("CLIENT REPLY ON"));
            }
            at += 1;
        }
        said
    }

    /// Takes what Redis has said to a client after an utterance. Redis writes a long reply in several steps.
    fn collect(&mut self, client: &mut Client, at: usize) {
        let mut said = Vec::new();
        let begun = Instant::now();
        loop {
            client.redis.take();
            while let Some(frame) = client.redis.frame().expect("Redis speaks its protocol") {
                said.push((at, frame));
            }
            if client.redis.rest().is_empty() || client.redis.ended {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "Redis begins a reply and does not end it");
            self.settle();
        }
        // As Redis 7.2 does it: a message that a client has sent to itself comes after the reply.
        said.sort_by_key(|(_, frame)| frame.is_message());
        client.expected.append(&mut said);
    }

    /// Waits until Redis has done and sent all that it was asked. The first answer shows that the bytes of all others
    /// were read before; the second that their replies were written.
    fn settle(&mut self) {
        for _ in 0..2 {
            call(&mut self.redis_control, &["PING"]);
        }
    }

    /// Says goodbye, and expects nothing more than the end.
    fn part(&mut self, clients: Vec<Client>, patience: Duration) -> Result<(), String> {
        let mut result = Ok(());
        for (i, mut client) in clients.into_iter().enumerate() {
            for line in [&mut client.redis, &mut client.ours] {
                line.finish();
            }
            assert!(client.redis.wait_end(PATIENCE), "Redis closes a connection without another word");
            if !client.ours.wait_end(patience) && result.is_ok() {
                let rest = client.ours.rest().escape_ascii();
                result = Err(format!("client {i} was told more, or its connection never ended: {rest}"));
            }
        }
        result
    }

    /// Says the same to both servers between conversations.
    fn control<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        for line in [&mut self.redis_control, &mut self.our_control] {
            call(line, words);
        }
    }
}

/// Says a turn to Stanchion, cut into pieces.
fn tell(line: &mut Line, turn: &Turn, said: &[Utterance], ids: &[i64]) {
    let bytes: Vec<u8> = said.iter().flat_map(|utterance| utterance.bytes_for_us(ids)).collect();
    let mut from = 0;
    for cut in &turn.cuts {
        let to = (bytes.len() * usize::from(*cut)) >> 16;
        line.send(&bytes[from..to]);
        from = to;
    }
    line.send(&bytes[from..]);
}

/// Compares what every client hears in a turn, the one who spoke first.
fn compare(
    clients: &mut [Client],
    acting: usize,
    said: &[Utterance],
    ids: &[i64],
    patience: Duration,
    used: &mut [u64],
) -> Result<(), String> {
    let others = (0..clients.len()).filter(|&i| i != acting);
    for i in std::iter::once(acting).chain(others) {
        let client = &mut clients[i];
        for (at, theirs) in std::mem::take(&mut client.expected) {
            let Some(ours) = client.ours.wait(patience)? else {
                let what = if client.ours.ended { "closes the connection" } else { "says nothing" };
                return Err(format!(
                    "to {}\n    redis     {theirs}\n    stanchion {what} (client {i})",
                    said[at]
                ));
            };
            client.reader.compare(&said[at].words_for_redis(ids), &theirs, &ours, used)?;
        }
        let end = format!("after {} (client {i})", said.last().expect("a turn says something"));
        if client.redis.ended && !client.ours.wait_end(patience) {
            let rest = client.ours.rest().escape_ascii();
            return Err(format!("Redis closes the connection {end}, Stanchion does not: {rest}"));
        }
        if !client.redis.ended && client.ours.ended {
            return Err(format!("Stanchion closes the connection {end}, Redis does not"));
        }
        if !client.ours.rest().is_empty() {
            return Err(format!("Stanchion says more {end}: {}", client.ours.rest().escape_ascii()));
        }
    }
    Ok(())
}

fn call<W: AsRef<[u8]>>(line: &mut Line, words: &[W]) -> Frame {
    let mut bytes = Vec::new();
    encode(&mut bytes, words);
    line.send(&bytes);
    line.wait(PATIENCE).expect("a reply").expect("the server answers")
}
