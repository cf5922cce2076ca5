//! Probes of a Sen node.
#![no_std]
