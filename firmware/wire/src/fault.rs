//! Why a probe gave no value. A fault takes the value's place in a reading, so that "the probe is broken" arrives, is kept
//! and is shown like a value.

macro_rules! faults {
    ($($variant:ident = $code:literal, $name:literal, $doc:literal;)+) => {
        /// Why a probe gave no value. Codes are append-only: they are on the wire and in the journal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault {
            $(#[doc = $doc] $variant = $code,)+
        }

        impl Fault {
            /// Every fault, by rising code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The fault of a code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// Its name in InfluxDB and in the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

faults! {
    OpenCircuit = 1, "open_circuit", "Nothing is connected, or a wire is broken.";
    ShortCircuit = 2, "short_circuit", "The line is pulled to ground or supply.";
    Crc = 3, "crc", "The probe answered with a bad checksum.";
    Timeout = 4, "timeout", "The probe did not answer.";
    OutOfRange = 5, "out_of_range", "The probe's own range was passed.";
    PowerOnValue = 6, "power_on_value", "The value a probe holds before its first measurement (DS18B20: 85 °C).";
    Stuck = 7, "stuck", "The raw value does not move at all.";
    Saturated = 8, "saturated", "The converter is at its end.";
    Other = 9, "other", "Anything else.";
    NotCalibrated = 10, "not_calibrated", "The raw value is there, but no calibration, or not the temperature that it takes, to make a value of it.";
}

impl Fault {
    /// Its code on the wire and in the journal.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The fault of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back() {
        for &fault in Fault::ALL {
            assert_eq!(Fault::from_code(fault.code()), Some(fault));
            assert_eq!(Fault::from_name(fault.name()), Some(fault));
        }
        assert_eq!(Fault::from_code(0), None);
    }
}
