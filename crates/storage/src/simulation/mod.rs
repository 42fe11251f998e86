//! A log without threads, on a disk that fails: for simulations, which take each turn of the writer themselves and
//! crash the machine between any two operations of the disk, all from one seed.

mod disk;
mod driver;
mod random;

pub use disk::{Counts, SimulatedDisk};
pub use driver::{Driver, Due};
pub use random::Random;
