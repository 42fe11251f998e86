//! Finds entries by a hash, like a hash table that names slots of a slab, and grows in small steps.
//!
//! A hash table that doubles visits all its entries, which takes tens of milliseconds at a million of them,
//! under the lock of the shard. So this is many small tables: the first bits of a hash choose one (extendible
//! hashing), and it grows alone, by half; one that has reached its greatest size is split in two. The longest
//! step moves some 500 entries.
//!
//! A table is a row of buckets of 64 bytes, a cache line: nine entries and three bytes of each one's hash. An entry
//! whose bucket is full goes on to the next one with room, and each bucket counts the entries that passed it, so
//! that a search knows where to end and a removal leaves nothing behind. As tables grow by half and stay fuller
//! than those that keep a power of two, an entry takes about 9.5 bytes in the mean, and 12 at most.
//!
//! With those three bytes a table grows and splits without asking for the hashes of its entries, which would fetch
//! each entry's key from memory: that was a third of what recovering a queue of a million jobs cost. Only every
//! eighth split of a table in a row has to, the first time while all of it is in the processor's caches.

use std::hash::BuildHasher;

/// Entries of a bucket.
const WAYS: usize = 9;

/// Bytes of a bucket.
const BUCKET_BYTES: usize = size_of::<Bucket>();

/// A full table of so many buckets is split. A few entries of a byte's 256 homes share each bucket then, so that
/// buckets are filled evenly.
const BUCKETS_MAX: usize = 64;

/// How many numbers, as a power of two, are a row; see [`hash_in_row`]. So few that tables get rows enough to split.
const ROW_BITS: u32 = 6;

/// Bits of a hash that may choose a table. What else is taken of a hash lies below them.
const DIRECTORY_BITS_MAX: u8 = 24;

/// How many splits ahead a table knows the bits of its entries that choose a half.
const SPLITS_KNOWN: u8 = u8::BITS as u8;

/// At this depth of a table they are asked for first, and then at every eighth depth: when there are some ten
/// thousand entries, and then some million.
const FIRST_ASKED_AT: u8 = 5;

const ONES: u128 = u128::from_le_bytes([1; 16]);
const LOW_BITS: u128 = 0x7f * ONES;
/// The bytes of a bucket's head that are marks of entries.
const MARKS: u128 = (1 << (8 * WAYS)) - 1;
/// Where a bucket's head counts the entries that passed it.
const PASSED: usize = WAYS;
/// So many or more passed; the count stays like that.
const PASSED_MANY: u8 = u8::MAX;

#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The table of each value of a hash's first `depth` bits; a table with fewer bits stands here repeatedly.
    directory: Vec<u32>,
    depth: u8,
    tables: Vec<Table>,
    len: usize,
    /// Buckets of all tables.
    buckets: usize,
}

#[derive(Debug)]
struct Table {
    buckets: Box<[Bucket]>,
    len: u32,
    /// How many bits of a hash its entries have in common.
    depth: u8,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// A byte of each entry's hash, 0 where there is none; then the count of those that passed.
    head: [u8; WAYS + 1],
    homes: [u8; WAYS],
    turns: [u8; WAYS],
    entries: [u32; WAYS],
}

const EMPTY: Bucket = Bucket { head: [0; WAYS + 1], homes: [0; WAYS], turns: [0; WAYS], entries: [0; WAYS] };

/// What a table keeps of an entry's hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Digest {
    /// Distinguishes it from others in its bucket.
    mark: u8,
    /// Chooses its bucket.
    home: u8,
    /// Bits that choose a half in the next splits.
    turn: u8,
}

impl Digest {
    /// In a table of this depth.
    fn of(hash: u64, depth: u8) -> Digest {
        let known = known_since(depth);
        // No mark is 0, which says that there is no entry.
        Digest { mark: ((hash >> 8) as u8).max(1), home: hash as u8, turn: (hash << known >> 56) as u8 }
    }

    /// Whether the next split puts it into the upper half; `turned` splits were made with these bits.
    fn is_upper(self, turned: u8) -> bool {
        self.turn << turned >= 0x80
    }
}

