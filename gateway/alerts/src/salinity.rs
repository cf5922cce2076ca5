//! Practical salinity from conductivity: PSS-78 (UNESCO technical papers in marine science 36, 1981; Fofonoff and Millard,
//! UNESCO 44, 1983), with the extension of Hill, Dauphinee and Woods (IEEE J. Oceanic Eng. 11, 1986) below 2, where rice and
//! durian have their thresholds.
//!
//! Field meters give conductivity at 25 °C ("specific conductance"): a linear compensation of 1.91 % a degree is undone by
//! reading the scale at 25 °C.

/// Conductivity of standard sea water (S = 35) at 15 °C and no pressure, mS/cm (UNESCO 44, and its later confirmation).
const C_35_15: f64 = 42.914;

const A: [f64; 6] = [0.0080, -0.1692, 25.3851, 14.0941, -7.0261, 2.7081];
const B: [f64; 6] = [0.0005, -0.0056, -0.0066, -0.0375, 0.0636, -0.0144];
const K: f64 = 0.0162;

/// rt(t): how the conductivity of standard sea water changes with temperature.
fn rt35(t: f64) -> f64 {
    let c = [
        0.676_609_7,
        2.005_64e-2,
        1.104_259e-4,
        -6.969_8e-7,
        1.003_1e-9,
    ];
    c.iter().rev().fold(0.0, |sum, c| sum * t + c)
}

/// Practical salinity (reads as ‰) of water with this conductivity (mS/cm, as it is at `celsius`). `None` outside 0..=80
/// mS/cm and -2..=45 °C, where the scale says nothing.
#[must_use]
pub fn practical(conductivity: f64, celsius: f64) -> Option<f64> {
    if !(0.0..=80.0).contains(&conductivity) || !(-2.0..=45.0).contains(&celsius) {
        return None;
    }
    let ratio = conductivity / C_35_15 / rt35(celsius);
    let root = ratio.sqrt();
    let sum = |c: &[f64; 6]| c.iter().rev().fold(0.0, |sum, c| sum * root + c);
    let f = (celsius - 15.0) / (1.0 + K * (celsius - 15.0));
    let mut salinity = sum(&A) + f * sum(&B);
    if salinity < 2.0 {
        let (x, y) = (400.0 * ratio, 10.0 * root);
        salinity -= A[0] / (1.0 + 1.5 * x + x * x) + B[0] * f / (1.0 + y + y * y * y);
    }
    Some(salinity.max(0.0))
}

/// Practical salinity from the conductivity at 25 °C that most field meters give (mS/cm, the same as dS/m).
#[must_use]
pub fn from_specific_conductance(at_25_celsius: f64) -> Option<f64> {
    practical(at_25_celsius, 25.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pressure (decibar) does to the conductivity ratio; only the published check values need it.
    fn pressure(ratio: f64, t: f64, p: f64) -> f64 {
        1.0 + p * (2.070e-5 + p * (-6.370e-10 + p * 3.989e-15))
            / (1.0 + t * (3.426e-2 + t * 4.464e-4) + (4.215e-1 - 3.107e-3 * t) * ratio)
    }

    /// The check values of UNESCO 44, page 9.
    #[test]
    fn agrees_with_the_published_check_values() {
        for (ratio, t, p, s) in [
            (1.0, 15.0, 0.0, 35.0),
            (1.2, 20.0, 2000.0, 37.245_628),
            (0.65, 5.0, 1500.0, 27.995_347),
        ] {
            let got = practical(ratio / pressure(ratio, t, p) * C_35_15, t).unwrap();
            assert!((got - s).abs() < 1e-5, "{got} is not {s}");
        }
    }

    #[test]
    fn fresh_water_has_no_salt_and_nonsense_no_answer() {
        assert!(practical(0.0, 25.0).unwrap() < 1e-6);
        for (c, t) in [(-0.1, 25.0), (81.0, 25.0), (1.0, 46.0), (f64::NAN, 25.0)] {
            assert_eq!(practical(c, t), None);
        }
    }

    #[test]
    fn rises_with_conductivity_without_a_step_where_the_extension_begins() {
        let mut last = -1.0;
        for n in 0..=8000 {
            let s = from_specific_conductance(f64::from(n) / 100.0).unwrap();
            assert!(s >= last && s - last.max(0.0) < 0.02, "{n}: {last} to {s}");
            last = s;
        }
    }
}
