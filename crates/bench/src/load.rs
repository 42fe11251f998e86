//! What is asked of a server: how many connections, how they send, and what their jobs are like.

use std::fmt;

use anyhow::{Result, ensure};

use crate::job::Sizes;

/// Jobs of one cycle. More would not fit the socket buffers, and a blocking write could wait for ever.
pub const CYCLE_JOBS_MAX: usize = 512;

/// How a connection sends its jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Commands sent before the first reply is read.
    pub depth: usize,
    /// Jobs in one command, where the server has such a command.
    pub batch: usize,
}

/// What the connections do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crew {
    /// Each pushes, claims and acks.
    Workers(usize),
    /// Some push, the others claim and ack.
    Apart {
        /// Connections that push.
        producers: usize,
        /// Connections that claim and ack.
        consumers: usize,
    },
}

impl Crew {
    /// How many connections there are.
    #[must_use]
    pub fn connections(self) -> usize {
        match self {
            Crew::Workers(workers) => workers,
            Crew::Apart { producers, consumers } => producers + consumers,
        }
    }
}

/// How a worker acks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Acks {
    /// By a command of its own.
    #[default]
    Alone,
    /// With its next claim, as workers in steady state do.
    WithClaims,
}

/// A load on one server. The default is eight workers at depth 1 on one queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Load {
    /// The queues' names begin with it.
    pub prefix: String,
    /// The connections.
    pub crew: Crew,
    /// How each sends.
    pub shape: Shape,
    /// The cycles of the connections take turns over so many queues.
    pub queues: usize,
    /// The jobs take turns over so many groups of their queue; 0 for jobs without one.
    pub groups: usize,
    /// How large payloads are.
    pub payload: Sizes,
    /// Whether each job has a dedupe key of its own.
    pub dedupe: bool,
    /// How long each job waits before it may be claimed.
    pub delay_ms: u64,
    /// Jobs that stand all the time, over all queues.
    pub backlog: u64,
    /// How workers ack.
    pub acks: Acks,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            prefix: "bench".to_owned(),
            crew: Crew::Workers(8),
            shape: Shape { depth: 1, batch: 1 },
            queues: 1,
            groups: 0,
            payload: Sizes::default(),
            dedupe: false,
            delay_ms: 0,
            backlog: 0,
            acks: Acks::Alone,
        }
    }
}

impl fmt::Display for Load {
    /// In words, all that differs from the default left in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.crew {
            Crew::Workers(workers) => write!(f, "{workers} connections")?,
            Crew::Apart { producers, consumers } => {
                write!(f, "{producers} producers, {consumers} consumers")?;
            }
        }
        let Shape { depth, batch } = self.shape;
        write!(f, ", depth {depth}, batch {batch}, {} queue(s)", self.queues)?;
        if self.groups > 0 {
            write!(f, ", {} group(s)", self.groups)?;
        }
        let sizes: Vec<String> = self.payload.all().iter().map(usize::to_string).collect();
        write!(f, ", {} B", sizes.join("/"))?;
        if self.dedupe {
            write!(f, ", dedupe keys")?;
        }
        if self.delay_ms > 0 {
            write!(f, ", delayed by {} ms", self.delay_ms)?;
        }
        if self.backlog > 0 {
            write!(f, ", over a backlog of {}", self.backlog)?;
        }
        if self.acks == Acks::WithClaims {
            write!(f, ", acks with claims")?;
        }
        Ok(())
    }
}

impl Load {
    /// That it can be done at all, by whatever server.
    ///
    /// # Errors
    /// Says which part can't, and what to change.
    pub fn check(&self) -> Result<()> {
        let Shape { depth, batch } = self.shape;
        ensure!(depth > 0 && batch > 0, "a depth or batch of 0 does nothing");
        ensure!(
            depth * batch <= CYCLE_JOBS_MAX,
            "depth {depth} times batch {batch} is more than {CYCLE_JOBS_MAX} jobs under way on one connection; make one of them smaller"
        );
        ensure!(self.queues > 0, "there must be a queue");
        let apart = match self.crew {
            Crew::Workers(workers) => {
                ensure!(workers > 0, "there must be a connection");
                false
            }
            Crew::Apart { producers, consumers } => {
                ensure!(producers > 0 && consumers > 0, "there must be a producer and a consumer");
                true
            }
        };
        ensure!(
            self.delay_ms == 0 || apart,
            "a delayed job is claimed later, by somebody else: name --producers and --consumers beside --delay"
        );
        ensure!(
            self.delay_ms == 0 || self.backlog == 0,
            "with --delay nothing can stand behind, for what stands would be claimed first; leave out --backlog"
        );
        ensure!(
            self.acks == Acks::Alone || !apart,
            "acks travel with claims only where workers do both; leave out --producers and --consumers"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_done_is_refused() {
        let refused = [
            Load { shape: Shape { depth: 32, batch: 17 }, ..Load::default() },
            Load { shape: Shape { depth: 0, batch: 1 }, ..Load::default() },
            Load { crew: Crew::Workers(0), ..Load::default() },
            Load { crew: Crew::Apart { producers: 1, consumers: 0 }, ..Load::default() },
            Load { delay_ms: 5, ..Load::default() },
            Load {
                acks: Acks::WithClaims,
                crew: Crew::Apart { producers: 1, consumers: 1 },
                ..Load::default()
            },
        ];
        for load in refused {
            assert!(load.check().is_err(), "{load:?}");
        }
        Load::default().check().unwrap();
    }
}