impl Index {
    /// What it takes in memory.
    pub(crate) fn allocation_bytes(&self) -> usize {
        self.buckets * BUCKET_BYTES
            + self.tables.capacity() * size_of::<Table>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// The entry with this hash that is the wanted one.
    pub(crate) fn find(&self, hash: u64, wanted: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let table = &self.tables[self.table_of(hash)];
        table.find(hash, wanted).map(|(bucket, way)| table.buckets[bucket].entries[way])
    }

    /// Reads where entries with these hashes are, for whoever is about to need them one by one. At a million entries each of
    /// those would wait for memory, which takes longer than all else that is done with a job; here no read waits for
    /// the one before. The hashes are there already, so that little lies between two reads.
    pub(crate) fn fetch(&self, hashes: &[u64]) {
        if self.len == 0 {
            return;
        }
        let read = |sum: u32, &hash: &u64| {
            let table = &self.tables[self.table_of(hash)];
            let bucket = &table.buckets[table.home(hash as u8)];
            // A bucket's first bytes and its last: it may lie across two lines of the cache.
            sum ^ bucket.entries[0] ^ u32::from(bucket.turns[WAYS - 1])
        };
        std::hint::black_box(hashes.iter().fold(0, read));
    }

    /// Adds an entry, which must not be there. `hash_of` tells the hash of any entry of before; it is seldom asked.
    pub(crate) fn insert(&mut self, hash: u64, entry: u32, hash_of: impl Fn(u32) -> u64) {
        if self.tables.is_empty() {
            // Most queues are small, and have one table.
            self.tables.reserve_exact(1);
            self.directory.reserve_exact(1);
            let first = self.add(Table::for_entries(1, 0));
            self.directory.push(first);
        }
        let mut at = self.table_of(hash);
        if self.tables[at].len as usize == len_max(self.tables[at].buckets.len()) {
            self.grow(at, &hash_of);
            at = self.table_of(hash);
        }
        let table = &mut self.tables[at];
        table.put(Digest::of(hash, table.depth), entry);
        table.len += 1;
        self.len += 1;
    }

    /// Takes out an entry, which must be there.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let at = self.table_of(hash);
        self.tables[at].remove(hash, entry);
        self.len -= 1;
    }

    /// Puts another entry with the same hash in the place of one, which must be there.
    pub(crate) fn replace(&mut self, hash: u64, entry: u32, by: u32) {
        let at = self.table_of(hash);
        let table = &mut self.tables[at];
        let (bucket, way) = table.find(hash, |other| other == entry).expect("an entry to replace");
        table.buckets[bucket].entries[way] = by;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.tables.iter().flat_map(Table::iter)
    }

    fn table_of(&self, hash: u64) -> usize {
        self.directory[(hash >> 32 >> (32 - self.depth)) as usize] as usize
    }

    fn add(&mut self, table: Table) -> u32 {
        self.buckets += table.buckets.len();
        self.tables.push(table);
        self.tables.len() as u32 - 1
    }

    /// Makes room in a full table.
    fn grow(&mut self, at: usize, hash_of: &impl Fn(u32) -> u64) {
        let Table { ref buckets, depth, len } = self.tables[at];
        // Were hashes alike on purpose, splits would part nothing and only lengthen the directory.
        let worth = self.directory.len() <= 8 * self.tables.len();
        if buckets.len() < BUCKETS_MAX || depth == DIRECTORY_BITS_MAX || !worth {
            let mut larger = Filling::new(Table::for_entries(len as usize + 1, depth));
            self.tables[at].for_each(|digest, entry| larger.put(digest, entry));
            let larger = larger.finish(len);
            self.buckets += larger.buckets.len();
            let old = std::mem::replace(&mut self.tables[at], larger);
            self.buckets -= old.buckets.len();
        } else {
            self.split(at, hash_of);
        }
    }

