//! stanchion-client
