//! The configuration in flash: the power is cut at every word and in every erasure, and one of both configurations is left.

mod nor;

use embassy_futures::block_on;
use nor::{Nor, Tear};
use sen_node::{FlashSettings, Settings};
use sen_wire::limits::MAX_CONFIG_BYTES;

fn load<const W: usize, const P: usize>(chip: &Nor<W, P>) -> Option<Vec<u8>> {
    let mut buffer = [0; MAX_CONFIG_BYTES];
    let mut settings = FlashSettings::new(chip.clone()).expect("pages");
    let length = block_on(settings.load(&mut buffer)).expect("readable");
    length.map(|length| buffer[..length].to_vec())
}

fn store<const W: usize, const P: usize>(chip: &Nor<W, P>, config: &[u8]) -> bool {
    let mut settings = FlashSettings::new(chip.clone()).expect("pages");
    block_on(settings.store(config)).is_ok()
}

/// The `number`th configuration, each of another length.
fn config(number: usize) -> Vec<u8> {
    (0..40 + number * 37 % 200)
        .map(|at| (at * 31 + number * 7) as u8)
        .collect()
}

fn cut_everywhere<const W: usize, const P: usize>(pages: usize, ecc: bool, tear: Tear) {
    let mut cuts = 0;
    for steps in 0.. {
        let chip = Nor::<W, P>::new(pages, steps + 1);
        chip.0.borrow_mut().ecc = ecc;
        assert_eq!(load(&chip), None, "noise is no configuration");
        assert!(store(&chip, &config(1)) && store(&chip, &config(2)));
        chip.cut_after(steps, tear);
        let done = store(&chip, &config(3));
        chip.power_on();
        let after = load(&chip).expect("one of both");
        assert!(
            if done {
                after == config(3)
            } else {
                after == config(2) || after == config(3)
            },
            "cut after {steps} steps, {tear:?}"
        );
        // And once more, in the write that follows.
        for more in [0, 1, 3, steps] {
            let again = Nor::<W, P>::new(pages, 0);
            *again.0.borrow_mut() = chip.0.borrow().clone();
            again.cut_after(more, tear);
            store(&again, &config(4));
            again.power_on();
            let left = load(&again).expect("one of those before");
            assert!(
                (2..=4).any(|number| left == config(number)),
                "{steps} and {more}, {tear:?}"
            );
            assert!(store(&again, &config(5)), "it goes on");
            assert_eq!(load(&again), Some(config(5)));
        }
        cuts += 1;
        if done {
            break;
        }
    }
    assert!(cuts > 5, "{cuts}");
}

#[test]
fn one_of_both_is_left_wherever_the_power_is_cut() {
    for tear in Tear::ALL {
        cut_everywhere::<4, 4096>(3, false, tear);
        cut_everywhere::<8, 2048>(3, true, tear);
        if tear != Tear::Fading {
            cut_everywhere::<4, 4096>(2, false, tear);
        }
    }
}

#[test]
fn takes_the_longest_and_no_longer() {
    let chip = Nor::<4, 4096>::new(2, 1);
    assert!(store(&chip, &[7; MAX_CONFIG_BYTES]));
    assert!(!store(&chip, &[8; MAX_CONFIG_BYTES + 1]));
    assert_eq!(load(&chip), Some(vec![7; MAX_CONFIG_BYTES]));
    assert!(FlashSettings::new(Nor::<4, 4096>::new(1, 1)).is_err());
}