    /// Parts a table by the next bit of its entries' hashes.
    fn split(&mut self, at: usize, hash_of: &impl Fn(u32) -> u64) {
        let depth = self.tables[at].depth;
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&table| [table, table]).collect();
            self.depth += 1;
        }
        let table = &self.tables[at];
        let (turned, used_up) = (depth - known_since(depth), known_since(depth + 1) > known_since(depth));
        let mut lens = [0; 2];
        table.for_each(|digest, _| lens[usize::from(digest.is_upper(turned))] += 1);
        // One more each: the entry that found no room may come to either.
        let mut halves = lens.map(|len| Filling::new(Table::for_entries(len as usize + 1, depth + 1)));
        table.for_each(|digest, entry| {
            let kept = if used_up { Digest::of(hash_of(entry), depth + 1) } else { digest };
            halves[usize::from(digest.is_upper(turned))].put(kept, entry);
        });
        let first = hash_of(table.iter().next().expect("a full table has entries"));
        let [lower, upper] = halves;
        let (lower, upper) = (lower.finish(lens[0]), upper.finish(lens[1]));
        self.buckets = self.buckets + lower.buckets.len() - self.tables[at].buckets.len();
        self.tables[at] = lower;
        let upper = self.add(upper);
        // The table's run of places in the directory; its second half is the new one's.
        let run = 1 << (self.depth - depth);
        let start = (first >> 32 >> (32 - self.depth)) as usize / run * run;
        self.directory[start + run / 2..start + run].fill(upper);
    }

    /// Checks that each table is found by what its entries have in common, and each entry by its hash.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn check(&self, hash_of: impl Fn(u32) -> u64) -> Result<(), String> {
        let fault = |wrong: bool, fault: &str| if wrong { Err(format!("index: {fault}")) } else { Ok(()) };
        let buckets = self.tables.iter().map(|table| table.buckets.len()).sum::<usize>();
        fault(buckets != self.buckets, "its buckets are miscounted")?;
        fault(self.iter().count() != self.len, "its entries are miscounted")?;
        for (at, table) in self.tables.iter().enumerate() {
            fault(table.iter().count() != table.len as usize, "a table's entries are miscounted")?;
            let mut passed = vec![0; table.buckets.len()];
            let mut entries = Vec::new();
            table.for_each(|digest, entry| entries.push((digest, entry)));
            for (digest, entry) in entries {
                let hash = hash_of(entry);
                fault(digest != Digest::of(hash, table.depth), "an entry's hash is another one")?;
                fault(self.table_of(hash) != at, "an entry is in another's table")?;
                let found = table.find(hash, |other| other == entry);
                let Some((bucket, _)) = found else { return Err("index: an entry is not found".into()) };
                let mut home = table.home(digest.home);
                while home != bucket {
                    passed[home] += 1;
                    home = table.after(home);
                }
            }
            let counts = table.buckets.iter().map(|bucket| bucket.head[PASSED]);
            let right =
                counts.zip(passed).all(|(count, passed)| count == PASSED_MANY || u64::from(count) == passed);
            fault(!right, "those that passed a bucket are miscounted")?;
        }
        Ok(())
    }
}

impl Table {
    /// A table with room for so many entries.
    fn for_entries(entries: usize, depth: u8) -> Table {
        let mut buckets = 1usize;
        while len_max(buckets) < entries {
            // 1, 2, 3, 4, 6, 8, 12, …: sizes that the allocator has, too.
            buckets = if buckets.is_power_of_two() { buckets + buckets.div_ceil(2) } else { buckets / 3 * 4 };
        }
        Table { buckets: vec![EMPTY; buckets].into(), len: 0, depth }
    }

    /// Where an entry goes while there is room.
    fn home(&self, home: u8) -> usize {
        (usize::from(home) * self.buckets.len()) >> 8
    }

    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    fn find(&self, hash: u64, mut wanted: impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        let Digest { mark, home, .. } = Digest::of(hash, self.depth);
        let mut at = self.home(home);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            let mut found = bucket.marked(mark);
            while found != 0 {
                let way = found.trailing_zeros() as usize / 8;
                if wanted(bucket.entries[way]) {
                    return Some((at, way));
                }
                found &= found - 1;
            }
            if bucket.head[PASSED] == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Adds an entry, uncounted; there must be room. The bucket that it came to.
    fn put(&mut self, digest: Digest, entry: u32) -> usize {
        let mut at = self.home(digest.home);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(way) = bucket.vacant() {
                bucket.set(way, digest, entry);
                return at;
            }
            bucket.head[PASSED] = bucket.head[PASSED].saturating_add(1);
            at = self.after(at);
        }
    }

