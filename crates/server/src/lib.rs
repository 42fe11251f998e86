//! stanchion-server
