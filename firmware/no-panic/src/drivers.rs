//! What probes answer.

use ads1x1x::TargetAddr;
use embassy_futures::block_on;
use onewire::Device as Address;
use sen_drivers::{
    Probe, Wanted,
    analog::{Ads1115, Input, Pin},
    battery::Battery,
    bh1750::Bh1750,
    bme280::Bme280,
    ds18b20::{Ds18b20, discover, wire},
    modbus::Modbus,
    rain::{RainGauge, Tips, count_tips},
    sht4x::Sht4x,
    soil_modbus::{Profile, SoilProbe},
    ultrasonic::{Model, Ultrasonic},
};
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Quantity};

use crate::{
    entries,
    outside::{Device, any, keep},
};

/// Twice: a probe remembers.
fn measure(mut probe: impl Probe) {
    let mut samples = Samples::default();
    for _ in 0..any(2) {
        block_on(probe.measure(Wanted(any(&[])), &mut samples));
    }
    keep(samples);
}

entries! {
    fn probe_analog() {
        let inputs = [
            Input::soil_moisture(any(Pin::A0), any(1)),
            Input::new(any(Pin::A0), Channel::first(Quantity::Ph), any(1), any(1)),
        ];
        measure(Ads1115::new(Device, Device, TargetAddr::default(), inputs));
    }

    fn probe_battery() {
        measure(Battery::new(Device, any(1), any(1)));
    }

    fn probe_bh1750() {
        measure(Bh1750::new(Device, Device, any(1)));
    }

    fn probe_bme280() {
        measure(Bme280::new(Device, Device, any(1), any(1)));
    }

    fn probe_ds18b20() {
        let address = Address { address: any([0; 8]) };
        measure(Ds18b20::new(Device, Device, [(address, Channel::first(Quantity::WaterTemperature))]));
    }

    fn probe_ds18b20_search() {
        keep(discover(&mut wire(Device), &mut Device).map(|found| found.len()));
    }

    fn probe_rain() {
        static TIPS: Tips = Tips::new();
        measure(RainGauge::new(any(&TIPS), Decimal::new(any(1), any(1)), any(1)));
    }

    fn probe_rain_counter() {
        static TIPS: Tips = Tips::new();
        if any(true) {
            block_on(count_tips(any(&TIPS), &mut Device, &mut Device));
        }
    }

    fn probe_sht4x() {
        measure(Sht4x::new(Device, Device, any(1)));
    }

    fn probe_soil_modbus() {
        let bus = Modbus::with_driver_enable(Device, Device, Device);
        measure(SoilProbe::new(bus, any(Profile::Jxct), any(1), any(1)));
    }

    fn probe_ultrasonic() {
        measure(Ultrasonic::new(Device, Device, any(Model::A02yyuw), any(1), any(1)));
    }
}