    fn remove(&mut self, hash: u64, entry: u32) {
        let (last, way) = self.find(hash, |other| other == entry).expect("an entry to remove");
        self.buckets[last].head[way] = 0;
        let mut at = self.home(self.buckets[last].homes[way]);
        while at != last {
            let passed = &mut self.buckets[at].head[PASSED];
            *passed -= u8::from(*passed != PASSED_MANY);
            at = self.after(at);
        }
        self.len -= 1;
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        self.buckets.iter().flat_map(|bucket| bucket.taken().map(|way| bucket.entries[way]))
    }

    fn for_each(&self, mut visit: impl FnMut(Digest, u32)) {
        for bucket in &self.buckets {
            for way in bucket.taken() {
                visit(bucket.digest(way), bucket.entries[way]);
            }
        }
    }
}

/// A table that was empty and gets the entries of another. They come in about the order of their homes, so to look
/// for a vacant way would each time wait for the entry before to be written: this counts them.
struct Filling {
    table: Table,
    /// Entries of each bucket, unless it is a table that is too large to be split.
    filled: [u8; BUCKETS_MAX],
}

impl Filling {
    fn new(table: Table) -> Filling {
        Filling { table, filled: [0; BUCKETS_MAX] }
    }

    fn put(&mut self, digest: Digest, entry: u32) {
        let home = self.table.home(digest.home);
        match self.filled.get_mut(home) {
            Some(way) if usize::from(*way) < WAYS => {
                self.table.buckets[home].set(usize::from(*way), digest, entry);
                *way += 1;
            }
            _ => {
                let bucket = self.table.put(digest, entry);
                self.filled.get_mut(bucket).into_iter().for_each(|way| *way += 1);
            }
        }
    }

    /// The table, with so many entries.
    fn finish(self, len: u32) -> Table {
        Table { len, ..self.table }
    }
}

impl Bucket {
    /// The high bit of each byte of the head that is this mark.
    fn marked(&self, mark: u8) -> u128 {
        let mut head = [0; 16];
        head[..=WAYS].copy_from_slice(&self.head);
        let differ = u128::from_le_bytes(head) ^ (ONES * u128::from(mark));
        // A byte's high bit is set if any of its bits is; no carry leaves a byte.
        let any = ((differ & LOW_BITS) + LOW_BITS) | differ;
        !any & !LOW_BITS & MARKS
    }

    /// The first way without an entry.
    fn vacant(&self) -> Option<usize> {
        let &[a, b, c, d, e, f, g, h, last, _] = &self.head;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        // Of the high bits that this leaves, the lowest is that of the first byte that is 0.
        let zeros = first.wrapping_sub(ONES as u64) & !first & !(LOW_BITS as u64);
        match zeros {
            0 => (last == 0).then_some(WAYS - 1),
            zeros => Some(zeros.trailing_zeros() as usize / 8),
        }
    }

    fn set(&mut self, way: usize, digest: Digest, entry: u32) {
        (self.head[way], self.entries[way]) = (digest.mark, entry);
        (self.homes[way], self.turns[way]) = (digest.home, digest.turn);
    }

    /// The ways that have entries.
    fn taken(&self) -> impl Iterator<Item = usize> {
        (0..WAYS).filter(|&way| self.head[way] != 0)
    }

    fn digest(&self, way: usize) -> Digest {
        Digest { mark: self.head[way], home: self.homes[way], turn: self.turns[way] }
    }
}

/// A hash of a number that is given out in order: those of a row come to one table, side by side. So who adds or
/// looks up one after the other finds the table in the processor's caches, however many there are.
pub(crate) fn hash_in_row(state: &impl BuildHasher, number: u64) -> u64 {
    let row = state.hash_one(number >> ROW_BITS);
    // A row is spread over all homes, beginning anywhere, and its marks differ.
    let home = (row as u8).wrapping_add((number << (u8::BITS - ROW_BITS)) as u8);
    let mark = (row >> 8) as u8 ^ number as u8;
    row & !0xffff | u64::from(mark) << 8 | u64::from(home)
}

/// The depth at which a table of this depth, or one that it came from, asked for the bits that choose halves.
fn known_since(depth: u8) -> u8 {
    match depth.checked_sub(FIRST_ASKED_AT) {
        None => 0,
        Some(deeper) => FIRST_ASKED_AT + deeper / SPLITS_KNOWN * SPLITS_KNOWN,
    }
}

