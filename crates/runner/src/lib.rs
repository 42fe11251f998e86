//! stanchion-runner
