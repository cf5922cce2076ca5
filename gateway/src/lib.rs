//! The gateway of Sen: takes readings from nodes, makes them durable, hands them on, and serves the phone page.
//!
//! Data flows one way, and a module knows only what lies below it:
//! [`broker`] (the doors) → [`ingest`] → [`journal`] → cursors: [`influx`], [`live`] → [`web`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod alarms;
pub mod broker;
pub mod clock;
pub mod completeness;
pub mod config;
pub mod demo;
pub mod disk;
pub mod files;
pub mod flash;
pub mod influx;
pub mod ingest;
pub mod journal;
pub mod live;
pub mod nodes;
pub mod reading;
pub mod registry;
pub mod serve;
pub mod web;