/// Most entries of a table of so many buckets: nine tenths. Fuller, too many would pass too many buckets.
fn len_max(buckets: usize) -> usize {
    buckets * WAYS * 9 / 10
}

const _: () = assert!(BUCKET_BYTES == 64, "a bucket is a cache line");
const _: () = assert!(WAYS == 9, "what looks for a vacant way takes eight at once, and then the last");
const _: () = assert!(FIRST_ASKED_AT <= SPLITS_KNOWN);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// How much of an entry the hash knows: with few bits many hashes are alike.
    fn hash(entry: u32, bits: u32) -> u64 {
        foldhash::fast::FixedState::default().hash_one(entry & ((1u64 << bits) - 1) as u32)
    }

    fn agrees(bits: u32, steps: &[(u32, bool)]) {
        let mut index = Index::default();
        let mut model: HashMap<u32, u32> = HashMap::new();
        let hash_of = |entry: u32| hash(entry & 0xffff, bits);
        for &(entry, other) in steps {
            match model.remove(&entry) {
                // The model names the entry by its low half; the high half says which of two it is.
                Some(there) if other => {
                    let by = there ^ 1 << 16;
                    index.replace(hash_of(entry), there, by);
                    model.insert(entry, by);
                }
                Some(there) => index.remove(hash_of(entry), there),
                None => {
                    index.insert(hash_of(entry), entry, hash_of);
                    model.insert(entry, entry);
                }
            }
        }
        index.check(hash_of).expect("an index in order");
        assert_eq!(index.len, model.len());
        for entry in 0..u32::from(u16::MAX) {
            let found = index.find(hash_of(entry), |other| other & 0xffff == entry);
            assert_eq!(found, model.get(&entry).copied());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn it_finds_what_a_map_finds(
            bits in 0u32..=16,
            steps in proptest::collection::vec((0u32..2_000, any::<bool>()), 0..4_000),
        ) {
            agrees(bits, &steps);
        }
    }

    #[test]
    fn it_finds_everything_after_many_splits() {
        let all: Vec<_> = (0..60_000).map(|entry| (entry, false)).collect();
        let and_half_gone: Vec<_> =
            all.iter().copied().chain((0..60_000).step_by(2).map(|entry| (entry, false))).collect();
        agrees(16, &all);
        agrees(16, &and_half_gone);
    }

    #[test]
    fn equal_hashes_do_not_lengthen_the_directory() {
        let mut index = Index::default();
        (0..10_000).for_each(|entry| index.insert(7, entry, |_| 7));
        assert!(index.directory.len() <= 64, "{}", index.directory.len());
        index.check(|_| 7).expect("an index in order");
        (0..10_000).for_each(|entry| index.remove(7, entry));
        assert_eq!((index.len, index.find(7, |_| true)), (0, None));
    }

    #[test]
    fn an_entry_takes_few_bytes_at_any_size() {
        let state = &foldhash::fast::FixedState::default();
        // Numbers in a row, and such as one of several shards or queues gets.
        let in_rows = |step: u64| move |entry: u32| hash_in_row(state, u64::from(entry) * step + step / 3);
        let in_runs = |entry: u32| hash_in_row(state, u64::from(entry / 4 * 64 + entry % 4));
        let at_random = |entry: u32| hash(entry, 32);
        takes_few_bytes(at_random);
        [1, 2, 4, 16, 64, 1_000].into_iter().for_each(|step| takes_few_bytes(in_rows(step)));
        takes_few_bytes(in_runs);
    }

    fn takes_few_bytes(hash: impl Fn(u32) -> u64) {
        let mut index = Index::default();
        let (mut sum, mut most) = (0.0, 0.0f64);
        for entry in 0..400_000 {
            index.insert(hash(entry), entry, &hash);
            if entry >= 10_000 {
                let each = index.allocation_bytes() as f64 / index.len as f64;
                (sum, most) = (sum + each, most.max(each));
            }
        }
        let mean = sum / 390_000.0;
        assert!(mean < 10.0 && most < 12.0, "{mean:.2} in the mean, {most:.2} at most");
        let longest = index.tables.iter().map(|table| table.buckets.len()).max();
        assert!(longest <= Some(2 * BUCKETS_MAX), "a table of {longest:?} buckets");
        index.check(&hash).expect("an index in order");
    }
}
