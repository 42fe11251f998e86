//! A client: sends pipelines, reads the replies, tells the judge, and goes away without a word now and then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_server::simulation::MemoryStream;
use stanchion_storage::simulation::Random;

use crate::ask::{Ask, Held};
use crate::oracle::Sent;
use crate::wire::{Reply, decode, encode};
use crate::workload::Workload;
use crate::world::World;

/// What is known of a client even when its task is gone.
#[derive(Default)]
pub(crate) struct Seat {
    /// Requests whose replies have not come.
    pub(crate) outstanding: VecDeque<Outstanding>,
    /// Jobs that it was handed and has not reported.
    pub(crate) held: Vec<Held>,
    /// Its number in the server, while it is connected.
    pub(crate) id: Option<i64>,
}

/// A request that waits for its reply.
pub(crate) struct Outstanding {
    pub(crate) sent: Sent,
    /// How many replies of its parts come before.
    before: usize,
}

/// A connected client.
pub(crate) struct Client {
    world: Arc<World>,
    seat: usize,
    stream: MemoryStream,
    id: i64,
    input: Vec<u8>,
}

impl Client {
    /// Connects; `None` when the server ends first.
    pub(crate) async fn connect(world: &Arc<World>, seat: usize, window: usize) -> Option<Client> {
        let stream = world.connect(window)?;
        let mut client = Client { world: Arc::clone(world), seat, stream, id: 0, input: Vec::new() };
        let mut request = Vec::new();
        encode(&[b"CLIENT".to_vec(), b"ID".to_vec()], &mut request);
        client.stream.write_all(&request).await.ok()?;
        let reply = client.reply().await?;
        client.id = reply.integer().ok()?;
        client.world.seat(seat, |seat| seat.id = Some(client.id));
        Some(client)
    }

    /// Sends requests; false when the server is gone.
    pub(crate) async fn send(&mut self, asks: Vec<Ask>) -> bool {
        let mut bytes = Vec::new();
        for ask in asks {
            let requests = ask.requests(&self.world.plan);
            let start = bytes.len();
            for words in &requests {
                self.world.trace.line(|| {
                    let words: Vec<_> =
                        words.iter().map(|word| Reply::Bulk(word.clone()).to_string()).collect();
                    format!("{} client {} > {}", self.world.now_ms(), self.id, words.join(" "))
                });
                encode(words, &mut bytes);
            }
            self.world.request_bytes_max.fetch_max(bytes.len() - start, Ordering::Relaxed);
            let sent = self.world.oracle(|oracle| oracle.sent(ask, self.id, self.world.now_ms()));
            let outstanding = Outstanding { sent, before: requests.len() - 1 };
            self.world.seat(self.seat, |seat| seat.outstanding.push_back(outstanding));
        }
        self.stream.write_all(&bytes).await.is_ok()
    }

    /// Takes in the next reply; false when the server is gone.
    pub(crate) async fn receive(&mut self) -> bool {
        let Some(reply) = self.reply().await else { return false };
        self.world.trace.line(|| format!("{} client {} < {reply}", self.world.now_ms(), self.id));
        let Some(outstanding) = self.world.seat(self.seat, |seat| {
            let front = seat.outstanding.front_mut()?;
            if front.before > 0 {
                front.before -= 1;
                return None;
            }
            seat.outstanding.pop_front()
        }) else {
            return true;
        };
        let now_ms = self.world.now_ms();
        match self.world.oracle(|oracle| oracle.replied(&outstanding.sent, &reply, now_ms)) {
            Ok(held) => self.world.seat(self.seat, |seat| seat.held.extend(held)),
            Err(problem) => {
                self.world.fail(format!("{problem}\n  after {:?}\n  answered {reply}", outstanding.sent.ask));
            }
        }
        true
    }

    /// Sends one request, and gives its reply, of which the judge hears nothing.
    pub(crate) async fn raw(&mut self, request: &[u8]) -> Option<Reply> {
        self.stream.write_all(request).await.ok()?;
        self.reply().await
    }

    /// Whether replies are still to come.
    pub(crate) fn waits(&self) -> bool {
        self.world.seat(self.seat, |seat| !seat.outstanding.is_empty())
    }

    /// The connection is given up; whatever was under way is unknown.
    pub(crate) fn leave(self) {
        self.world.trace.line(|| format!("{} client {} leaves", self.world.now_ms(), self.id));
        self.world.leave(self.seat);
    }

    async fn reply(&mut self) -> Option<Reply> {
        loop {
            match decode(&self.input) {
                Ok(Some((reply, length))) => {
                    self.input.drain(..length);
                    return Some(reply);
                }
                Ok(None) => {}
                Err(problem) => {
                    self.world.fail(problem);
                    return None;
                }
            }
            if self.stream.read(&mut self.input).await == 0 {
                return None;
            }
        }
    }
}

/// Lives a client's life: some pipelines, until they are all answered or the server is gone.
pub(crate) async fn live(world: Arc<World>, seat: usize, mut random: Random) {
    let mut connected = None;
    for _ in 0..world.plan.pipelines {
        if world.plan.think_ms_max > 0 && random.one_in(2) {
            tokio::time::sleep(Duration::from_millis(random.below(world.plan.think_ms_max) + 1)).await;
        }
        let mut client = match connected.take() {
            Some(client) => client,
            None => {
                let window = [60, 500, 5_000, 60_000][random.below(4) as usize];
                match Client::connect(&world, seat, window).await {
                    Some(client) => client,
                    None => return world.leave(seat),
                }
            }
        };
        if pipeline(&mut client, &mut random).await {
            connected = Some(client);
        } else {
            client.leave();
        }
    }
    if let Some(client) = connected {
        client.leave();
    }
}

/// One pipeline; false when the connection is to be given up.
async fn pipeline(client: &mut Client, random: &mut Random) -> bool {
    let world = Arc::clone(&client.world);
    let breaks = world.plan.disconnects && random.one_in(12);
    let mut asks = 0;
    for _ in 0..1 + random.below(5) {
        // Each is drawn when the judge knows of those before it.
        let ask = world.draw(client.seat, random);
        if !client.send(vec![ask]).await {
            return false;
        }
        asks += 1;
        if random.one_in(3) {
            continue;
        }
        // Some wait for their replies, so that the next one is known to come later.
        while client.waits() && !breaks {
            if !client.receive().await {
                return false;
            }
        }
    }
    let patience = if breaks { random.below(asks + 1) } else { u64::MAX };
    let mut received = 0;
    while client.waits() {
        if received == patience || !client.receive().await {
            return false;
        }
        received += 1;
    }
    !breaks
}

impl World {
    /// The next request of a client.
    fn draw(&self, seat: usize, random: &mut Random) -> Ask {
        let mut held = self.seat(seat, |seat| std::mem::take(&mut seat.held));
        let others = self.others(seat);
        let ask = self.oracle(|oracle| Workload::new(&self.plan, oracle, random, &mut held, &others).draw());
        self.seat(seat, |seat| seat.held.append(&mut held));
        ask
    }
}
