//! stanchion-storage
