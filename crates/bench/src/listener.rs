//! Which process of this machine listens on an address, found in `/proc`: to read what it takes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

/// `TCP_LISTEN` of the kernel, as `/proc/net/tcp` shows it.
const LISTEN: &str = "0A";

/// The process, if it is on this machine and its files may be read.
#[must_use]
pub fn find(address: SocketAddr) -> Option<u32> {
    // A connection to one's own machine has the same address at both ends.
    let stream = TcpStream::connect(address).ok()?;
    if stream.local_addr().ok()?.ip() != stream.peer_addr().ok()?.ip() {
        return None;
    }
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| inodes(&table, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| holds(*pid, &inodes))
}

/// Whether a process has one of these sockets open.
fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).any(|link| {
        let link = link.to_string_lossy();
        sockets.iter().any(|socket| *socket == link)
    })
}

/// The inodes of the sockets of a table of the kernel that listen on this address or on all.
fn inodes(table: &str, address: SocketAddr) -> Vec<u64> {
    let mut found = Vec::new();
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (Some(local), Some(state), Some(inode)) = (words.get(1), words.get(3), words.get(9)) else {
            continue;
        };
        let Some((ip, port)) = local.split_once(':') else { continue };
        let matches = u16::from_str_radix(port, 16) == Ok(address.port())
            && hex_ip(ip).is_some_and(|ip| ip.is_unspecified() || ip == address.ip());
        if *state == LISTEN && matches {
            found.extend(inode.parse::<u64>().ok());
        }
    }
    found
}

/// An address as the kernel prints it: words of 32 bits in the machine's order.
fn hex_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(8 * at..8 * at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if text.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let mut bytes = [0; 16];
    for (at, chunk) in bytes.chunks_mut(4).enumerate() {
        chunk.copy_from_slice(&word(at)?);
    }
    Some(Ipv6Addr::from(bytes).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_of_the_kernel_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1CD3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
            1: 00000000:1CD3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n   \
            2: 0100007F:1CD3 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n   \
            3: 0200007F:1CD3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0 100 0 0 10 0\n";
        assert_eq!(inodes(table, "127.0.0.1:7379".parse().unwrap()), [4711, 4712]);
        assert!(inodes(table, "127.0.0.1:7380".parse().unwrap()).is_empty());
        assert_eq!(hex_ip("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        assert_eq!(hex_ip("0000000000000000FFFF00000100007F"), Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn this_process_is_found_by_its_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(find(listener.local_addr().unwrap()), Some(std::process::id()));
    }
}
