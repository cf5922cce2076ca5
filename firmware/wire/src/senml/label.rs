//! The labels of RFC 8428 section 4 (table 4 in section 6 for their CBOR integers) and ours.

macro_rules! labels {
    ($($variant:ident $text:literal $($int:literal)?;)+) => {
        /// A label that is known. Its discriminant is its bit in the set of those already seen in a record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Label {
            $($variant,)+
        }

        impl Label {
            fn known(text: &[u8]) -> Option<Self> {
                $(if text == $text { return Some(Self::$variant) })+
                None
            }

            pub(super) fn from_int(int: i64) -> Option<Self> {
                match int { $($($int => Some(Self::$variant),)?)+ _ => None }
            }
        }
    };
}

// The commonest first: they are compared in this order.
labels! {
    Name b"n" 0;
    Value b"v" 2;
    Time b"t" 6;
    Unit b"u" 1;
    BaseName b"bn" -2;
    BaseTime b"bt" -3;
    BaseUnit b"bu" -4;
    BaseValue b"bv" -5;
    Fault b"flt";
    Estimated b"est";
    Boot b"boot";
    Seq b"seq";
    TextValue b"vs" 3;
    BooleanValue b"vb" 4;
    DataValue b"vd" 8;
    Sum b"s" 5;
    BaseSum b"bs" -6;
    UpdateTime b"ut" 7;
    BaseVersion b"bver" -1;
}

/// What a label means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Known(Label),
    Ignored,
    MustUnderstand,
}

impl Meaning {
    pub(super) fn of_text(text: &[u8]) -> Self {
        match Label::known(text) {
            Some(label) => Self::Known(label),
            None if text.ends_with(b"_") => Self::MustUnderstand,
            None => Self::Ignored,
        }
    }

    pub(super) fn of_int(int: i64) -> Self {
        Label::from_int(int).map_or(Self::Ignored, Self::Known)
    }
}
