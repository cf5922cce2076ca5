//! One way to write the crate's errors: each variant has a metric label and a sentence that says what to do about it.

/// Declares a field-less error enum with `reason()` (a stable snake_case label for counters) and `Display` (what is wrong
/// and how to mend it), so that the three can't drift apart.
macro_rules! errors {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $reason:literal, $text:expr;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = $text] $variant,)+
        }

        impl $name {
            /// Every variant, for metrics that start at zero.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// A stable label for counters.
            pub const fn reason(&self) -> &'static str {
                match self { $(Self::$variant => $reason),+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }

        impl core::error::Error for $name {}
    };
}

pub(crate) use errors;

errors! {
    /// Why a receipt or hello was refused, or a configuration could not be written.
    ControlError {
        Malformed = "malformed", "not the CBOR that this message is made of: check the sender's encoder and protocol version";
        TooLong = "too_long", "a text or list is longer than the protocol allows: shorten it to the limits in sen_wire::limits";
        NoRoom = "no_room", "the buffer is smaller than the message: give it sen_wire::limits::MAX_CONTROL_BYTES, or MAX_CONFIG_BYTES for a configuration";
    }
}
