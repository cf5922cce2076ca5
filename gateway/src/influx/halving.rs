//! A batch that is refused as a whole is halved until the refused ones stand alone.
//!
//! A server names one bad point of a batch at best, and writes none of the others, some, or all. Halving asks it about each
//! part anew: of n points with one bad one about 2 log2(n) requests, and the good ones go through.

/// What the other side said of a slice.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It has all of it.
    Taken,
    /// Something in it is refused for good, for this reason.
    Refused(String),
}

/// How far [`halve`] has come.
#[derive(Debug)]
pub(super) struct Halved<'a, T, E> {
    /// Items that are refused on their own, with the reason, in order.
    pub(super) refused: Vec<(&'a T, String)>,
    /// Items of which nothing is known, at the end of the batch, and why the rest was not tried. None when all is decided.
    pub(super) undecided: Option<(&'a [T], E)>,
}

/// Tries `batch`, from its first item to its last, in slices as large as the other side takes. Ends with the first `Err`.
pub(super) async fn halve<'a, T, E, F>(
    batch: &'a [T],
    mut attempt: impl FnMut(&'a [T]) -> F,
) -> Halved<'a, T, E>
where
    F: Future<Output = Result<Verdict, E>>,
{
    let mut refused = Vec::new();
    // Slices to try, the next one last; none is empty.
    let mut waiting = Vec::from_iter((!batch.is_empty()).then_some(batch));
    while let Some(slice) = waiting.pop() {
        match attempt(slice).await {
            Ok(Verdict::Taken) => {}
            Ok(Verdict::Refused(reason)) => match slice {
                [only] => refused.push((only, reason)),
                _ => {
                    let (first, second) = slice.split_at(slice.len() / 2);
                    waiting.extend([second, first]);
                }
            },
            Err(why) => {
                let rest: usize = waiting.iter().map(|s| s.len()).sum();
                let (_, undecided) = batch.split_at(batch.len() - slice.len() - rest);
                return Halved {
                    refused,
                    undecided: Some((undecided, why)),
                };
            }
        }
    }
    Halved {
        refused,
        undecided: None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use super::*;

    /// Tries 0..n with these refused; gives what was taken, what was refused, and how many requests that took.
    async fn with_bad(n: u32, bad: &[u32]) -> (Vec<u32>, Vec<u32>, usize) {
        let batch: Vec<u32> = (0..n).collect();
        let (mut taken, mut asked) = (Vec::new(), 0);
        let halved = halve(&batch, |slice: &[u32]| {
            assert!(!slice.is_empty());
            asked += 1;
            let verdict = match slice.iter().find(|i| bad.contains(i)) {
                Some(i) => Verdict::Refused(format!("{i} is bad")),
                None => {
                    taken.extend_from_slice(slice);
                    Verdict::Taken
                }
            };
            ready(Ok::<_, Infallible>(verdict))
        })
        .await;
        assert!(halved.undecided.is_none());
        let refused = halved.refused.into_iter().map(|(i, reason)| {
            assert_eq!(reason, format!("{i} is bad"));
            *i
        });
        (taken, refused.collect(), asked)
    }

    #[tokio::test]
    async fn each_item_is_taken_or_refused_once_and_in_order() {
        for n in [0_u32, 1, 2, 3, 7, 64, 100] {
            for bad in [
                vec![],
                vec![0],
                vec![n / 2, n.saturating_sub(1)],
                (0..n).collect(),
            ] {
                let (taken, refused, _) = with_bad(n, &bad).await;
                let all: Vec<u32> = (0..n).collect();
                let (bad, good): (Vec<u32>, Vec<u32>) = all.iter().partition(|i| bad.contains(i));
                assert_eq!((taken, refused), (good, bad));
            }
        }
    }

    #[tokio::test]
    async fn one_bad_item_costs_two_requests_a_halving() {
        assert_eq!(with_bad(4_096, &[]).await.2, 1);
        assert_eq!(with_bad(4_096, &[1_234]).await.2, 1 + 2 * 12);
    }

    #[tokio::test]
    async fn what_follows_an_error_is_undecided() {
        let batch: Vec<u32> = (0..16).collect();
        let mut left = 5;
        let halved = halve(&batch, |slice: &[u32]| {
            left -= 1;
            ready(match (left, slice.contains(&2)) {
                (0, _) => Err("gone"),
                (_, true) => Ok(Verdict::Refused("two".to_owned())),
                (_, false) => Ok(Verdict::Taken),
            })
        })
        .await;
        // 0..16, 0..8, 0..4, 0..2 (taken); 2..4 can't be asked.
        assert!(halved.refused.is_empty());
        assert_eq!(halved.undecided, Some((&batch[2..], "gone")));
    }
}
