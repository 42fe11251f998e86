//! A backup as a tar archive (POSIX ustar), to be unpacked into an empty directory.

use std::io::{self, Write};

use super::Destination;

/// Everything in an archive fills blocks of this size.
const BLOCK_BYTES: usize = 512;

/// The largest file whose size fits into eleven octal digits.
const FILE_BYTES_MAX: u64 = (1 << 33) - 1;

/// An archive that is being written.
pub(super) struct Tar<W> {
    out: W,
    /// How many bytes of the current file are still to come.
    left: u64,
    /// How many zeros fill its last block.
    padding: usize,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W) -> Tar<W> {
        Tar { out, left: 0, padding: 0 }
    }
}

impl<W: Write> Destination for Tar<W> {
    fn begin(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        if bytes > FILE_BYTES_MAX {
            return Err(io::Error::other(
                "the file is too large for a tar archive; name a directory instead",
            ));
        }
        self.left = bytes;
        self.padding = (BLOCK_BYTES - bytes as usize % BLOCK_BYTES) % BLOCK_BYTES;
        self.out.write_all(&header(name, bytes))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes.len() as u64).expect("a file is as long as was said");
        self.out.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        assert_eq!(self.left, 0, "a file is as long as was said");
        self.out.write_all(&[0; BLOCK_BYTES][..self.padding])
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES])?;
        self.out.flush()
    }
}

fn header(name: &str, bytes: u64) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{bytes:011o}\0"));
    put(136, "00000000000\0");
    // The checksum counts as spaces in itself.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn tar_unpacks_it() {
        let files = [("00000000000000000002.seg", 100), ("00000000000000000001.seg", 1024), ("empty", 0)];
        let mut archive = Vec::new();
        let mut tar = Tar::new(&mut archive);
        for (name, bytes) in files {
            tar.begin(name, bytes).unwrap();
            (0..bytes).for_each(|byte| tar.write(&[byte as u8]).unwrap());
            tar.end().unwrap();
        }
        tar.finish().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("archive.tar");
        std::fs::write(&file, archive).unwrap();
        let status = Command::new("tar").arg("xf").arg(&file).arg("-C").arg(dir.path()).status().unwrap();
        assert!(status.success());
        for (name, bytes) in files {
            let expected: Vec<u8> = (0..bytes).map(|byte| byte as u8).collect();
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), expected, "{name}");
        }
    }
}
