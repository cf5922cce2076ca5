//! Least squares with a little ridge, by the normal equations: a dozen columns, some hundred rows. Linear algebra crates bring
//! a hundred times what these forty lines need.

/// Coefficients `c` for which the sum of (row · c - y)² + `ridge` × rows × (c · c without the first) is least; the first
/// column is the constant and bears no ridge. `None` without rows, with rows of unequal length, or if it can't be solved.
#[must_use]
pub fn ridge(rows: &[Vec<f64>], y: &[f64], ridge: f64) -> Option<Vec<f64>> {
    let n = rows.first()?.len();
    if rows.len() != y.len() || rows.iter().any(|row| row.len() != n) {
        return None;
    }
    // Lower triangle of the normal matrix, with the right-hand side as a last row.
    let mut a = vec![vec![0.0; n]; n + 1];
    for (row, y) in rows.iter().zip(y) {
        for (i, line) in a.iter_mut().enumerate() {
            let by = row.get(i).unwrap_or(y);
            for (slot, value) in line.iter_mut().zip(row).take(i + 1) {
                *slot += by * value;
            }
        }
    }
    let penalty = ridge * rows.len() as f64;
    for (i, line) in a.iter_mut().enumerate().take(n).skip(1) {
        *line.get_mut(i)? += penalty;
    }
    cholesky(&mut a, n)?;
    // The last row of the factor is the solution of the lower triangle; what is left is the upper one.
    let (lower, last) = a.split_at(n);
    let mut solution = last.first()?.clone();
    for i in (0..n).rev() {
        let below: f64 = (i + 1..n)
            .map(|k| at(lower, k, i) * solution.get(k).copied().unwrap_or_default())
            .sum();
        let slot = solution.get_mut(i)?;
        *slot = (*slot - below) / at(lower, i, i);
    }
    solution.iter().all(|c| c.is_finite()).then_some(solution)
}

fn at(a: &[Vec<f64>], row: usize, column: usize) -> f64 {
    a.get(row)
        .and_then(|line| line.get(column))
        .copied()
        .unwrap_or_default()
}

/// Factorises the first `n` rows in place, and carries the rows below along.
fn cholesky(a: &mut [Vec<f64>], n: usize) -> Option<()> {
    for i in 0..a.len() {
        for j in 0..=i.min(n - 1) {
            let sum: f64 = (0..j).map(|k| at(a, i, k) * at(a, j, k)).sum();
            let rest = at(a, i, j) - sum;
            let value = if i == j {
                if rest <= 1e-12 {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / at(a, j, j)
            };
            *a.get_mut(i)?.get_mut(j)? = value;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_plane_that_the_points_were_made_from() {
        let rows: Vec<Vec<f64>> = (0..50)
            .map(|n| vec![1.0, f64::from(n % 7), f64::from(n % 11) - 3.0])
            .collect();
        let y: Vec<f64> = rows.iter().map(|r| 2.0 - 0.5 * r[1] + 3.0 * r[2]).collect();
        let c = ridge(&rows, &y, 0.0).unwrap();
        for (got, want) in c.iter().zip([2.0, -0.5, 3.0]) {
            assert!((got - want).abs() < 1e-9, "{c:?}");
        }
        // A ridge draws the slopes towards nothing, not the constant.
        let drawn = ridge(&rows, &y, 1e9).unwrap();
        assert!(drawn[1].abs() < 1e-3 && drawn[2].abs() < 1e-3);
        let mean = y.iter().sum::<f64>() / 50.0;
        assert!((drawn[0] - mean).abs() < 1e-3);
    }

    #[test]
    fn has_no_answer_to_what_can_not_be_solved() {
        assert_eq!(ridge(&[], &[], 0.1), None);
        let twins = vec![
            vec![1.0, 2.0, 2.0],
            vec![1.0, 3.0, 3.0],
            vec![1.0, 5.0, 5.0],
        ];
        assert_eq!(ridge(&twins, &[1.0, 2.0, 3.0], 0.0), None);
        assert!(ridge(&twins, &[1.0, 2.0, 3.0], 0.1).is_some());
    }
}
