//! stanchion-engine
