//! Which slot of the cluster, and which shard of this server, a queue belongs to.
//!
//! The hash is Redis Cluster's, so that cluster-aware clients route queue commands to the right node.

/// Slots of a cluster.
pub const SLOTS: u16 = 16_384;

/// CRC-16/XMODEM of each byte.
const CRC: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slot of a key, 0 to 16,383.
#[inline]
pub fn slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOTS
}

/// The shard of a slot, when `shards` of them share the slots in equal, contiguous ranges.
///
/// Panics when `shards` is 0.
#[inline]
pub fn shard(slot: u16, shards: usize) -> usize {
    assert!(shards > 0, "a server has at least one shard");
    usize::from(slot) * shards / usize::from(SLOTS)
}

/// What stands between the first `{` and the next `}`, if that is not empty; otherwise the whole key.
#[inline]
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    let rest = &key[open + 1..];
    match memchr::memchr(b'}', rest) {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| crc << 8 ^ CRC[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // CLUSTER KEYSLOT of redis-server 7.0.15, and the check value of CRC-16/XMODEM.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, want) in [("foo", 12_182), ("bar", 5_061), ("", 0), ("somekey", 11_058)] {
            assert_eq!(slot(key.as_bytes()), want, "{key}");
        }
    }

    #[test]
    fn a_hash_tag_stands_for_its_key() {
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{bar}{zap}", "bar"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{bar", "foo{bar"),
            ("}foo{", "}foo{"),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }

    #[test]
    fn shards_share_the_slots_evenly() {
        for shards in [1, 2, 3, 7, 16] {
            let mut slots = vec![0u32; shards];
            for slot in 0..SLOTS {
                slots[shard(slot, shards)] += 1;
            }
            let (min, max) = (slots.iter().min().unwrap(), slots.iter().max().unwrap());
            assert!(max - min <= 1, "{shards} shards: {slots:?}");
        }
        assert_eq!(shard(0, 4), 0);
        assert_eq!(shard(SLOTS - 1, 4), 3);
    }
}
