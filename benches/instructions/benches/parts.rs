//! Time of each part alone: decoding and parsing a push, the engine's push, claim and ack, and the log's append.
//!
//! `cargo bench -p stanchion-instructions`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stanchion_bench::resp;
use stanchion_engine::{Claimed, Now, Shard, ShardConfig};
use stanchion_protocol::command::{Dedupe, NewJob, Take, Until, When};
use stanchion_protocol::id::Receipt;
use stanchion_protocol::{Decoded, Decoder, Limits, parse, table};
use stanchion_storage::{Durability, Log, LogConfig, RecordKind, RecordView, Records};

const QUEUE: &[u8] = b"enwiki:jobqueue:refreshLinks";
const PAYLOAD: [u8; 200] = [b'x'; 200];
const NOW: Now = Now { ms: 1_780_000_000_000, entropy: 0 };

/// Commands of one hold of a shard, as a pipeline makes them.
const HOLD: u64 = 32;

fn decode(criterion: &mut Criterion) {
    let mut request = Vec::new();
    resp::request(&mut request, &[b"QPUSH", QUEUE, &PAYLOAD, b"DEDUPE", &[b'k'; 31]]);
    let limits = Limits::default();
    let mut decoder = Decoder::new(&limits, true);
    let mut group = criterion.benchmark_group("protocol");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode and parse a push", |bencher| {
        bencher.iter(|| {
            let decoded = decoder.decode(black_box(&request)).expect("a sound request");
            assert!(matches!(decoded, Decoded::Command));
            let args = decoder.args(&request);
            let spec = table::resolve(args).expect("a known command");
            black_box(parse::parse(spec, args, &limits).expect("a sound command"));
            decoder.consume()
        });
    });
    group.finish();
}

/// A shard with a thousand jobs of one queue, of which as many as a hold are pushed, claimed and acked in turn.
struct Engine {
    shard: Shard,
    pushed: u64,
    base: u64,
    log: Vec<u8>,
    claimed: Claimed,
    receipts: Vec<Receipt>,
}

impl Engine {
    fn new() -> Engine {
        let file = Arc::new(|_: &[u8]| Default::default());
        let shard = Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file });
        let (log, claimed, receipts) = (Vec::new(), Claimed::default(), Vec::new());
        let mut engine = Engine { shard, pushed: 0, base: 0, log, claimed, receipts };
        (0..1_000 / HOLD).for_each(|_| engine.push());
        engine
    }

    fn begin(&mut self) {
        self.log.clear();
        self.base += HOLD;
        self.shard.begin(self.base);
    }

    fn push(&mut self) {
        self.begin();
        for _ in 0..HOLD {
            self.pushed += 1;
            let key = self.pushed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            let new = NewJob {
                payload: &PAYLOAD,
                when: When::Now,
                group: b"",
                priority: 0,
                dedupe: Some(Dedupe { key: &key, until: Until::Claim, window_ms: 0, replace: false }),
                root: None,
                ttl_ms: None,
                attempts_max: None,
            };
            self.shard.push(NOW, QUEUE, &[new], &mut self.log, &mut Vec::new()).expect("a push");
        }
    }

    fn claim(&mut self) {
        self.begin();
        for _ in 0..HOLD {
            self.claimed.clear();
            self.shard.claim(NOW, QUEUE, &Take::ONE, &mut self.log, &mut self.claimed);
            self.receipts.push(self.shard.view(self.claimed.jobs()[0]).receipt);
        }
    }

    fn ack(&mut self) {
        self.begin();
        for receipt in self.receipts.drain(..) {
            assert_eq!(self.shard.ack(NOW, QUEUE, &[receipt], &mut self.log), 1);
        }
    }
}

fn engine(criterion: &mut Criterion) {
    let mut engine = Engine::new();
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(HOLD));
    group.bench_function("push, claim and ack", |bencher| {
        bencher.iter(|| {
            engine.push();
            engine.claim();
            engine.ack();
        });
    });
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = LogConfig { durability: Durability::Never, ..LogConfig::new(dir.path()) };
    let nothing = &mut |_: RecordView<'_>| Ok(());
    let (log, _) = Log::open(config, nothing, Arc::new(|_| {})).expect("a new log");
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Bytes(HOLD * 250));
    // Nobody reclaims this log: in a second it takes a gigabyte at most.
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.bench_function("stage records of a hold", |bencher| {
        bencher.iter_batched_ref(
            Records::new,
            |records| {
                for _ in 0..HOLD {
                    records.begin(0, RecordKind::new(1)).extend_from_slice(&[7; 250]);
                    records.end();
                }
                // The writer's pace is the disk's, which is none of this.
                while !log.has_room() {
                    std::thread::yield_now();
                }
                log.stage(records)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    log.close().expect("the disk works");
}

criterion_group!(parts, decode, engine, append);
criterion_main!(parts);
