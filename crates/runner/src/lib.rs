//! Claims jobs, has them done, and reports.
pub mod config;
pub mod exec;
pub mod limits;
pub mod outcome;
pub mod shim;
pub mod template;
#[cfg(test)]
mod testing;
