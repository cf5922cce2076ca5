//! Holds a gateway to what it has promised: the journal against the devices' ledgers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::device::{CHANNELS, Device, Place, record};
use crate::pack::Decimal;
use crate::sen::Dumped;

/// Every acknowledged or receipted reading is in the journal, once, as it was sent; and nothing is
/// there that was never sent.
///
/// # Errors
/// With the first promise that is broken.
pub fn check(devices: &[Device], journal: &[Dumped]) -> Result<()> {
    let stored = as_sent(devices, journal)?;
    for device in devices {
        let ledger = device.ledger();
        for (kind, promised) in [
            ("acknowledged", &ledger.acked),
            ("receipted", &ledger.received),
        ] {
            let missing: Vec<&Place> = promised
                .iter()
                .filter(|p| !stored.contains_key(&(device.node.as_str(), **p)))
                .collect();
            ensure!(
                missing.is_empty(),
                "{}: {} of {} {kind} readings are not in the journal, first {:?}",
                device.node,
                missing.len(),
                promised.len(),
                missing.first()
            );
        }
    }
    Ok(())
}

/// What is in the journal is there once, as it was sent.
///
/// # Errors
/// With the first reading that is not.
pub fn as_sent<'a>(
    devices: &[Device],
    journal: &'a [Dumped],
) -> Result<BTreeMap<(&'a str, Place), &'a Dumped>> {
    let known: BTreeMap<&str, &Device> = devices.iter().map(|d| (d.node.as_str(), d)).collect();
    let mut stored: BTreeMap<(&str, Place), &Dumped> = BTreeMap::new();
    for reading in journal {
        let place = reading
            .boot
            .zip(reading.seq)
            .or_else(|| folded_place(known.get(reading.node.as_str())?, reading))
            .context("a reading without a place, of an instant at which nothing was sent")?;
        let twice = stored.insert((&reading.node, place), reading);
        ensure!(twice.is_none(), "{} {place:?} is there twice", reading.node);
    }
    for (&(node, place), reading) in &stored {
        let device = known
            .get(node)
            .with_context(|| format!("unknown node {node}"))?;
        ensure!(
            device.ledger().sent.contains(&place),
            "{node} {place:?} was never sent"
        );
        let sent = record(device.from, place.1);
        let name = CHANNELS[place.1 as usize % CHANNELS.len()].1;
        let value = sent.value.ok().map(Decimal::as_f64);
        ensure!(
            reading.channel == name && reading.at == sent.at && reading.value == value,
            "{node} {place:?}: sent {name} {value:?} at {}, stored {reading:?}",
            sent.at
        );
    }
    Ok(stored)
}

/// Folded readings carry no place; each of a device's has an instant of its own, from which it follows.
fn folded_place(device: &Device, reading: &Dumped) -> Option<Place> {
    let (boot, _) = *device.ledger().sent.first()?;
    Some((boot, u32::try_from(reading.at - device.from).ok()?))
}
