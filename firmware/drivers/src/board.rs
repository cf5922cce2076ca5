//! Several probes as the node's one.

use sen_node::{Probes, Samples};
use sen_wire::Channel;

use crate::{Probe, Wanted, battery::Adc, battery::Battery};

/// The probes of a board: a [`Probe`], mostly a tuple of them, and its battery if it has one.
#[derive(Debug)]
pub struct Board<P, A = NoBattery> {
    probes: P,
    battery: A,
}

/// A board that does not know its battery.
#[derive(Clone, Copy, Debug)]
pub struct NoBattery;

impl<P: Probe> Board<P> {
    /// Probes without a battery.
    pub fn new(probes: P) -> Self {
        Self {
            probes,
            battery: NoBattery,
        }
    }
}

impl<P: Probe, A: Adc> Board<P, Battery<A>> {
    /// Probes and a battery, which is a channel and is told in the hello.
    pub fn with_battery(probes: P, battery: Battery<A>) -> Self {
        Self { probes, battery }
    }
}

impl<P: Probe> Probes for Board<P> {
    async fn sample(&mut self, wanted: &[Channel], samples: &mut Samples) {
        self.probes.measure(Wanted(wanted), samples).await;
    }
}

impl<P: Probe, A: Adc> Probes for Board<P, Battery<A>> {
    async fn sample(&mut self, wanted: &[Channel], samples: &mut Samples) {
        let wanted = Wanted(wanted);
        self.probes.measure(wanted, samples).await;
        self.battery.measure(wanted, samples).await;
    }

    fn battery_mv(&mut self) -> Option<u16> {
        self.battery.last_mv()
    }
}

macro_rules! side_by_side {
    ($($probe:ident)+) => {
        #[allow(non_snake_case, reason = "the type parameters name the fields too")]
        impl<$($probe: Probe),+> Probe for ($($probe,)+) {
            fn channels(&self, each: &mut dyn FnMut(Channel)) {
                let ($($probe,)+) = self;
                $($probe.channels(each);)+
            }

            async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
                let ($($probe,)+) = self;
                $(
                    if wanted.any($probe) {
                        $probe.measure(wanted, samples).await;
                    }
                )+
            }
        }
    };
}

side_by_side!(A);
side_by_side!(A B);
side_by_side!(A B C);
side_by_side!(A B C D);
side_by_side!(A B C D E);
side_by_side!(A B C D E F);
side_by_side!(A B C D E F G);
side_by_side!(A B C D E F G H);
