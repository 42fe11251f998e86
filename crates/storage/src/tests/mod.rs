//! The log's tests: on real files where the file system matters, on a simulated disk where it has to fail.

mod checkpoint;
mod commit;
mod corruption;
mod crash;
mod directory;
mod disk_full;
mod fixture;
mod harness;
mod offline;
mod poison;
mod promise;
mod read;
mod reclaim;
mod records;
mod recovery;
mod replay;
mod reserve;
mod snapshot;
mod verdict;
